"""SQLite in WAL mode with `synchronous=FULL`, so that what is committed survives a power cut."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from twoway.authority.faults import DiskFull, StoreLocked, StoreUnusable

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    # Serial numbers and fingerprints are random: every insertion touches other pages of the indexes. With the
    # default of 2 MiB a large store reads and writes them again and again (docs/why/store.md).
    "cache_size=-32768",
    "wal_autocheckpoint=4000",
)


class Sqlite:
    """One file."""

    errors = sqlite3.Error
    at_hand = True  # a reader of a WAL waits for no writer

    def __init__(self, path: Path, lock_wait: float) -> None:
        self.where, self._path, self._lock_wait = str(path), path, lock_wait

    def engine(self) -> Engine:
        engine = sqlalchemy.create_engine(
            f"sqlite:///{self._path}", connect_args={"timeout": self._lock_wait}, pool_size=8, max_overflow=56
        )
        event.listen(engine, "connect", _prepare_connection)
        event.listen(engine, "begin", _begin_transaction)
        return engine

    def writing(self, engine: Engine) -> Engine:
        return engine.execution_options(twoway_writes=True)

    def fault(self, failure: BaseException) -> Exception:
        code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreLocked(self.where, self._lock_wait)
        # On a full disk even a reader fails, and with another code: there is no room for the WAL's shared memory.
        if code == sqlite3.SQLITE_FULL or (code in _NO_FILE and _is_full(self._path)):
            return DiskFull(self.where)
        return StoreUnusable(self.where, str(failure))

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """By a lock on a file beside the database, which the kernel lets go of with the process."""
        descriptor = os.open(f"{self._path}.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get("twoway_writes")
    # A writer takes the lock at once: to begin as a reader and become a writer fails where others wrote between.
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN").close()


_NO_FILE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_LEAST_ROOM = 65536  # bytes


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST_ROOM
