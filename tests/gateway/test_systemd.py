"""The protocols of systemd, spoken with a service manager of ours: states out, sockets in, and the unit files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import judge
from tests.gateway.conftest import Backend, Pki, ask, context_of, until, wrap
from tests.gateway.program import Program
from twoway.gateway.notify import BadActivation, Notifier, activated

EXAMPLES = Path(__file__).parents[2] / "examples"

# What a service manager does between fork and exec: the sockets become 3, 4, …, and the variables name this process.
ACTIVATOR = """
import os, sys
sockets, names, *command = sys.argv[1:]
for index, number in enumerate(sockets.split(",")):
    os.dup2(int(number), 3 + index, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(index + 1), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


class Manager:
    """Hears what a service says of itself. `told` is one dict a datagram."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self._sock.setblocking(False)
        self._told: list[dict[str, str]] = []

    @property
    def told(self) -> list[dict[str, str]]:
        while True:
            try:
                data = self._sock.recv(65536)
            except BlockingIOError:
                return self._told
            self._told.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def has(self, name: str) -> list[dict[str, str]]:
        return [one for one in self.told if name in one]

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(str(tmp_path / "notify"))
    yield one
    one.close()


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
def test_a_service_manager_hears_of_every_state(start: Any, manager: Manager, tmp_path: Path):
    """READY only when connections are answered; RELOADING and READY around a reload; STOPPING at the end."""
    program = start(environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    (ready,) = until(lambda: manager.has("READY"), 30)
    assert ready["STATUS"] == "1 worker at work, generation 1"
    assert program.events("listening")
    program.process.send_signal(signal.SIGHUP)
    until(lambda: len(manager.has("READY")) == 2)
    (reloading,) = manager.has("RELOADING")
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert manager.has("READY")[1]["STATUS"] == "1 worker at work, generation 2"
    (program.place / "api" / "cert.pem").write_text("no certificate\n")
    program.process.send_signal(signal.SIGHUP)
    told = until(lambda: manager.has("READY")[2:])[0]["STATUS"]
    assert "the last reload failed" in told
    program.process.send_signal(signal.SIGTERM)
    until(lambda: manager.has("STOPPING"))
    assert program.process.wait(20) == 0


@pytest.mark.slow
def test_the_watchdog_is_fed_only_while_every_worker_answers(start: Any):
    """Under an abstract address; a worker that hangs is somebody who does not answer, and the manager decides."""
    address = f"@twoway-test-{os.getpid()}"
    manager = Manager(address)
    try:
        program = start(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"})
        until(lambda: len(manager.has("WATCHDOG")) >= 3, 30)
        (worker,) = [one["pid"] for one in program.status()["workers"]]
        os.kill(worker, signal.SIGSTOP)
        until(lambda: not fed_within(manager, 1.0))
        os.kill(worker, signal.SIGCONT)
        before = len(manager.has("WATCHDOG"))
        until(lambda: len(manager.has("WATCHDOG")) > before, 20)
    finally:
        manager.close()


def fed_within(manager: Manager, seconds: float) -> bool:
    before = len(manager.has("WATCHDOG"))
    try:
        until(lambda: len(manager.has("WATCHDOG")) > before, seconds)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_a_handover_names_the_new_main_process(start: Any, manager: Manager, tmp_path: Path):
    """MAINPID is said by the process that is known, before it ends; the new one is not told that it is stopping."""
    program = start(environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    until(lambda: manager.has("READY"), 30)
    assert program.ask("restart").returncode == 0
    (main,) = until(lambda: manager.has("MAINPID"))
    assert int(main["MAINPID"]) == program.status()["pid"]
    assert len(manager.has("READY")) == 2
    assert program.process.wait(20) == 0


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_a_socket_that_the_manager_has_opened_is_used(pki: Pki, start: Any, named: bool):
    """By its name or by its address; it survives a restart, and its process needs no right to open it."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        wrapper = [sys.executable, "-c", ACTIVATOR, str(sock.fileno()), "api" if named else "unknown"]
        listen = "127.0.0.1:1" if named else f"127.0.0.1:{port}"
        program = start(wrapper=wrapper, keep=[sock.fileno()], listen=listen)
        until(lambda: program.events("listening"), 30)
        for _ in range(2):
            with wrap(port, context_of(pki)) as client:
                assert ask(client) == b"ping"
            assert program.ask("restart").returncode == 0


@pytest.mark.slow
def test_a_socket_that_belongs_to_no_listener_stops_the_start(start: Any):
    """Somebody may be waiting at it: it is named, and nothing is served."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        wrapper = [sys.executable, "-c", ACTIVATOR, str(sock.fileno()), "other"]
        program = start(wrapper=wrapper, keep=[sock.fileno()])
        assert program.process.wait(30) == 2
        assert "'other'" in program.log.read_text()
        assert "FileDescriptorName=" in program.log.read_text()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"LISTEN_FDS": "x"}, "LISTEN_FDS is 'x'"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS is -1"),
        ({"LISTEN_FDS": "9999999"}, "LISTEN_FDS is 9999999"),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"}, "2 sockets and 1 names"),
    ],
)
def test_what_a_manager_cannot_mean_is_refused(variables: dict[str, str], told: str):
    environment = {"LISTEN_PID": "7", **variables}
    with pytest.raises(BadActivation) as caught:
        activated(environment, 7)
    assert told in str(caught.value)


def test_sockets_for_another_process_are_not_ours():
    """The variables go all the same, so that no child takes them for its own."""
    environment = {"LISTEN_PID": "8", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "HOME": "/"}
    assert activated(environment, 7) == []
    assert environment == {"HOME": "/"}


@given(
    st.dictionaries(st.sampled_from(["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]), st.text(max_size=12))
)
def test_no_environment_breaks_the_notifier(environment: dict[str, str]):
    """Without a manager, or with one that is gone, nothing happens."""
    notifier = Notifier(environment, 7)
    assert notifier.watchdog_seconds >= 0


@pytest.mark.judge
def test_systemd_accepts_the_unit_files_and_calls_them_hardened(tmp_path: Path):
    """`systemd-analyze verify` has nothing to say, and `security` rates the exposure below 2 of 10."""
    analyze = judge("systemd-analyze")
    text = (EXAMPLES / "twoway-gateway.service").read_text().replace("/usr/local/bin/twoway", "/bin/true")
    unit = tmp_path / "twoway-gateway.service"
    unit.write_text(text)
    (tmp_path / "twoway-gateway.socket").write_text((EXAMPLES / "twoway-gateway.socket").read_text())
    checked = subprocess.run(
        [analyze, "verify", str(unit), str(tmp_path / "twoway-gateway.socket")],
        capture_output=True,
        text=True,
    )
    assert "twoway" not in checked.stderr.replace("twoway-gateway.service: Unit configuration", "")
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", str(unit)], capture_output=True, text=True
    )
    assert rated.returncode == 0, rated.stdout[-400:]
