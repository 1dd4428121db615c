"""The store: what an authority remembers, in SQLite or in PostgreSQL. What is committed survives a power cut.

Reads run beside each other and beside writes; every write goes through one thread that commits many callers' work
together (writer.py). Several processes may have the same store open, on PostgreSQL on several machines.
"""

from __future__ import annotations

import contextlib
import functools
import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from twoway.authority import schema
from twoway.authority.database import LOCK_WAIT, Place, database_at, translated
from twoway.authority.faults import StoreTaken, StoreTooNew, StoreUnusable
from twoway.authority.transaction import Transaction
from twoway.authority.writer import Finished, Preparation, Writer

T = TypeVar("T")


class Store:
    """One authority's database, opened by this process. Safe to use from several threads."""

    def __init__(self, place: Place, *, lock_wait: float = LOCK_WAIT) -> None:
        self._database = database_at(place, lock_wait)
        self.where = self._database.where
        self._connect()

    @property
    def at_hand(self) -> bool:
        """Whether `ask` for a row by its key takes microseconds and waits for nobody, as in a file; a server may wait."""
        return self._database.at_hand

    @classmethod
    def create(cls, place: Place) -> Store:
        """A new, empty store with the newest schema. Raises StoreTaken where an authority's tables are already."""
        store = cls(place)
        try:
            with store._translated(), store._writing_engine().begin() as connection:
                if "alembic_version" in sqlalchemy.inspect(connection).get_table_names():
                    raise StoreTaken(store.where)
                schema.metadata.create_all(connection)
                connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
                connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{schema.VERSION}')")  # noqa: S608
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, place: Place, *, lock_wait: float | None = None) -> Store:
        """The store at `place`, migrated to the newest schema when it is older.

        Raises StoreUnusable (no database, damaged, unreadable), StoreUnreachable, StoreTooNew, StoreLocked.
        """
        store = cls(place, lock_wait=LOCK_WAIT if lock_wait is None else lock_wait)
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

    def ask(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """The first row of one query as text with `?` for each value: for what is asked at every call."""
        self._check_process()
        with self._translated():
            borrowed = self._engine.raw_connection()
            try:
                cursor = borrowed.cursor()
                cursor.execute(sql if self._engine.dialect.positional else sql.replace("?", "%s"), values)
                return cast("tuple[Any, ...] | None", cursor.fetchone())
            finally:
                borrowed.close()

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

    def write_prepared_soon(self, preparation: Preparation[T], finished: Finished[T]) -> None:
        """The same without waiting: `finished` is called in the writer's thread with the result or the failure."""
        self._check_process()
        self._writer.submit_prepared(preparation, finished)

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

    def alone(self, name: str) -> contextlib.AbstractContextManager[bool]:
        """Whether this process is the only one that does what is called `name`, while the block runs."""
        return self._database.alone(name)

    def close(self) -> None:
        """Finish what is being written and close the file. Whatever was committed stays."""
        self._finalizer()

    def _connect(self) -> None:
        self._process = os.getpid()
        self._translated = functools.partial(translated, self._database)
        self._engine = self._database.engine()
        self._writer = Writer(self._writing_engine(), self._translated)
        self._finalizer = weakref.finalize(self, _close, self._writer, self._engine, self._process)

    def _check_process(self) -> None:
        # A connection must not be used on both sides of a fork; a child opens its own.
        if self._process != os.getpid():
            self._finalizer.detach()
            self._engine.dispose(close=False)
            self._connect()

    def _writing_engine(self) -> Engine:
        return self._database.writing(self._engine)

    def _version(self) -> str:
        with self._engine.connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            if "alembic_version" not in tables:
                raise StoreUnusable(self.where, "it has no authority's tables in it")
            return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())

    def _migrate(self, found: str) -> None:
        from twoway.authority import migrate  # alembic takes most of a second to import

        if not migrate.knows(found):
            raise StoreTooNew(self.where, schema.VERSION, found)
        with self._writing_engine().begin() as connection:
            # Several copies may find an old store at once: the first one to have the lock migrates it.
            migrate.upgrade(connection)

    def remove(self) -> None:
        """Remove everything: for an authority that did not come to be."""
        with self._translated(), self._writing_engine().begin() as connection:
            schema.metadata.drop_all(connection)
            connection.exec_driver_sql("DROP TABLE alembic_version")


def _close(writer: Writer, engine: Engine, process: int) -> None:
    if os.getpid() == process:
        writer.close()
        engine.dispose()
