"""What the gateway does with a request and its answer when nothing is wrong: real sockets, a real backend."""

from __future__ import annotations

import socket
import threading

import pytest

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


def test_a_request_and_its_answer_pass(pki: Pki, http_backend: HttpBackend):
    """Method, target, fields and body reach the target as they were, and its answer the client."""
    http_backend.answer = b"HTTP/1.1 201 Made\r\nContent-Length: 4\r\nX-Own: a\r\nX-Own: b\r\n\r\nmade"
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        reply = caller.ask(
            b"POST /orders?id=1223&x=%2F HTTP/1.1\r\nHost: localhost:8443\r\nX-Mixed-Case: Kept As It Is\r\n"
            b"Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
        )
    assert (reply.status, reply.body) == (201, b"made")
    assert b"HTTP/1.1 201 Made\r\n" in reply.head + b"\r\n"
    assert reply.head.count(b"X-Own: ") == 2
    asked = http_backend.requests[0]
    assert asked.lines[0] == "POST /orders?id=1223&x=%2F HTTP/1.1"
    assert "X-Mixed-Case: Kept As It Is" in asked.lines
    assert asked.values("host") == ["localhost:8443"]
    assert asked.body == b"hello"


def test_a_connection_carries_many_requests_and_so_does_the_link(pki: Pki, http_backend: HttpBackend):
    """Keep-alive on both sides: a hundred requests, one connection each."""
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        for _ in range(100):
            assert caller.ask().status == 200
    assert len(http_backend.requests) == 100
    assert len(http_backend.accepted) == 1


def test_clients_share_the_links_one_after_the_other(pki: Pki, http_backend: HttpBackend):
    with running(http_gateway(pki, http_backend)) as gateway:
        for _ in range(5):
            with Caller(gateway, context_of(pki)) as caller:
                assert caller.ask().status == 200
    assert len(http_backend.accepted) == 1


def test_requests_sent_ahead_are_answered_in_order(pki: Pki, http_backend: HttpBackend):
    """Pipelining: the next request goes on when the answer before it is over."""

    def answer(asked: Asked, sock: socket.socket) -> None:
        path = asked.lines[0].split()[1].encode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(200)))
        assert [caller.reply().body for _ in range(200)] == [b"/%d" % n for n in range(200)]
    assert len(http_backend.accepted) == 1


@pytest.mark.parametrize("size", [1, 1000, 16384, 65536, 3_000_000])
def test_bodies_of_every_size_pass_both_ways(pki: Pki, http_backend: HttpBackend, size: int):
    """With a length and in chunks; byte for byte."""
    body = bytes(i % 251 for i in range(size))

    def answer(asked: Asked, sock: socket.socket) -> None:
        if b"/chunks" in asked.head:
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, size, 50_000):
                piece = asked.body[at : at + 50_000]
                sock.sendall(b"%X;ext=1\r\n%b\r\n" % (len(piece), piece))
            sock.sendall(b"0\r\nX-Trailer: x\r\n\r\n")
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(asked.body) + asked.body)

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size + body)
        assert caller.reply().body == body
        caller.send(b"POST /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, size, 70_000):
            piece = body[at : at + 70_000]
            caller.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        caller.send(b"0\r\n\r\n")
        assert caller.reply().body == body
        assert caller.ask().status == 200  # and the connection goes on
    assert [len(asked.body) for asked in http_backend.requests] == [size, size, 0]


def test_a_body_streams_while_it_is_made(pki: Pki, http_backend: HttpBackend):
    """Each chunk of an answer arrives before the next one is made: server-sent events work."""
    go = threading.Semaphore(0)

    def answer(_: Asked, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(3):
            sock.sendall(b"2\r\n%d\n\r\n" % n)
            assert go.acquire(timeout=10)
        sock.sendall(b"0\r\n\r\n")

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(GET)
        for n in range(3):
            while b"2\r\n%d\n\r\n" % n not in caller.held:
                caller._more()
            go.release()
        assert caller.reply().body == b"0\n1\n2\n"


def test_an_answer_that_ends_with_the_connection_is_told_in_chunks(pki: Pki, http_backend: HttpBackend):
    """Its end is seen by the client as an end, and the client's connection goes on."""

    def answer(_: Asked, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        sock.shutdown(socket.SHUT_RDWR)

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        assert caller.ask().body == b"all of it"
        assert caller.ask().body == b"all of it"


def test_a_client_of_http_1_0_gets_its_answer_without_chunks(pki: Pki, http_backend: HttpBackend):
    http_backend.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        reply = caller.ask(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert reply.body == b"abc"
        assert reply.value("connection") == "close"
        assert reply.value("transfer-encoding") is None
    assert http_backend.requests[0].lines[0] == "GET / HTTP/1.1"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none_whatever_their_fields_say(
    pki: Pki, http_backend: HttpBackend, status: int
):
    """RFC 9112 §6.3: the next request on the connection is answered by its own answer."""
    http_backend.answer = b"HTTP/1.1 %d X\r\nETag: 1\r\n\r\n" % status
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        for _ in range(2):
            reply = caller.ask()
            assert (reply.status, reply.body, caller.held) == (status, b"", b"")


def test_a_head_request_is_answered_by_a_head(pki: Pki, http_backend: HttpBackend):
    """Its Content-Length speaks of a body that does not come."""
    http_backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        for _ in range(2):
            reply = caller.ask(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", bodyless=True)
            assert reply.value("content-length") == "12345"


def test_who_waits_for_100_continue_gets_it_from_the_target(pki: Pki, http_backend: HttpBackend):
    """The interim answer passes, then the body, then the final answer."""

    def answer(asked: Asked, sock: socket.socket) -> None:
        assert asked.values("expect") == ["100-continue"]
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        got = b""
        while len(got) < 5:
            got += sock.recv(5)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + got)

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert caller.reply().status == 100
        assert caller.ask(b"hello").body == b"hello"


def test_a_target_that_wants_no_body_ends_the_connection(pki: Pki, http_backend: HttpBackend):
    """A final answer instead of 100: the client is told that the connection closes, and the body is thrown away."""
    http_backend.answer = lambda _, sock: sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        reply = caller.ask(
            b"PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert reply.status == 413
        assert reply.value("connection") == "close"
        caller.send(b"hello")
        assert caller.ended()


def test_hop_by_hop_fields_end_at_the_gateway(pki: Pki, http_backend: HttpBackend):
    """RFC 9110 §7.6.1, in both directions: and so do the fields that Connection names."""
    http_backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nX-Stays: 1\r\n\r\n"
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        reply = caller.ask(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, x-secret\r\nX-Secret: 1\r\nTE: trailers\r\n"
            b"Keep-Alive: 1\r\nProxy-Connection: keep-alive\r\nTrailer: X\r\nProxy: http://evil/\r\nX-Stays: 1\r\n\r\n"
        )
    asked = http_backend.requests[0]
    for name in ("connection", "x-secret", "te", "keep-alive", "proxy-connection", "trailer", "proxy"):
        assert asked.values(name) == []
    assert asked.values("x-stays") == ["1"]
    assert asked.values("via") == ["1.1 twoway"]
    assert reply.value("x-gone") is None
    assert reply.value("keep-alive") is None
    assert reply.value("x-stays") == "1"


def test_a_target_in_absolute_form_is_told_in_origin_form(pki: Pki, http_backend: HttpBackend):
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.ask(b"GET https://localhost/a?b HTTP/1.1\r\nHost: localhost\r\n\r\n")
        caller.ask(b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n")
        caller.ask(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert [one.lines[0] for one in http_backend.requests] == [
        "GET /a?b HTTP/1.1",
        "GET / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ]


def test_each_request_is_a_line_in_the_log_and_a_count(pki: Pki, http_backend: HttpBackend):
    """With who asked, without the query: it may hold a secret."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            caller.ask(b"GET /orders?token=secret HTTP/1.1\r\nHost: localhost\r\n\r\n")
        tally = gateway.frontends[0].tally
        until(lambda: tally.requests["2xx"] == 1)
        assert sum(tally.request_seconds.counts) == 1
    entry = ledger.named("request")[0]
    assert (entry["peer"], entry["method"], entry["path"], entry["status"]) == (
        "orders",
        "GET",
        "/orders",
        200,
    )
    assert "secret" not in ledger.text.getvalue()


def test_a_body_that_its_receiver_does_not_take_is_not_read_on(pki: Pki, http_backend: HttpBackend):
    """Back-pressure: of an endless upload only what fits into buffers leaves the client."""
    stuck = threading.Event()
    http_backend.answer = OK

    def no_reading(asked: Asked, sock: socket.socket, held: bytes) -> bytes:
        stuck.wait(20)
        return held

    http_backend._body = no_reading  # type: ignore[method-assign]
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        caller.sock.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 200_000_000:
                caller.send(b"x" * 65536)
                sent += 65536
        stuck.set()
    assert sent < 40_000_000
