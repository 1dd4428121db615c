"""Floods and shortages: what they cost is bounded, others pass meanwhile, and afterwards nothing is left of them."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conftest import (
    Backend,
    Pki,
    ask,
    context_of,
    descriptors,
    gateway_of,
    running,
    until,
    wrap,
)
from tests.gateway.program import Load, Program, once
from twoway.gateway.bounds import Bounds
from twoway.gateway.rates import MOST_ADDRESSES, Rates

RESET = struct.pack("ii", 1, 0)
# Runs the command behind it with at most so many open files, for good.
FEW_FILES = "import os,resource,sys; n=int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_NOFILE,(n,n)); os.execv(sys.argv[2], sys.argv[2:])"  # fmt: skip


def raw(port: int, data: bytes = b"", *, reset: bool = False) -> socket.socket:
    """A connection that has said `data`; with `reset` it will end by RST when it is closed."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    if data:
        with contextlib.suppress(OSError):
            sock.sendall(data)
    return sock


@pytest.mark.parametrize(
    ("data", "reset"),
    [
        (b"", False),
        (b"", True),
        (b"\x16\x03\x01\x02\x00\x01\x00", False),  # the beginning of a hello
        (b"\x16\x03\x01\x02\x00\x01\x00", True),
        (b"\x16\x03\x01garbage" * 10, False),
        (b"GET / HTTP/1.1\r\n\r\n", False),
        (os.urandom(400), True),
    ],
    ids=["silent", "silent-reset", "slow", "slow-reset", "garbage", "http", "noise-reset"],
)
def test_a_flood_costs_a_bounded_time_and_leaves_nothing(
    pki: Pki, backend: Backend, data: bytes, reset: bool
):
    """200 at once: a client passes in the middle of it; then descriptors are back where they were."""
    with running(gateway_of(pki, backend, bounds=Bounds(handshake_seconds=1, drain_seconds=0.5))) as gateway:
        frontend, port, context = gateway.frontends[0], gateway.ports[0], context_of(pki)
        once(port, context)
        until(lambda: not frontend.connections)
        gc.collect()
        base = descriptors()
        flood = [raw(port, data, reset=reset) for _ in range(200)]
        once(port, context)
        for sock in flood:
            sock.close()
        until(lambda: not frontend.connections)
        for sock in backend.accepted:
            sock.close()
        gc.collect()
        until(lambda: descriptors() <= base)
        assert len(backend.accepted) == 2, "only who was let in has reached the backend"


@pytest.fixture
def start(pki: Pki, backend: Backend, tmp_path: Path) -> Iterator[Any]:
    made: list[Program] = []

    def make(**more: Any) -> Program:
        made.append(Program(pki, backend, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def held(program: Program) -> tuple[int, int]:
    """Open files, and resident memory in bytes, of the one worker."""
    (worker,) = [one["pid"] for one in program.status()["workers"]]
    resident = Path(f"/proc/{worker}/statm").read_text().split()[1]
    return len(os.listdir(f"/proc/{worker}/fd")), int(resident) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_ten_thousand_short_connections_leave_nothing_behind(pki: Pki, start: Any):
    """Most say nothing useful, some are whole exchanges: files are as before, and memory has stopped growing.

    How many are open at the same time on a busy machine moves the high-water mark once; what leaks grows in every round:
    350 bytes a connection would show.
    """
    program = start(listener="limits = { handshake_seconds = 2 }", gateway="access_log = false")
    port, context = program.port, context_of(pki)
    failures: list[BaseException] = []

    def work(count: int) -> None:
        for number in range(count):
            try:
                if number % 25 == 0:
                    once(port, context)
                else:
                    raw(port, (b"", b"\x16\x03\x01", b"x")[number % 3], reset=number % 2 == 0).close()
            except Exception as error:
                failures.append(error)

    def many(count: int) -> None:
        threads = [threading.Thread(target=work, args=(count // 4,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        until(lambda: program.status()["listeners"][0]["open"] == 0, 30)

    many(1000)
    rounds = [held(program)]
    for _ in range(3):
        many(3000)
        rounds.append(held(program))
    assert failures == []
    assert rounds[-1][0] <= rounds[0][0]
    grown = [after[1] - before[1] for before, after in itertools.pairwise(rounds)]
    assert min(grown) < 1024 * 1024


@pytest.mark.slow
def test_without_descriptors_it_waits_and_recovers(pki: Pki, start: Any):
    """Who is connected goes on; the shortage is logged once a second and blames no target; then all is as before."""
    program = start(
        wrapper=[sys.executable, "-c", FEW_FILES, "64"], gateway='metrics = "127.0.0.1:0"\naccess_log = false'
    )
    port, context = program.port, context_of(pki)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(wrap(port, context))
        assert ask(first) == b"ping"
        for _ in range(60):
            sock = stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", port), 10)))
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        until(lambda: program.events("full"), 20)
        assert ask(first) == b"ping"
    until(lambda: program.status()["listeners"][0]["open"] == 0, 30)
    once(port, context)
    (listener,) = program.status()["listeners"]
    assert listener["turned_away"]["no_descriptors"] >= 1
    assert listener["targets"][0]["up"]
    assert len(program.events("full")) < 15


@pytest.mark.slow
def test_a_drain_under_load_breaks_nobody_who_was_let_in(pki: Pki, start: Any):
    """After SIGTERM new ones are refused; whoever had begun to talk is answered to the end."""
    program = start()
    port = program.port
    load = Load(pki, port)
    with wrap(port, context_of(pki)) as sock:
        assert ask(sock) == b"ping"
        load.more(10)
        program.process.terminate()
        until(lambda: program.events("draining"))
        assert ask(sock) == b"ping"
        with pytest.raises(OSError, match=r"refused|reset"):
            until(lambda: raw(port).close())
    load.stop()
    assert program.process.wait(20) == 0
    assert all(isinstance(error, (OSError, AssertionError)) for error in load.failures)


def test_a_drain_has_an_end(pki: Pki, backend: Backend):
    """Who does not leave within drain_seconds is cut, and the log counts them."""
    gateway = gateway_of(pki, backend, drain=0.3)
    with running(gateway):
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
            gateway.stop()
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                while sock.recv(1):
                    pass
    assert "1 connections were cut" in gateway.journal._stream.getvalue()  # type: ignore[union-attr]


def test_a_connection_has_a_longest_life(pki: Pki, backend: Backend):
    """lifetime_seconds ends busy ones too."""
    bounds = Bounds(lifetime_seconds=0.4, idle_seconds=1)
    with running(gateway_of(pki, backend, bounds=bounds)) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            with pytest.raises((ConnectionResetError, ssl.SSLError, BrokenPipeError)):
                while ask(sock):
                    pass
        until(lambda: gateway.frontends[0].tally.ended["outlived_limit"] == 1)


def test_a_client_that_resets_is_a_failure_at_the_backend_too(pki: Pki):
    """RST in front becomes RST behind: half a message never looks like a whole one."""
    backend = Backend(echo=False)
    try:
        with running(gateway_of(pki, backend)) as gateway:
            sock = wrap(gateway.ports[0], context_of(pki))
            sock.sendall(b"half")
            until(lambda: backend.accepted)
            assert backend.accepted[0].recv(4) == b"half"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()
            with pytest.raises(ConnectionResetError):
                backend.accepted[0].recv(1)
            until(lambda: not gateway.frontends[0].connections)
    finally:
        backend.close()


# -- handshakes a second, by address ---------------------------------------------------------------------


def test_two_seconds_worth_may_come_at_once_and_then_the_rate():
    rates = Rates(2.0)
    assert [rates.take("192.0.2.1", 0.0) for _ in range(5)] == [True] * 4 + [False]
    assert [rates.take("192.0.2.1", 0.5) for _ in range(2)] == [True, False]
    assert rates.take("192.0.2.2", 0.5), "another address has a bucket of its own"


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_an_ipv6_network_counts_as_one_host(one: str, other: str, share: bool):
    """A /64 is what one host has; an IPv4 address written as IPv6 stays what it is."""
    rates = Rates(0.5)
    assert rates.take(one, 0.0)
    assert rates.take(other, 0.0) is not share


def test_the_table_of_addresses_is_bounded():
    """Under more addresses than there are buckets the least recent ones are forgotten, not the newest."""
    rates = Rates(0.5)
    for number in range(MOST_ADDRESSES + 500):
        assert rates.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(rates) == MOST_ADDRESSES
    assert not rates.take(f"10.0.{(MOST_ADDRESSES + 499) >> 8}.{(MOST_ADDRESSES + 499) & 255}", 0.0)


@given(
    st.lists(st.tuples(st.sampled_from(["192.0.2.1", "2001:db8::1", "::1"]), st.floats(0, 1)), max_size=40)
)
def test_no_order_of_calls_lets_more_through_than_the_rate(calls: list[tuple[str, float]]):
    """Over any time: at most the bucket, and what has flowed in since."""
    rates, now, passed = Rates(3.0), 0.0, {"192.0.2.1": 0, "2001:db8::1": 0, "::1": 0}
    for address, pause in calls:
        now += pause
        passed[address] += rates.take(address, now)
        assert passed[address] <= 6 + 3 * now + 1e-6
