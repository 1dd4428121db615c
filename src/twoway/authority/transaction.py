"""One write transaction: rows are gathered, chained into the audit log, and inserted together."""

from __future__ import annotations

import datetime
import functools
import operator
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar, cast

from sqlalchemy import Table, exc, insert
from sqlalchemy.engine import Connection, CursorResult, Dialect
from sqlalchemy.sql import Executable

from twoway.authority import audit, schema

T = TypeVar("T")

# As text: it is asked in every transaction.
_NEWEST = "SELECT id, hash FROM audit WHERE id = (SELECT max(id) FROM audit)"


class Transaction:
    """What a piece of work may do to the store while it holds the write lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pending: dict[tuple[Table, tuple[str, ...]], list[dict[str, object]]] = {}
        self._head: audit.Head | None = None
        self._known: dict[Hashable, Any] = {}
        self.writes = 0

    @property
    def head(self) -> audit.Head:
        """The last row of the audit log, counting what this transaction adds."""
        if self._head is None:
            row = self.ask(_NEWEST)
            self._head = audit.Head(*row) if row else audit.START
        return self._head

    def add(self, table: Table, **row: object) -> None:
        """Insert a row, together with the others of this transaction."""
        self.writes += 1
        self._pending.setdefault((table, tuple(row)), []).append(row)

    def record(
        self, act: str, subject: str, *, actor: str, at: datetime.datetime, **detail: object
    ) -> audit.Row:
        """Append a row to the audit log."""
        row = audit.chained(self.head, at, actor, act, subject, detail)
        self._head = audit.Head(row.id, row.hash)
        self.add(schema.audit, **row._asdict())
        return row

    def execute(self, statement: Executable) -> CursorResult[Any]:
        """Run a statement after everything that was added so far. Use `read` for one that changes nothing."""
        self.writes += 1
        return self.read(statement)

    def read(self, statement: Executable) -> CursorResult[Any]:
        """Run a query that sees everything that was added so far."""
        self.flush()
        return self._connection.execute(statement)

    def ask(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """The first row of a query as text with `?` for each value, for what is asked in every transaction."""
        dialect, driver = self._connection.dialect, self._connection.dialect.loaded_dbapi
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(sql if dialect.positional else sql.replace("?", "%s"), values)
            return cast("tuple[Any, ...] | None", cursor.fetchone())
        except driver.Error as failure:
            raise exc.DBAPIError.instance(sql, None, failure, driver.Error, dialect=dialect) from failure
        finally:
            cursor.close()

    def once(self, key: Hashable, question: Callable[[], T]) -> T:
        """The answer to a question that is the same for every piece of work in this transaction."""
        if key not in self._known:
            self._known[key] = question()
        answer: T = self._known[key]
        return answer

    def flush(self) -> None:
        """Send what was gathered to the database."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        # Straight to the driver: at a few thousand rows a second, half the time went into what is in between.
        dialect, driver = self._connection.dialect, self._connection.dialect.loaded_dbapi
        cursor = self._connection.connection.cursor()
        try:
            for (table, columns), rows in pending.items():
                sql, order = _insert(table, columns, dialect)
                cursor.executemany(sql, rows if order is None else [order(row) for row in rows])
        except driver.Error as failure:
            raise exc.DBAPIError.instance(sql, None, failure, driver.Error, dialect=dialect) from failure
        finally:
            cursor.close()


@functools.lru_cache(maxsize=64)
def _insert(
    table: Table, columns: tuple[str, ...], dialect: Dialect
) -> tuple[str, Callable[[Mapping[str, object]], tuple[object, ...]] | None]:
    """The statement, and what puts a row in its order; None where the driver takes rows by name."""
    compiled = insert(table).inline().compile(dialect=dialect, column_keys=list(columns))
    order = operator.itemgetter(*(compiled.positiontup or ())) if compiled.positional else None
    return str(compiled), order
