"""SQLite: durable, locked, full, damaged, and each of it told as what it is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy

from tests.authority.conftest import NOW
from tests.authority.test_store import add_name
from twoway.authority import Authority
from twoway.authority.faults import DiskFull, StoreLocked, StoreUnusable
from twoway.authority.sqlite import Sqlite
from twoway.authority.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.create(tmp_path / "authority.db")
    yield store
    store.close()


def pragma(store: Store, name: str) -> object:
    with store.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_commits_are_synchronous_and_ahead_in_a_log(store: Store) -> None:
    """SQLite: FULL (2) syncs the log at each commit, so that a power cut takes nothing that was promised."""
    assert (pragma(store, "journal_mode"), pragma(store, "synchronous"), pragma(store, "foreign_keys")) == (
        "wal",
        2,
        1,
    )


def test_a_lock_that_is_held_too_long_is_told(tmp_path: Path) -> None:
    Store.create(tmp_path / "authority.db").close()
    holder = sqlite3.connect(tmp_path / "authority.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    store = Store.open(tmp_path / "authority.db", lock_wait=0.05)
    with pytest.raises(StoreLocked) as locked:
        store.write(lambda transaction: add_name(transaction, "x"))
    assert locked.value.args == (str(tmp_path / "authority.db"), 0.05)
    holder.execute("ROLLBACK")
    holder.close()
    assert store.write(lambda transaction: add_name(transaction, "x")) == "x"
    store.close()


def issue_many(authority: Authority, number: int) -> None:
    for _ in range(number):
        authority.issue_client("one of many", now=NOW)


def test_a_full_disk_is_told_and_nothing_is_handed_out(authority: Authority) -> None:
    """SQLITE_FULL, here by SQLite's own limit; with room again, work goes on."""
    authority.issue_client("before", now=NOW)
    limits = [pragma(authority.store, "page_count"), 1_000_000]

    def limit(pages: object) -> None:
        authority.store.write(
            lambda transaction: transaction.read(sqlalchemy.text(f"PRAGMA max_page_count = {pages}")).scalar()
        )

    limit(limits[0])
    with pytest.raises(DiskFull) as full:
        issue_many(authority, 200)
    assert full.value.path.endswith("authority.db")
    remembered = len(authority.list())
    limit(limits[1])
    authority.issue_client("after", now=NOW)
    assert len(authority.list()) == remembered + 1
    assert authority.verify_audit().certificates == remembered + 1


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR | 19 << 8, sqlite3.SQLITE_CANTOPEN])
@pytest.mark.parametrize(("room", "kind"), [(0, DiskFull), (1 << 30, StoreUnusable)])
def test_a_disk_without_room_is_not_told_as_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, room: int, kind: type
) -> None:
    """Where not even the WAL's shared memory finds room SQLite says "disk I/O error", to readers too."""
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = code
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=room, f_frsize=1))
    assert type(Sqlite(tmp_path / "authority.db", 1.0).fault(failure)) is kind


def open_and_read(directory: Path) -> None:
    with Authority.open(directory) as opened:
        opened.list()
        opened.verify_audit()


def test_a_damaged_file_is_told(authority: Authority) -> None:
    path = authority.directory / "authority.db"
    authority.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096 : 4096 * 3] = os.urandom(8192)
    path.write_bytes(damaged)
    with pytest.raises(StoreUnusable):
        open_and_read(authority.directory)
