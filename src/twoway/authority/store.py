"""The store: SQLite in WAL mode with `synchronous=FULL`, so that what is committed survives a power cut.

Reads run beside each other and beside writes; every write goes through one thread that commits many callers' work
together (writer.py). Several processes may have the same store open.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, Engine

from twoway.authority import schema
from twoway.authority.faults import DiskFull, StoreLocked, StoreTooNew, StoreUnusable
from twoway.authority.transaction import Transaction
from twoway.authority.writer import Preparation, Writer

T = TypeVar("T")

LOCK_WAIT = 10.0  # seconds that a process waits for another one's transaction


class Store:
    """One authority's database file, opened by this process. Safe to use from several threads."""

    def __init__(self, path: Path, *, lock_wait: float = LOCK_WAIT) -> None:
        self.path = path
        self._lock_wait = lock_wait
        self._connect()

    @classmethod
    def create(cls, path: Path) -> Store:
        """A new, empty store with the newest schema."""
        store = cls(path)
        with store._translated(), store._writing_engine().begin() as connection:
            schema.metadata.create_all(connection)
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (schema.VERSION,))
        return store

    @classmethod
    def open(cls, path: Path, *, lock_wait: float | None = None) -> Store:
        """The store at `path`, migrated to the newest schema when it is older.

        Raises StoreUnusable (no database, damaged, unreadable), StoreTooNew, StoreLocked.
        """
        store = cls(path, lock_wait=LOCK_WAIT if lock_wait is None else lock_wait)
        try:
            with store._translated():
                if (found := store._version()) != schema.VERSION:
                    store._migrate(found)
        except BaseException:
            store.close()
            raise
        return store

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the store, whatever others write meanwhile."""
        self._check_process()
        with self._translated(), self._engine.connect() as connection:
            yield connection

    def write(self, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, once everything that it wrote is durably committed.

        `work` may be run a second time when its transaction had to be rolled back, so it must change nothing
        but the transaction. An exception from it undoes its own writes only, and is raised here.
        """
        self._check_process()
        return self._writer.run(work)

    def write_prepared(self, preparation: Preparation[T]) -> T:
        """The same for work that is prepared in the writer's thread, outside of any transaction.

        For what is quick to prepare: many threads that each do a little of it spend more time on handing the
        interpreter around than on the work.
        """
        self._check_process()
        return self._writer.run_prepared(preparation)

    @contextlib.contextmanager
    def write_and_see(self, work: Callable[[Transaction], T]) -> Iterator[tuple[T, Connection]]:
        """Commit `work`, and see the store as it was just before: no other write came between."""
        self._check_process()
        with self._translated(), self._engine.connect() as reader:

            def then_look(transaction: Transaction) -> T:
                result = work(transaction)
                # A snapshot is taken at its first read; nobody else can write while this transaction is open.
                reader.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()
                return result

            yield self._writer.run(then_look), reader

    def close(self) -> None:
        """Finish what is being written and close the file. Whatever was committed stays."""
        self._finalizer()

    def _connect(self) -> None:
        self._process = os.getpid()
        self._translated = functools.partial(_translated, self.path, self._lock_wait)
        self._engine = _engine(self.path, self._lock_wait)
        self._writer = Writer(self._engine, self._translated)
        self._finalizer = weakref.finalize(self, _close, self._writer, self._engine, self._process)

    def _check_process(self) -> None:
        # A SQLite connection must not be used on both sides of a fork; a child opens its own.
        if self._process != os.getpid():
            self._finalizer.detach()
            self._engine.dispose(close=False)
            self._connect()

    def _writing_engine(self) -> Engine:
        return self._engine.execution_options(twoway_writes=True)

    def _version(self) -> str:
        with self._engine.connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            if "alembic_version" not in tables:
                raise StoreUnusable(str(self.path), "it has no authority's tables in it")
            return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())

    def _migrate(self, found: str) -> None:
        from twoway.authority import migrate  # alembic takes most of a second to import

        if not migrate.knows(found):
            raise StoreTooNew(str(self.path), schema.VERSION, found)
        with self._writing_engine().begin() as connection:
            migrate.upgrade(connection)


@contextlib.contextmanager
def _translated(path: Path, lock_wait: float) -> Iterator[None]:
    """Around everything that touches the database: its errors become typed ones."""
    try:
        yield
    except exc.IntegrityError:
        raise  # for the writer, which knows whose work it was
    except exc.DBAPIError as failure:
        raise _fault(path, lock_wait, failure.orig) from failure
    except sqlite3.Error as failure:
        raise _fault(path, lock_wait, failure) from failure


def _engine(path: Path, lock_wait: float) -> Engine:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": lock_wait})
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin_transaction)
    return engine


def _close(writer: Writer, engine: Engine, process: int) -> None:
    if os.getpid() == process:
        writer.close()
        engine.dispose()


_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    # Serial numbers and fingerprints are random: every insertion touches other pages of the indexes. With the
    # default of 2 MiB a large store reads and writes them again and again (docs/why/store.md).
    "cache_size=-32768",
    "wal_autocheckpoint=4000",
)


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get("twoway_writes")
    # A writer takes the lock at once: to begin as a reader and become a writer fails where others wrote between.
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN").close()


def _fault(path: Path, lock_wait: float, failure: BaseException | None) -> Exception:
    code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(str(path), lock_wait)
    # On a full disk even a reader fails, and with another code: there is no room for the shared memory of the WAL.
    if code == sqlite3.SQLITE_FULL or (code in _NO_FILE and _is_full(path)):
        return DiskFull(str(path))
    return StoreUnusable(str(path), str(failure))


_NO_FILE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_LEAST_ROOM = 65536  # bytes


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST_ROOM
