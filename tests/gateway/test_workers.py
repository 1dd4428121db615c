"""Several workers on one port: one view of them all, a reload for all of them, and one that dies is replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conftest import Backend, Pki, ask, context_of, until, wrap
from tests.gateway.program import Load, Program
from twoway.gateway.merging import merge
from twoway.gateway.sockets import share_out


@pytest.fixture
def program(pki: Pki, backend: Backend, tmp_path: Path) -> Iterator[Program]:
    one = Program(pki, backend, tmp_path, gateway='workers = 2\nmetrics = "127.0.0.1:0"')
    yield one
    one.close()


def connected(pki: Pki, program: Program, stack: contextlib.ExitStack, workers: int = 2) -> list[Any]:
    """Open connections until every worker has one."""
    found: list[Any] = []
    port = program.port
    while sum(one["open"] > 0 for one in program.status()["workers"]) < workers:
        sock = stack.enter_context(wrap(port, context_of(pki)))
        assert ask(sock) == b"ping"
        found.append(sock)
        assert len(found) < 60
    return found


@pytest.mark.slow
def test_one_view_shows_and_cuts_the_connections_of_all_workers(pki: Pki, program: Program):
    """status sums, connections lists all with numbers of their own, cut finds the worker that has it."""
    with contextlib.ExitStack() as stack:
        socks = connected(pki, program, stack)
        status = program.status()
        assert status["listeners"][0]["open"] == len(socks)
        assert status["listeners"][0]["admitted"] == len(socks)
        listed = program.ask("connections").stdout.splitlines()
        numbers = [line.split()[1].removeprefix("#") for line in listed]
        assert len(set(numbers)) == len(socks)
        assert program.ask("cut", "--number", numbers[0]).stdout == "cut 1 connection\n"
        until(lambda: program.status()["listeners"][0]["open"] == len(socks) - 1)
        fingerprint = program.ask("connections", "--json").stdout.split('"fingerprint": "')[1].split('"')[0]
        done = program.ask("cut", "--fingerprint", fingerprint)
        assert done.stdout == f"cut {len(socks) - 1} connection{'s' * (len(socks) != 2)}\n"


@pytest.mark.slow
def test_a_reload_reaches_every_worker(pki: Pki, program: Program):
    """A client that a new list names is cut wherever it is connected, and refused by every worker afterwards."""
    with contextlib.ExitStack() as stack:
        socks = connected(pki, program, stack)
        lists = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
        place = program.place / "api" / "crl.pem"
        place.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in lists))
        assert program.ask("reload").stdout == "reloaded\n"
        for sock in socks:
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                while sock.recv(1):
                    pass
    status = program.status()
    assert status["agreed"]
    assert status["listeners"][0]["generation"] >= 2  # the file was seen, too
    for _ in range(8):
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            with wrap(program.port, context_of(pki)) as sock:
                ask(sock)
                raise AssertionError("it was let in")


@pytest.mark.slow
def test_a_broken_reload_reaches_nobody_and_is_seen_everywhere(pki: Pki, program: Program):
    """Exit 1 with the reason; status names it, and all workers keep the generation that they had."""
    key = program.place / "api" / "cert.pem"
    good = key.read_bytes()
    port = program.port
    key.write_text("no certificate\n")
    done = program.ask("reload")
    assert done.returncode == 1
    assert "the old generation goes on" in done.stderr
    status = program.status()
    assert "cert.pem" in status["listeners"][0]["last_reload_error"]
    assert status["listeners"][0]["reloads_failed"] >= 1
    assert status["ready"]
    assert status["agreed"]
    with wrap(port, context_of(pki)) as sock:
        assert ask(sock) == b"ping"
    key.write_bytes(good)
    assert program.ask("reload").returncode == 0
    assert program.status()["listeners"][0]["last_reload_error"] == ""


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_socket_is_looked_after(pki: Pki, program: Program):
    """The others take over what waits at its socket; the one that replaces it has the generation in force."""
    port = program.port
    assert program.ask("reload").returncode == 0
    first = program.status()["workers"][0]["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: any("signal 9" in one["sentence"] for one in program.events("worker")))
    load = Load(pki, port)  # at once, while only one worker is there
    try:
        load.more(15)
    finally:
        load.stop()
    assert load.failures == []
    until(lambda: len(program.status()["workers"]) == 2)
    status = program.status()
    assert first not in [one["pid"] for one in status["workers"]]
    assert [one["generations"] for one in status["workers"]] == [[2], [2]]
    assert status["worker_deaths"] == 1


@pytest.mark.slow
def test_a_worker_that_is_told_to_go_drains_while_another_takes_its_place(pki: Pki, program: Program):
    """SIGTERM to one worker: nobody is refused, its connections live on, and it counts as no death."""
    port = program.port
    load = Load(pki, port)
    try:
        load.more(5)
        for worker in program.status()["workers"]:
            os.kill(worker["pid"], signal.SIGTERM)
            load.more(10)
    finally:
        load.stop()
    assert load.failures == []
    assert program.status()["worker_deaths"] == 0


@pytest.mark.slow
def test_a_worker_that_hangs_is_covered_for_and_comes_back(pki: Pki, program: Program):
    """What waits at its socket is answered by the others; the log says when it fell silent, and when it was back."""
    port = program.port
    hung = program.status()["workers"][0]["pid"]
    os.kill(hung, signal.SIGSTOP)
    until(lambda: any(f"{hung} does not answer" in one["sentence"] for one in program.events("worker")), 30)
    load = Load(pki, port)
    try:
        load.more(15)
        os.kill(hung, signal.SIGCONT)
        until(lambda: any(f"{hung} answers again" in one["sentence"] for one in program.events("worker")), 30)
        load.more(15)
    finally:
        load.stop()
    assert load.failures == []


@pytest.mark.slow
def test_workers_end_with_their_parent(program: Program):
    """A parent that is killed leaves nobody behind who serves without supervision."""
    until(lambda: program.events("listening"), 30)
    program.process.send_signal(signal.SIGKILL)
    until(lambda: not program.pids())


@given(st.integers(0, 9), st.integers(1, 9))
def test_every_socket_is_looked_at_and_every_worker_has_one(sockets: int, workers: int):
    """Whatever their numbers: none is left alone, none is idle."""
    plan = share_out(sockets, range(workers))
    assert {number for mine in plan.values() for number in mine} == set(range(sockets))
    assert all(plan.values()) or not sockets
    assert max(map(len, plan.values())) <= -(-sockets // workers) + 1


def test_counts_are_summed_and_differences_show():
    """Nested counts too; what one worker has found down is down; two generations do not agree."""

    def worker(pid: int, generation: int, up: bool, refused: dict[str, int]) -> dict[str, Any]:
        target = {"address": "a:1", "up": up, "open": 1, "reason": "" if up else "gone"}
        listener = {"name": "api", "generation": generation, "open": 2, "ready": True, "targets": [target], "refused": refused, "relays": {"counts": {"1": 1, "+Inf": 2}, "sum": 0.5}, "last_reload_error": "", "crl_fetches": []}  # fmt: skip
        return {"pid": pid, "uptime_seconds": 1, "draining": False, "ready": True, "listeners": [listener]}

    told = merge("status", [worker(1, 2, True, {"a": 1}), worker(2, 3, False, {"a": 1, "b": 4})])
    (listener,) = told["listeners"]
    assert (listener["open"], listener["refused"]) == (4, {"a": 2, "b": 4})
    assert listener["relays"] == {"counts": {"1": 2, "+Inf": 4}, "sum": 1.0}
    assert listener["targets"] == [{"address": "a:1", "up": False, "open": 2, "reason": "gone"}]
    assert listener["generation"] == 2
    assert not told["agreed"]


def test_with_no_worker_left_there_is_an_error_and_no_invented_status():
    assert merge("status", []) == {"error": "no worker answers"}
    assert merge("cut", [{"error": "worker 7 is gone"}, {"cut": 1}]) == {"cut": 1}


def test_a_port_that_is_taken_stops_the_start(pki: Pki, backend: Backend, tmp_path: Path):
    """Exit 2 with the address, and no worker was ever started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        program = Program(pki, backend, tmp_path, listen=listen, gateway="workers = 2")
        try:
            assert program.process.wait(30) == 2
            assert "Address already in use" in program.log.read_text()
            assert program.events("worker") == []
        finally:
            program.close()
