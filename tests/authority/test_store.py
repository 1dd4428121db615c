"""The store: what is committed is committed, what fails says why, and several processes get along."""

from __future__ import annotations

import functools
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from tests.authority.conftest import NOW
from twoway.authority import Authority, migrate, schema
from twoway.authority.faults import DiskFull, StoreLocked, StoreTooNew, StoreUnusable
from twoway.authority.store import Store, _fault
from twoway.authority.transaction import Transaction


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.create(tmp_path / "authority.db")
    store.write(lambda transaction: add_name(transaction, "first"))
    yield store
    store.close()


def add_name(transaction: Transaction, value: str) -> str:
    transaction.add(schema.names, value=value, kind="dns", serial="1")
    return value


def stored(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(schema.names.c.value).order_by(schema.names.c.value)).scalars())


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


def gathered(store: Store, *works: Callable[[], object]) -> None:
    """Run all of these in threads so that they wait together behind one transaction that is under way."""
    begun, gate = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        begun.set()
        gate.wait(10)

    threads = [threading.Thread(target=store.write, args=(hold,))]
    threads[0].start()
    assert begun.wait(10)
    threads += [threading.Thread(target=work) for work in works]
    for thread in threads[1:]:
        thread.start()
    deadline = time.monotonic() + 10
    while store._writer._queue.qsize() < len(works) and time.monotonic() < deadline:
        time.sleep(0)
    gate.set()
    for thread in threads:
        thread.join(10)


def test_work_that_waits_is_committed_together(store: Store) -> None:
    """While one transaction is on its way to the disk, the next one gathers."""
    batches = []
    commit = store._writer._commit

    def counted(connection: object, batch: list[object]) -> None:
        batches.append(len(batch))
        commit(connection, batch)  # type: ignore[arg-type]

    store._writer._commit = counted  # type: ignore[method-assign]
    gathered(
        store,
        *(functools.partial(store.write, lambda t, n=n: add_name(t, f"n{n}")) for n in range(9)),  # type: ignore[misc]
    )
    assert len(stored(store)) == 10
    assert batches == [1, 9]


def test_one_failure_undoes_only_its_own_work(store: Store) -> None:
    """A clash in a shared transaction is found out, and the others are committed all the same."""
    results: dict[str, object] = {}

    def attempt(value: str) -> None:
        try:
            results[value] = store.write(lambda transaction: add_name(transaction, value))
        except IntegrityError:
            results[value] = "taken"

    gathered(store, *(functools.partial(attempt, value) for value in ("a", "first", "b")))
    assert results == {"a": "a", "first": "taken", "b": "b"}
    assert stored(store) == ["a", "b", "first"]


def test_work_that_raises_after_writing_leaves_nothing(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        add_name(transaction, "half")
        transaction.flush()
        raise RuntimeError("half done")

    with pytest.raises(RuntimeError, match="half done"):
        store.write(work)
    assert stored(store) == ["first"]
    assert store.write(lambda transaction: add_name(transaction, "next")) == "next"


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.read() as connection:
        count = select(func.count()).select_from(schema.names)
        assert connection.execute(count).scalar() == 1
        store.write(lambda transaction: add_name(transaction, "second"))
        assert connection.execute(count).scalar() == 1
    assert len(stored(store)) == 2


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


def open_and_read(directory: Path) -> None:
    with Authority.open(directory) as opened:
        opened.list()
        opened.verify_audit()


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
    assert type(_fault(tmp_path / "authority.db", 1.0, failure)) is kind


def test_a_damaged_file_is_told(authority: Authority) -> None:
    path = authority.directory / "authority.db"
    authority.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096 : 4096 * 3] = os.urandom(8192)
    path.write_bytes(damaged)
    with pytest.raises(StoreUnusable):
        open_and_read(authority.directory)


def test_a_store_of_a_later_version_is_left_alone(authority: Authority) -> None:
    path = authority.directory / "authority.db"
    authority.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreTooNew) as new:
        Authority.open(authority.directory)
    assert new.value.args == (str(path), schema.VERSION, "9999")


def columns(engine: sqlalchemy.Engine) -> dict[str, object]:
    inspector = sqlalchemy.inspect(engine)
    return {
        table: (
            [
                (c["name"], str(c["type"]), c["nullable"], c["primary_key"])
                for c in inspector.get_columns(table)
            ],
            sorted(map(str, inspector.get_indexes(table))),
            sorted(map(str, inspector.get_unique_constraints(table))),
            sorted(map(str, inspector.get_foreign_keys(table))),
        )
        for table in sorted(inspector.get_table_names())
        if table != "alembic_version"
    }


def test_the_migrations_lead_to_the_same_tables_as_a_fresh_store(tmp_path: Path, store: Store) -> None:
    """A fresh store is made without Alembic, which takes long to import: the two ways must not part."""
    old = Store(tmp_path / "old.db")
    with old._writing_engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        migrate.upgrade(connection)
    old.close()
    migrated = Store.open(tmp_path / "old.db")
    assert columns(migrated._engine) == columns(store._engine)
    assert migrated._version() == store._version() == schema.VERSION
    migrated.close()


def test_an_older_store_is_migrated_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "authority.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.close()
    store = Store(path)
    with store._writing_engine().begin() as writing:
        assert migrate.knows(schema.VERSION)
        migrate.upgrade(writing)
    store.close()
    assert stored(Store.open(path)) == []


def test_opening_does_not_import_alembic(authority: Authority) -> None:
    """Most of a second that a command line does not have."""
    code = (
        "import sys; from twoway.authority import Authority; Authority.open(sys.argv[1]).list();"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, authority.directory], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_forked_child_opens_the_store_for_itself(authority: Authority) -> None:
    authority.issue_client("parent", now=NOW)
    child = os.fork()
    if not child:
        try:
            authority.issue_client("child", now=NOW)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    authority.issue_client("parent again", now=NOW)
    assert [record.common_name for record in authority.list()] == ["parent", "child", "parent again"]
    authority.verify_audit()


ISSUE_MANY = """
import sys
from twoway.authority import Authority
with Authority.open(sys.argv[1]) as authority:
    for number in range(25):
        authority.issue_client(f"{sys.argv[2]}-{number}")
"""


def test_several_processes_issue_at_once_into_one_chain(authority: Authority) -> None:
    """The last hash is read inside the transaction that holds the write lock."""
    processes = [
        subprocess.Popen([sys.executable, "-c", ISSUE_MANY, authority.directory, name])
        for name in ("a", "b", "c")
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    report = authority.verify_audit()
    assert report.certificates == 75
    assert len({record.serial for record in authority.list()}) == 75


def test_a_serial_can_be_stored_once_only(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    serial = authority.list()[0].serial

    def again(transaction: Transaction) -> None:
        row = transaction.read(select(schema.certificates)).mappings().one()
        transaction.add(schema.certificates, **{**row, "id": 99, "fingerprint": "other"})

    with pytest.raises(IntegrityError):
        authority.store.write(again)
    assert [record.serial for record in authority.list()] == [serial]


def test_a_serial_that_is_taken_is_drawn_again(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    serials = iter([1 << 158, 1 << 158, (1 << 158) + 1])
    monkeypatch.setattr("twoway.authority.issuance.serial_number", lambda: next(serials))
    first, second = authority.issue_client("a", now=NOW), authority.issue_client("b", now=NOW)
    assert (first.leaf.serial_number, second.leaf.serial_number) == (1 << 158, (1 << 158) + 1)
    authority.verify_audit()
