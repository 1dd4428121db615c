"""What a store needs of a database, and which database a place means."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sqlalchemy import exc
from sqlalchemy.engine import Engine

from twoway.authority.faults import StoreBusy
from twoway.errors import UsageError

LOCK_WAIT = 10.0  # seconds that a process waits for another one's transaction

Place = Path | str
"""A file for SQLite, or a URL `postgresql+psycopg://…`."""


class Database(Protocol):
    """One of the databases that a store can be in.

    Its engine gives connections that see one moment; `writing`, of that engine, connections whose transactions come
    one after the other, in this process and in every other.
    """

    @property
    def where(self) -> str:
        """The place as errors name it, without a password."""
        ...

    @property
    def at_hand(self) -> bool:
        """Whether a read of a row or two takes microseconds and waits for nobody: no network, no lock."""
        ...

    @property
    def errors(self) -> type[Exception]:
        """What the driver raises."""
        ...

    def engine(self) -> Engine: ...

    def writing(self, engine: Engine) -> Engine: ...

    def fault(self, failure: BaseException) -> Exception:
        """The typed error for one of the driver's."""
        ...

    def alone(self, name: str) -> contextlib.AbstractContextManager[bool]:
        """Whether this process is the only one to do what is called `name`, while the block runs."""
        ...


def database_at(place: Place, lock_wait: float) -> Database:
    """The database that a place means; raises UsageError for a URL of another kind."""
    if isinstance(place, str) and "://" in place:
        if not place.startswith(("postgresql+psycopg://", "postgresql://")):
            raise UsageError(
                f"no store can be in {place.partition('://')[0]}://…",
                "give a file for SQLite, or postgresql+psycopg://USER@HOST/DATABASE",
            )
        try:
            importlib.import_module("psycopg")
        except ImportError:
            raise UsageError(
                "a store on PostgreSQL needs its driver, which is not installed",
                "pip install 'twoway[postgres]'",
            ) from None
        from twoway.authority.postgres import Postgres

        return Postgres(place, lock_wait)
    from twoway.authority.sqlite import Sqlite

    return Sqlite(Path(place), lock_wait)


@contextlib.contextmanager
def translated(database: Database) -> Iterator[None]:
    """Around everything that touches the database: its errors become typed ones."""
    try:
        yield
    except exc.IntegrityError:
        raise  # for the writer, which knows whose work it was
    except exc.DBAPIError as failure:
        raise database.fault(failure.orig or failure) from failure
    except database.errors as failure:
        raise database.fault(failure) from failure
    except exc.TimeoutError as failure:
        raise StoreBusy(database.where) from failure
