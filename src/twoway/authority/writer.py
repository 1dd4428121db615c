"""Group commit: one thread that commits whatever waits for it in one transaction.

The transaction is on the disk before anybody whose work is in it is told so.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import exc
from sqlalchemy.engine import Connection, Engine

from twoway.authority.transaction import Transaction

T = TypeVar("T")

MAX_BATCH = 256  # pieces of work in one transaction


class Writer:
    """The one writing connection of a store, and the queue in front of it.

    `guard` is entered around everything that touches the database; it turns the database's errors into typed ones.
    """

    def __init__(self, engine: Engine, guard: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = engine.execution_options(twoway_writes=True)
        self._guard = guard
        self._queue: queue.SimpleQueue[_Ticket[Any] | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, once what it wrote is committed; or the exception that it raised."""
        if self._thread is None:
            self._start()
        ticket = _Ticket(work)
        self._queue.put(ticket)
        return ticket.result()

    def close(self) -> None:
        """Commit what waits, then end the thread."""
        with self._starting:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="twoway-store", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        connection: Connection | None = None
        while (batch := self._next_batch()) is not None:
            try:
                with self._guard():
                    connection = connection or self._engine.connect()
            except BaseException as failure:  # noqa: BLE001 - it is raised in the callers' threads
                for ticket in batch:
                    ticket.fail(failure)
            else:
                self._commit(connection, batch)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> list[_Ticket[Any]] | None:
        """Everything that waits, at least one; None when the writer is being closed."""
        batch: list[_Ticket[Any]] = []
        while len(batch) < MAX_BATCH:
            try:
                ticket = self._queue.get(block=not batch)
            except queue.Empty:
                break
            if ticket is None:
                if not batch:
                    return None
                self._queue.put(None)
                break
            batch.append(ticket)
        return batch

    def _commit(self, connection: Connection, batch: list[_Ticket[Any]]) -> None:
        try:
            with self._guard(), connection.begin():
                transaction = Transaction(connection)
                for ticket in batch:
                    ticket.run(transaction)
                transaction.flush()
        except (_RolledBackError, exc.IntegrityError) as failure:
            if len(batch) == 1:
                batch[0].fail(failure.__cause__ if isinstance(failure, _RolledBackError) else failure)
                return
            # One of them spoilt it for the others: each gets a transaction of its own.
            for ticket in batch:
                self._commit(connection, [ticket])
        except BaseException as failure:  # noqa: BLE001 - it is raised in the callers' threads
            for ticket in batch:
                ticket.fail(failure)
        else:
            for ticket in batch:
                ticket.succeed()


class _RolledBackError(Exception):
    """Work that had already written failed: its whole transaction has to be undone."""


class _Ticket(Generic[T]):
    """One caller's work in the queue, and afterwards its result."""

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self._work = work
        self._value: T | None = None
        self._failure: BaseException | None = None
        self._finished = threading.Lock()
        self._finished.acquire()

    def run(self, transaction: Transaction) -> None:
        before = transaction.writes
        self._failure = None
        try:
            self._value = self._work(transaction)
        except exc.DBAPIError:
            raise
        except Exception as failure:
            if transaction.writes != before:
                raise _RolledBackError from failure
            self._failure = failure

    def succeed(self) -> None:
        self._finished.release()

    def fail(self, failure: BaseException | None) -> None:
        self._failure = failure
        self._finished.release()

    def result(self) -> T:
        self._finished.acquire()
        if self._failure is not None:
            raise self._failure
        return cast(T, self._value)
