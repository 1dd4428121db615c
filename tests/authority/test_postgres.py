"""PostgreSQL: what a lost server, a held lock and a full disk are told as, and that nothing is lost by them."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.conftest import NOW, MakeAuthority
from tests.postgres import Server, server
from twoway.authority import Authority
from twoway.authority.directory import STORE_URL
from twoway.authority.faults import (
    DirectoryTaken,
    DiskFull,
    NotAnAuthority,
    StoreLocked,
    StoreTaken,
    StoreUnreachable,
    StoreUnusable,
)
from twoway.authority.postgres import _FAMILY, _WRITE, Postgres
from twoway.authority.store import Store
from twoway.errors import UsageError

STORES = ("postgresql",)
pytestmark = pytest.mark.judge


def test_an_authority_finds_its_database_again_by_its_directory(authority: Authority) -> None:
    """Every verb works as before; the URL, which may hold a password, is the owner's alone."""
    authority.issue_client("orders", now=NOW)
    file = authority.directory / STORE_URL
    assert file.stat().st_mode & 0o777 == 0o600
    with Authority.open(authority.directory) as again:
        assert [record.common_name for record in again.list()] == ["orders"]
        assert again.verify_audit().certificates == 1
    with pytest.raises(DirectoryTaken):
        Authority.create(authority.directory, name="Acme", no_passphrase=True)


def test_another_machine_needs_the_keys_and_the_address(authority: Authority, tmp_path: Path) -> None:
    """A copy of the directory is a second copy of the service; both write into one chain."""
    shutil.copytree(authority.directory, tmp_path / "copy")
    with Authority.open(tmp_path / "copy") as other:
        threads = [
            threading.Thread(target=lambda one=one: [one.issue_client("x", now=NOW) for _ in range(20)])  # type: ignore[misc]
            for one in (authority, other)
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert other.verify_audit().certificates == 120
        assert len({record.serial for record in other.list()}) == 120


def test_a_database_with_an_authority_in_it_is_not_used_for_another(
    authority: Authority, tmp_path: Path
) -> None:
    url = (authority.directory / STORE_URL).read_text().strip()
    authority.issue_client("orders", now=NOW)
    with pytest.raises(StoreTaken):
        Authority.create(tmp_path / "second", name="Other", no_passphrase=True, store=url)
    assert not (tmp_path / "second").exists()
    assert len(authority.list()) == 1


def test_an_authority_that_does_not_come_to_be_leaves_its_database_empty(
    make_authority: MakeAuthority, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.fresh()

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr("twoway.authority.founding._enter", fail)
        Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True, store=url)
    Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True, store=url).close()


def test_a_lock_that_is_held_too_long_is_told(authority: Authority, postgres: Server) -> None:
    url = (authority.directory / STORE_URL).read_text().strip()
    database = url.split("@/")[1].split("?")[0]
    with (
        Authority.open(authority.directory, lock_wait=0.05) as hasty,
        postgres.connect(database) as holder,
    ):
        holder.execute("SELECT pg_advisory_lock(%s, %s)", (_FAMILY, _WRITE))
        with pytest.raises(StoreLocked) as locked:
            hasty.issue_client("orders", now=NOW)
        assert locked.value.waited == 0.05
        assert "pg_locks" in locked.value.remedy
        holder.execute("SELECT pg_advisory_unlock(%s, %s)", (_FAMILY, _WRITE))
        hasty.issue_client("orders", now=NOW)


def cut(postgres: Server, database: str) -> int:
    """End every connection to a database, as a restart or a network would."""
    with postgres.connect() as connection:
        done = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
        )
        return len(done.fetchall())


def test_a_lost_connection_is_told_and_the_next_call_connects_anew(
    authority: Authority, postgres: Server
) -> None:
    """Nothing is handed out that is not remembered, and nobody has to restart anything."""
    authority.issue_client("before", now=NOW)
    database = (authority.directory / STORE_URL).read_text().split("@/")[1].split("?")[0]
    handed_out = 1
    for _ in range(5):
        assert cut(postgres, database)
        try:
            authority.issue_client("during", now=NOW)
            handed_out += 1
        except StoreUnreachable as lost:
            assert "nothing was handed out" in str(lost)
        authority.issue_client("after", now=NOW)
        handed_out += 1
    assert handed_out <= len(authority.list())
    assert authority.verify_audit().certificates == len(authority.list())


def test_connections_that_are_cut_at_any_moment_lose_nothing(authority: Authority, postgres: Server) -> None:
    """Issuing from several threads while the server cuts every connection again and again."""
    database = (authority.directory / STORE_URL).read_text().split("@/")[1].split("?")[0]
    handed_out: list[str] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def issue() -> None:
        while not stop.is_set():
            try:
                leaf = authority.issue_client("orders", now=NOW).leaf
                handed_out.append(f"{leaf.serial_number:x}")
            except StoreUnreachable:
                continue
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=issue) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        while len(handed_out) < 5 * number and not errors:
            stop.wait(0.001)
        cut(postgres, database)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(set(handed_out)) == len(handed_out) >= 95
    assert set(handed_out) <= {record.serial for record in authority.list()}
    authority.verify_audit()


@contextlib.contextmanager
def stopped(own: Server) -> Iterator[None]:
    own.process.terminate()
    own.process.wait(20)
    yield


def test_a_server_that_is_gone_is_told(tmp_path: Path) -> None:
    with server() as own:
        authority = Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True, store=own.fresh())
        own.process.kill()
        own.process.wait()
        with pytest.raises(StoreUnreachable):
            authority.issue_client("orders")
        with pytest.raises(StoreUnreachable):
            authority.list()
        authority.close()
        with pytest.raises(StoreUnreachable):
            Authority.open(tmp_path / "pki")


def test_a_full_disk_is_told_and_nothing_is_handed_out(tmp_path: Path) -> None:
    """53100, raised by the server where it would be: a limit on temporary files is the same code."""
    failure = type("Failure", (Exception,), {"sqlstate": "53100"})
    database = Postgres("postgresql://twoway@db.acme.example/pki", 10)
    assert isinstance(database.fault(failure("no space left")), DiskFull)


def test_what_else_a_server_says_is_told_with_its_words(authority: Authority) -> None:
    def look() -> None:
        with authority.store.read() as connection:
            connection.exec_driver_sql("SELECT nothing FROM nowhere")

    with pytest.raises(StoreUnusable, match="nowhere"):
        look()


def test_a_password_in_the_address_is_never_told() -> None:
    database = Postgres("postgresql+psycopg://ca:secret@db.acme.example/pki", 10)
    assert "secret" not in database.where
    assert "db.acme.example/pki" in database.where


def test_another_kind_of_address_is_refused() -> None:
    with pytest.raises(UsageError, match="no store can be in mysql"):
        Store("mysql://db/pki")


def test_a_directory_without_either_is_no_authority(authority: Authority, tmp_path: Path) -> None:
    (authority.directory / STORE_URL).unlink()
    with pytest.raises(NotAnAuthority):
        Authority.open(authority.directory)
