"""PostgreSQL, for an authority on several machines.

Readers see one moment (REPEATABLE READ). Writers come one after the other, as on SQLite: each transaction takes an
advisory lock first, since every act is a link in one chain of hashes. The lock goes with the transaction, and with the
connection of a process that dies.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url

from twoway.authority.faults import DiskFull, StoreLocked, StoreUnreachable, StoreUnusable

# Advisory locks are numbers, and those of one database are shared with whatever else is in it: ours begin alike.
_FAMILY = int.from_bytes(b"2way", "big") & 0x7FFFFFFF
_WRITE = 1

_DISK_FULL, _LOCK_TIMEOUT, _DEADLOCK = "53100", "55P03", "40P01"
_GONE = ("08", "57P01", "57P02", "57P03", "25P03")  # connection lost, or the server is going or coming


class Postgres:
    """One database on a server, PostgreSQL 15 or later."""

    errors = psycopg.Error
    at_hand = False

    def __init__(self, url: str, lock_wait: float) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self.where = self._url.render_as_string(hide_password=True)
        self._lock_wait = lock_wait

    def engine(self) -> Engine:
        milliseconds = int(self._lock_wait * 1000)
        settings = {
            "lock_timeout": milliseconds,
            # Whoever asked is told only what is on the disk, whatever the server's default is.
            "synchronous_commit": "on",
            # A copy that was stopped in the middle of a transaction must not stop the others.
            "idle_in_transaction_session_timeout": 30_000,
            "timezone": "UTC",
        }
        engine = sqlalchemy.create_engine(
            self._url,
            isolation_level="REPEATABLE READ",
            pool_size=8,
            max_overflow=24,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 10,
                "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
                "application_name": "twoway",
            },
        )
        event.listen(engine, "begin", _begin_transaction)
        return engine

    def writing(self, engine: Engine) -> Engine:
        # READ COMMITTED: a snapshot from before the lock was waited for would not see what the one before wrote.
        return engine.execution_options(twoway_writes=True, isolation_level="READ COMMITTED")

    def fault(self, failure: BaseException) -> Exception:
        state = getattr(failure, "sqlstate", None)
        if state == _DISK_FULL:
            return DiskFull(self.where)
        if state in (_LOCK_TIMEOUT, _DEADLOCK):
            return StoreLocked(self.where, self._lock_wait)
        if (state or "").startswith(_GONE) or (
            state is None and isinstance(failure, psycopg.OperationalError)
        ):
            return StoreUnreachable(self.where, _first_line(failure))
        return StoreUnusable(self.where, _first_line(failure))

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """By an advisory lock of a connection of its own, which goes with the process."""
        engine = self.engine().execution_options(isolation_level="AUTOCOMMIT")
        number = zlib.crc32(name.encode()) & 0x7FFFFFFF
        try:
            with engine.connect() as connection:
                asked = sqlalchemy.text("SELECT pg_try_advisory_lock(:family, :number)")
                yield bool(connection.execute(asked, {"family": _FAMILY, "number": number}).scalar())
                connection.invalidate()  # closed, not pooled: the lock goes
        finally:
            engine.dispose()


def _begin_transaction(connection: Connection) -> None:
    if connection.get_execution_options().get("twoway_writes"):
        driver: Any = connection.connection.driver_connection
        driver.execute(f"SELECT pg_advisory_xact_lock({_FAMILY}, {_WRITE})")


def _first_line(failure: BaseException) -> str:
    return (str(failure).strip() or type(failure).__name__).partition("\n")[0]
