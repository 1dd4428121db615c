"""Privileges are given up after the start, and the sockets of others are theirs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.gateway.conftest import Backend, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.program import Program
from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.gateway.options import GatewayOptions
from twoway.gateway.privileges import Account, CannotDrop

ROOT = os.geteuid() == 0


@pytest.mark.slow
def test_nothing_runs_as_root_once_it_serves(pki: Pki, backend: Backend, tmp_path: Path):
    """As root: parent and workers become the user, and say which files they cannot read again. As anybody else: no."""
    program = Program(pki, backend, tmp_path, gateway='user = "nobody"\nworkers = 2')
    try:
        if not ROOT:
            assert program.process.wait(30) == 2
            assert "cannot go on as nobody" in program.log.read_text()
            return
        port = program.port
        for pid in program.pids():
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            assert set(status["Uid"].split()) == {str(Account.find("nobody").uid)}
            assert set(status["Gid"].split()) == {str(Account.find("nobody").gid)}
            assert int(status["CapEff"], 16) == 0
        with wrap(port, context_of(pki)) as sock:
            assert ask(sock) == b"ping"
        assert any(one["path"].endswith("key.pem") for one in program.events("unreadable"))
        assert os.stat(program.admin).st_uid == Account.find("nobody").uid
        assert program.ask("reload").returncode == 1
        assert program.ask("restart").returncode == 2
        with wrap(port, context_of(pki)) as sock:
            assert ask(sock) == b"ping"
    finally:
        program.close()


def test_check_says_what_a_reload_could_not_read(
    pki: Pki, backend: Backend, tmp_path: Path, run_twoway: Command
):
    """It would start, exit 0; the warning names the user and the file."""
    program = Program(pki, backend, tmp_path, gateway='user = "nobody"', wrapper=["true"])
    program.process.wait(10)
    done = run_twoway("gateway", "check", program.file)
    assert done.returncode == 0
    assert "nobody cannot read" in done.stderr
    assert "key.pem" in done.stderr


def test_check_beside_the_running_gateway(pki: Pki, backend: Backend, tmp_path: Path, run_twoway: Command):
    """Its own address is taken: with --running that is no fault."""
    program = Program(pki, backend, tmp_path)
    try:
        program.file.write_text(program.file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{program.port}"))
        assert run_twoway("gateway", "check", program.file).returncode == 2
        assert run_twoway("gateway", "check", program.file, "--running").returncode == 0
    finally:
        program.close()


@pytest.mark.parametrize(("user", "group"), [("no-such-user", ""), ("nobody", "no-such-group")])
def test_who_is_not_there_stops_the_start(user: str, group: str):
    with pytest.raises(CannotDrop) as caught:
        Account.find(user, group)
    assert "there is no" in str(caught.value)


def test_what_an_account_may_read_is_told_by_modes(tmp_path: Path):
    """Owner, group and others, and every folder on the way."""
    tmp_path.chmod(0o711)
    file = tmp_path / "file"
    file.write_text("x")
    for parent in tmp_path.parents:  # the folders above are the test runner's
        if not parent.stat().st_mode & 0o001:
            other = Account("other", parent.stat().st_uid, 1, (1,))
            break
    else:
        other = Account("other", 4_000_000, 4_000_000, (4_000_000,))
    mine = Account("mine", file.stat().st_uid, 4_000_000, (4_000_000,))
    file.chmod(0o600)
    stranger = Account("stranger", 4_000_001, 4_000_001, (4_000_001,))
    assert stranger.unreadable([file]) == [file]
    assert mine.unreadable([file]) == (
        [] if mine.uid == 0 or other.uid == mine.uid else mine.unreadable([file])
    )
    assert stranger.unreadable([tmp_path / "not-there"]) == []


def test_a_unix_socket_is_the_owners_unless_told_otherwise(pki: Pki, backend: Backend, tmp_path: Path):
    """Mode 600 from its first moment on; `listen_mode` opens it for a group."""
    for mode in (0o600, 0o660):
        path = tmp_path / f"{mode:o}.sock"
        with running(gateway_of(pki, backend, listen=Address(path=str(path)), listen_mode=mode)):
            assert stat.S_IMODE(path.stat().st_mode) == mode
        until(lambda path=path: not path.exists())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"listen_mode": 0o660}, "for UNIX sockets"),
        ({"listen_owner": "nobody"}, "for UNIX sockets"),
    ],
)
def test_modes_and_owners_of_ports_are_refused(pki: Pki, more: dict[str, Any], told: str):
    with pytest.raises(UsageError) as caught:
        gateway_of(pki, Address(host="127.0.0.1", port=1), **more)
    assert told in str(caught.value)


def test_a_group_without_a_user_is_refused(pki: Pki, backend: Backend):
    gateway = gateway_of(pki, backend)
    with pytest.raises(UsageError):
        GatewayOptions(listeners=gateway.options.listeners, group="nogroup")
    gateway.frontends[0].stop()
    gateway.loop.dispose()


def test_an_owner_who_is_not_there_leaves_no_socket_behind(pki: Pki, backend: Backend, tmp_path: Path):
    """Nothing is bound, so nothing is in the way of the next start."""
    path = tmp_path / "in.sock"
    with pytest.raises(UsageError) as caught:
        gateway_of(pki, backend, listen=Address(path=str(path)), listen_owner="no-such-user:")
    assert "there is no such user" in str(caught.value)
    assert not path.exists()
