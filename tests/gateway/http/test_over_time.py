"""HTTP conversations over time: reload, drain, limits, and nothing left behind."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
import time
import weakref
from pathlib import Path

import pytest

from tests.gateway.conftest import descriptors
from tests.gateway.http.conftest import (
    GET,
    OK,
    Asked,
    Caller,
    HttpBackend,
    Ledger,
    Pki,
    context_of,
    http_gateway,
    running,
    until,
)
from twoway.gateway.bounds import Bounds


def _policy(file: Path, *paths: str) -> None:
    rules = "".join(f'[[allow]]\ncn = "orders"\npath = "{path}"\n' for path in paths)
    new = file.with_suffix(".new")
    new.write_text(rules)
    new.replace(file)


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


# -- reload -------------------------------------------------------------------------------------------


def test_a_reload_counts_for_the_next_request_of_an_open_connection(
    pki: Pki, http_backend: HttpBackend, tmp_path: Path
):
    """The connection lives on, and what the new policy forbids is refused, what it allows is let through."""
    policy = tmp_path / "policy.toml"
    _policy(policy, "/old")
    with running(http_gateway(pki, http_backend, policy=policy)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(_get("/old")).status == 200
            assert caller.ask(_get("/new")).status == 403
            _policy(policy, "/new")
            until(lambda: gateway.frontends[0].tally.reloads == 1)
            assert caller.ask(_get("/old")).status == 403
            assert caller.ask(_get("/new")).status == 200
    assert [one.lines[0].split()[1] for one in http_backend.requests] == ["/old", "/new"]


def test_a_reload_cuts_whom_no_rule_can_allow_anything(pki: Pki, http_backend: HttpBackend, tmp_path: Path):
    policy = tmp_path / "policy.toml"
    _policy(policy, "/x")
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, policy=policy, ledger=ledger)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(_get("/x")).status == 200
            policy.write_text('[[allow]]\ncn = "billing"\npath = "/x"\n')
            until(lambda: gateway.frontends[0].tally.cut == 1)
            with pytest.raises((ConnectionError, ssl.SSLError, EOFError)):
                caller.ask(_get("/x"))
    assert ledger.refusals[0].code == "not_allowed"
    assert len(http_backend.requests) == 1


# -- drain --------------------------------------------------------------------------------------------


def test_drain_finishes_the_request_and_says_that_the_connection_closes(pki: Pki, http_backend: HttpBackend):
    """Who waits is said goodbye to at once; who is in the middle gets the whole answer first."""
    go, asked = threading.Event(), threading.Event()

    def answer(_: Asked, sock: socket.socket) -> None:
        asked.set()
        assert go.wait(10)
        sock.sendall(OK)

    with running(http_gateway(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki)) as waiting, Caller(gateway, context_of(pki)) as busy:
            assert waiting.ask().status == 200
            http_backend.answer = answer
            busy.send(GET)
            assert asked.wait(10)
            gateway.stop()
            assert waiting.ended()
            go.set()
            reply = busy.reply()
            assert (reply.status, reply.body, reply.value("connection")) == (200, b"ok", "close")
            assert busy.ended()
        until(lambda: not gateway.frontends[0].connections)


def test_drain_lets_a_body_that_is_under_way_come_to_its_end(pki: Pki, http_backend: HttpBackend):
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello")
        until(lambda: http_backend.received.endswith(b"hello"))
        gateway.stop()
        reply = caller.ask(b"world")
        assert reply.value("connection") == "close"
    assert http_backend.requests[0].body == b"helloworld"


# -- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "bounds", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: loc", {"header_seconds": 0.3}, 408, "request_timeout"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
            {"body_seconds": 0.3},
            408,
            "request_timeout",
        ),
        (GET, {"response_seconds": 0.3}, 504, "target_silent"),
    ],
)
def test_who_does_not_go_on_is_told_so_in_time(
    pki: Pki, http_backend: HttpBackend, sent: bytes, bounds: dict[str, float], status: int, code: str
):
    """A slow head, a slow body, a silent target: each has its limit, its status and its reason."""
    http_backend.answer = lambda *_: None
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger, bounds=Bounds(**bounds))) as gateway:  # type: ignore[arg-type]
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(sent).status == status
    assert [one.code for one in ledger.refusals] == [code]


def test_a_head_that_trickles_is_ended_by_its_limit(pki: Pki, http_backend: HttpBackend):
    """Bytes that keep coming make no head longer lived."""
    with running(http_gateway(pki, http_backend, bounds=Bounds(header_seconds=0.5))) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            caller.sock.settimeout(0.02)
            began = time.monotonic()
            caller.send(b"GET / HTTP/1.1\r\n")
            while time.monotonic() - began < 8:
                caller.send(b"X: y\r\n")
                try:
                    if caller.sock.recv(100):
                        break
                except TimeoutError:
                    continue
            assert 0.4 < time.monotonic() - began < 5
    assert not http_backend.accepted


def test_who_asks_nothing_more_is_said_goodbye_to(pki: Pki, http_backend: HttpBackend):
    """A connection that waits for its next request ends properly, after its limit."""
    with running(http_gateway(pki, http_backend, bounds=Bounds(keep_alive_seconds=0.3))) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask().status == 200
            assert caller.ended()
            tally = gateway.frontends[0].tally
            caller.sock.close()
            until(lambda: tally.ended["closed"] == 1)


# -- nothing left behind ------------------------------------------------------------------------------


def test_a_waiting_link_keeps_nothing_of_the_client_that_made_it(pki: Pki, http_backend: HttpBackend):
    """The client's TLS session is freed when it has gone, without waiting for the garbage collector."""
    gc.disable()
    try:
        with running(http_gateway(pki, http_backend)) as gateway:
            with Caller(gateway, context_of(pki)) as caller:
                assert caller.ask().status == 200
                (connection,) = gateway.frontends[0].connections
                session = weakref.ref(connection.session)  # type: ignore[arg-type]
                del connection
            with Caller(gateway, context_of(pki)) as another:
                assert another.ask().status == 200
                until(lambda: session() is None)
            http = gateway.frontends[0].http
            assert http is not None
            assert len(http.pool) == 1
    finally:
        gc.enable()


def test_nothing_leaks_under_clients_of_every_kind(pki: Pki, http_backend: HttpBackend):
    """Whole requests, half ones, garbage, resets, upgrades: descriptors return to the baseline."""
    with running(http_gateway(pki, http_backend)) as gateway:
        context = context_of(pki)
        with Caller(gateway, context) as caller:
            caller.ask()
        http = gateway.frontends[0].http
        assert http is not None
        until(lambda: not gateway.frontends[0].connections)
        base = descriptors()
        for n in range(60):
            caller = Caller(gateway, context)
            data = (
                GET,
                GET[:20],
                b"\x00" * 100,
                GET * 5,
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab",
            )
            caller.send(data[n % 5])
            if n % 3 == 0:
                caller.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            caller.sock.close()
        until(lambda: not gateway.frontends[0].connections)
        until(lambda: descriptors() <= base + 2 * len(http.pool))
        with Caller(gateway, context) as caller:
            assert caller.ask().status == 200


def test_a_refused_request_of_a_recorded_connection_is_kept_with_it(
    pki: Pki, http_backend: HttpBackend, tmp_path: Path
):
    """With `--record` the gateway's answer and the capture carry the same id, and traffic flows as ever."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    http_backend.answer = big
    rules = {"allow": ["cn=orders,path=/ok"], "record": tmp_path}
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger, **rules)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(_get("/no")).status == 403
            for _ in range(3):
                assert len(caller.ask(_get("/ok")).body) == 300_000
        until(lambda: not gateway.frontends[0].connections)
    assert list(tmp_path.glob(f"*-{ledger.refusals[0].id}.pcapng"))
