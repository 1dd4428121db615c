"""The store: what is committed is committed, what fails says why, and several processes get along."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from tests.authority.conftest import NOW
from twoway.authority import Authority, migrate, schema
from twoway.authority.faults import StoreTooNew
from twoway.authority.store import Store
from twoway.authority.transaction import Transaction
from twoway.authority.writer import Preparation

STORES = ("sqlite", "postgresql")


@pytest.fixture
def store(tmp_path: Path, store_url: str | None) -> Iterator[Store]:
    store = Store.create(store_url or tmp_path / "authority.db")
    store.write(lambda transaction: add_name(transaction, "first"))
    yield store
    store.close()


def add_name(transaction: Transaction, value: str) -> str:
    transaction.add(schema.names, value=value, kind="dns", serial="1")
    return value


def stored(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(schema.names.c.value).order_by(schema.names.c.value)).scalars())


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


def test_a_store_of_a_later_version_is_left_alone(authority: Authority) -> None:
    def later(transaction: Transaction) -> None:
        transaction.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))

    authority.store.write(later)
    where = authority.store.where
    authority.close()
    with pytest.raises(StoreTooNew) as new:
        Authority.open(authority.directory)
    assert new.value.args == (where, schema.VERSION, "9999")


def columns(engine: sqlalchemy.Engine) -> dict[str, object]:
    inspector = sqlalchemy.inspect(engine)
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(map(str, inspector.get_indexes(table))),
            sorted(map(str, inspector.get_unique_constraints(table))),
            sorted(map(str, inspector.get_foreign_keys(table))),
        )
        for table in sorted(inspector.get_table_names())
        if table != "alembic_version"
    }


def begun_long_ago(place: Path | str) -> None:
    """A store as the first version of twoway would have left it before its first migration."""
    old = Store(place)
    with old._writing_engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        migrate.upgrade(connection, "0001")
    old.close()


def test_the_migrations_lead_to_the_same_tables_as_a_fresh_store(
    tmp_path: Path, store: Store, store_kind: str, request: pytest.FixtureRequest
) -> None:
    """A fresh store is made without Alembic, which takes long to import: the two ways must not part.

    An older store is migrated when it is opened, by whoever is first of several.
    """
    sqlite = store_kind == "sqlite"
    place = tmp_path / "old.db" if sqlite else request.getfixturevalue("postgres").fresh()
    begun_long_ago(place)
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store.open(place))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert columns(opened[0]._engine) == columns(store._engine)
    assert {each._version() for each in opened} == {store._version()} == {schema.VERSION}
    for each in opened:
        each.close()


def test_only_one_process_is_alone_with_a_task(authority: Authority) -> None:
    """Several copies keep CRLs fresh: one at a time does it, and another one takes over when it dies."""
    code = (
        "import sys; from twoway.authority import Authority\n"
        "with Authority.open(sys.argv[1]) as a, a.store.alone('crl') as alone, a.store.alone('other') as other:\n"
        "    print(alone, other, flush=True); sys.stdin.read(1)"
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, authority.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def said(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    with start() as first:
        assert said(first) == "True True"
        with authority.store.alone("crl") as alone, start() as second:
            assert not alone
            assert said(second) == "False False"
            second.kill()
        first.kill()
    deadline, alone = time.monotonic() + 10, False
    while not alone and time.monotonic() < deadline:
        with authority.store.alone("crl") as alone:
            pass
    assert alone


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


def test_work_can_be_handed_over_without_waiting(store: Store) -> None:
    """A service's event loop waits for no thread: the result, or the failure, is told from the writer's."""
    told: list[tuple[object, BaseException | None]] = []
    heard = threading.Semaphore(0)

    def preparing(value: str) -> Preparation[str]:
        yield
        if value == "never":
            raise RuntimeError("not prepared")
        return lambda transaction: add_name(transaction, value)

    def finished(value: str | None, failure: BaseException | None) -> None:
        told.append((value, failure))
        heard.release()

    for value in ("second", "first", "never"):
        store.write_prepared_soon(preparing(value), finished)
        assert heard.acquire(timeout=10)
    assert told[0] == ("second", None)
    assert isinstance(told[1][1], IntegrityError)
    assert str(told[2][1]) == "not prepared"
    assert stored(store) == ["first", "second"]
