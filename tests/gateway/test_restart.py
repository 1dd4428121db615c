"""A restart without a gap: the next process gets the sockets and takes over once it is ready."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Backend, Pki, ask, context_of, until, wrap
from tests.gateway.program import Load, Program


@pytest.fixture
def start(pki: Pki, backend: Backend, tmp_path: Path) -> Iterator[Any]:
    made: list[Program] = []

    def make(**more: Any) -> Program:
        made.append(Program(pki, backend, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_no_client_notices_a_restart_under_load(pki: Pki, start: Any, workers: int):
    """By SIGUSR2 and by the admin socket: not one connection is refused, reset or left unanswered."""
    program = start(gateway=f"workers = {workers}")
    load = Load(pki, program.port)
    try:
        load.more(20)
        program.process.send_signal(signal.SIGUSR2)
        until(lambda: program.events("handed-over"), 30)
        assert program.process.wait(30) == 0
        load.more(20)
        done = program.ask("restart")
        assert done.returncode == 0, done.stderr
        load.more(20)
    finally:
        load.stop()
    assert load.failures == []
    status = program.status()
    assert status["ready"]
    assert f"process {status['pid']} serves" in done.stdout
    assert len(status["workers"]) == workers


@pytest.mark.slow
def test_open_connections_outlive_the_handover(pki: Pki, start: Any):
    """The old process lets them finish; the new one takes all that come."""
    program = start()
    with wrap(program.port, context_of(pki)) as sock:
        assert ask(sock) == b"ping"
        assert program.ask("restart").returncode == 0
        assert ask(sock) == b"ping"
        with wrap(program.port, context_of(pki)) as other:
            assert ask(other) == b"ping"
            assert program.status()["listeners"][0]["open"] == 1
        assert program.process.poll() is None
    assert program.process.wait(30) == 0


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["file", "identity", "port"])
def test_a_successor_that_does_not_come_up_changes_nothing(pki: Pki, start: Any, broken: str):
    """The old process goes on, says why, and can be asked again; nothing of it was taken away."""
    program = start()
    port = program.port
    good = program.file.read_text()
    key = program.place / "api" / "key.pem"
    if broken == "file":
        program.file.write_text("[gateway\n")
    elif broken == "identity":
        key.rename(key.with_suffix(".away"))
    else:
        program.file.write_text(f'{good}\n[[listener]]\nkind = "server"\nlisten = "127.0.0.1:{port + 1}"\ntarget = "127.0.0.1:1"\nidentity = "away"\nallow = "cn=x"\n')  # fmt: skip
    done = program.ask("restart")
    assert done.returncode == 2
    assert "the old one goes on" in done.stderr
    assert program.events("restart-failed")
    assert program.process.poll() is None
    with wrap(port, context_of(pki)) as sock:
        assert ask(sock) == b"ping"
    assert program.status()["pid"] == program.process.pid
    program.file.write_text(good)
    if broken == "identity":
        key.with_suffix(".away").rename(key)
    assert program.ask("restart").returncode == 0
    with wrap(port, context_of(pki)) as sock:
        assert ask(sock) == b"ping"


@pytest.mark.slow
def test_a_restart_takes_over_a_changed_file(pki: Pki, start: Any, tmp_path: Path):
    """More workers, another listener, another policy: what a reload cannot change, a restart can."""
    program = start(gateway="workers = 2")
    port = program.port
    text = program.file.read_text().replace("workers = 2", "workers = 3")
    program.file.write_text(text + f'[[listener]]\nkind = "server"\nname = "second"\nlisten = "unix:{tmp_path}/second.sock"\ntarget = "127.0.0.1:1"\nidentity = "api"\nallow = "cn=x"\n')  # fmt: skip
    assert program.ask("restart").returncode == 0
    status = program.status()
    assert len(status["workers"]) == 3
    assert [one["name"] for one in status["listeners"]] == ["api", "second"]
    for _ in range(6):
        with wrap(port, context_of(pki)) as sock:
            assert ask(sock) == b"ping"
    program.file.write_text(text.replace("workers = 3", "workers = 1"))
    load = Load(pki, port)
    try:
        load.more(5)
        assert program.ask("restart").returncode == 0
        load.more(15)  # two sockets are left over: the one worker listens on all three
    finally:
        load.stop()
    assert load.failures == []


@pytest.mark.slow
def test_a_second_signal_ends_at_once(pki: Pki, start: Any):
    """SIGTERM drains; a second one does not wait for the connections that are left."""
    program = start()
    with wrap(program.port, context_of(pki)) as sock:
        assert ask(sock) == b"ping"
        program.process.send_signal(signal.SIGTERM)
        until(lambda: program.events("draining"))
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.3)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(10) == 0
    assert program.pids() == []
    assert not os.path.exists(program.admin)


@pytest.mark.slow
def test_a_restart_moves_to_another_address(pki: Pki, start: Any):
    """A listener that keeps its name and gets another address listens there, and no longer where it did."""
    program = start(gateway='metrics = "127.0.0.1:0"')
    before, page = program.port, program.events("metrics")[0]["port"]
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    text = program.file.read_text().replace('metrics = "127.0.0.1:0"', f'metrics = "127.0.0.1:{ports[1]}"')
    program.file.write_text(text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{ports[0]}"'))
    assert program.ask("restart").returncode == 0
    with wrap(ports[0], context_of(pki)) as sock:
        assert ask(sock) == b"ping"
    socket.create_connection(("127.0.0.1", ports[1]), 10).close()
    assert program.process.wait(30) == 0
    for gone in (before, page):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gone), 10)
