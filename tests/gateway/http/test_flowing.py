"""What flows between a client and its targets: links that wait, both directions at once, and sides that do not take."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any

import pytest

from tests.gateway.http.conftest import (
    GET,
    OK,
    Asked,
    Caller,
    HttpBackend,
    Pki,
    context_of,
    http_gateway,
    running,
    until,
)

# -- links to targets ---------------------------------------------------------------------------------


def test_a_request_that_changes_nothing_is_asked_again_when_the_target_has_just_hung_up(
    pki: Pki, http_backend: HttpBackend
):
    """A waiting link that ends as it is used: the client notices nothing."""
    seen: list[int] = []

    def answer(asked: Asked, sock: socket.socket) -> None:
        seen.append(asked.connection)
        if len(seen) == 2:
            sock.shutdown(socket.SHUT_RDWR)  # instead of an answer
        else:
            sock.sendall(OK)

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        assert caller.ask().status == 200
        assert caller.ask().status == 200
    assert seen == [1, 1, 2]


@pytest.mark.parametrize("method", [b"POST", b"DELETE", b"PATCH"])
def test_a_request_that_may_change_something_is_never_sent_twice(
    pki: Pki, http_backend: HttpBackend, method: bytes
):
    """502, and the client decides."""
    http_backend.answer = OK
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        assert caller.ask().status == 200
        http_backend.answer = lambda _, sock: sock.shutdown(socket.SHUT_RDWR)
        assert caller.ask(method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 502
    assert len(http_backend.requests) == 2


def test_a_target_that_answers_and_hangs_up_while_the_body_still_comes_is_heard(
    pki: Pki, http_backend: HttpBackend
):
    """Its answer says more than the broken link: 413 reaches the client."""

    def serve(sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), sock:  # the fixture may close it first
            sock.recv(100)
            sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    http_backend._serve = serve  # type: ignore[method-assign]
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        reply = caller.reply()
        assert (reply.status, reply.value("connection")) == (413, "close")


def test_credentials_of_a_connection_keep_it_for_one_client(pki: Pki, http_backend: HttpBackend):
    """NTLM and Negotiate prove the connection, so nobody else is ever sent over it."""
    negotiate = b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Negotiate abc\r\n\r\n"
    with running(http_gateway(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki)) as first, Caller(gateway, context_of(pki)) as second:
            first.ask(negotiate)
            first.ask()
            second.ask()
            first.ask()
        with Caller(gateway, context_of(pki)) as third:
            third.ask()
    assert [one.connection for one in http_backend.requests] == [1, 1, 2, 1, 2]


def test_targets_that_are_tls_themselves_are_asked_over_links_too(pki: Pki, http_backend: HttpBackend):
    """`target_tls`: a link is made once, and proven once."""
    with running(http_gateway(pki, http_backend)) as inner:
        both = pki.issuing.leaf("gateway", dns=("localhost",), purpose="peer")
        options: dict[str, Any] = {"target_tls": True, "server_name": "localhost", "identity": both}
        with running(http_gateway(pki, _Port(inner.ports[0]), **options)) as outer:
            with Caller(outer, context_of(pki)) as caller:
                for _ in range(10):
                    assert caller.ask().body == b"ok"
            assert inner.frontends[0].tally.admitted == 1
    assert len(http_backend.requests) == 10


class _Port:
    def __init__(self, port: int) -> None:
        from twoway.gateway.addresses import Address

        self.address = Address(host="127.0.0.1", port=port)


# -- flow ---------------------------------------------------------------------------------------------


def test_an_answer_that_its_client_does_not_take_is_not_read_on(pki: Pki, http_backend: HttpBackend):
    """Back-pressure: of an endless download only what fits into buffers leaves the target."""
    written, stuck = 0, threading.Event()

    def answer(_: Asked, sock: socket.socket) -> None:
        nonlocal written
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        sock.settimeout(1)
        try:
            while True:
                written += sock.send(b"x" * 65536)
        except TimeoutError:
            stuck.set()

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(GET)
        assert stuck.wait(20)
        (connection,) = gateway.frontends[0].connections
        conversation: Any = connection.relay
        assert conversation.blocked
        assert len(conversation._down.pending) <= 65536 + 1024
    assert written < 40_000_000


def test_both_directions_flow_at_once(pki: Pki, http_backend: HttpBackend):
    """A target may answer while it still reads: what it echoes comes back before the body ends."""

    def serve(sock: socket.socket, number: int) -> None:
        with sock:
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(100)
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            data = data.partition(b"\r\n\r\n")[2]
            for _ in range(5):
                while not data.endswith(b"\n\r\n"):
                    data += sock.recv(100)
                sock.sendall(data)
                data = b""
            while not data.endswith(b"0\r\n\r\n"):
                data += sock.recv(100)
            sock.sendall(data)

    http_backend._serve = serve  # type: ignore[method-assign]
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(5):
            caller.send(b"2\r\n%d\n\r\n" % n)
            while b"%d\n" % n not in caller.held:
                caller._more()
        caller.send(b"0\r\n\r\n")
        assert caller.reply().body == b"0\n1\n2\n3\n4\n"


def test_the_next_target_is_asked_when_one_takes_no_connection(pki: Pki, http_backend: HttpBackend):
    """Nothing has been sent to the first one, so even a POST goes on."""
    gone = HttpBackend()
    gone.close()
    with (
        running(http_gateway(pki, gone, http_backend)) as gateway,
        Caller(gateway, context_of(pki)) as caller,
    ):
        for _ in range(4):
            assert (
                caller.ask(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status == 200
            )
    assert len(http_backend.requests) == 4


def test_a_reset_client_breaks_its_request_off_at_the_target(pki: Pki, http_backend: HttpBackend):
    """Who is gone for good needs no answer: the target's connection is reset while it still works."""
    asked, broken = threading.Event(), threading.Event()

    def answer(_: Asked, sock: socket.socket) -> None:
        asked.set()
        sock.settimeout(10)
        try:
            if not sock.recv(1):
                broken.set()
        except ConnectionResetError:
            broken.set()

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway:
        caller = Caller(gateway, context_of(pki))
        caller.send(GET)
        assert asked.wait(10)
        caller.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        caller.sock.close()
        assert broken.wait(10)


def test_a_client_that_has_said_all_still_gets_its_answer(pki: Pki, http_backend: HttpBackend):
    """Half-close: close_notify after the request ends the asking, not the hearing."""
    go = threading.Event()

    def answer(_: Asked, sock: socket.socket) -> None:
        assert go.wait(10)
        sock.sendall(OK)

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway:
        context = context_of(pki)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", gateway.ports[0]), 10) as sock:

            def step(act: Any) -> Any:
                while True:
                    try:
                        return act()
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))

            step(client.do_handshake)
            client.write(GET)
            with contextlib.suppress(ssl.SSLWantReadError):
                client.unwrap()
            sock.sendall(outgoing.read())
            until(lambda: len(http_backend.requests) == 1)
            go.set()
            # After its own close_notify this library reads no more: that ciphertext came is what can be seen.
            heard = b""
            while part := sock.recv(65536):
                heard += part
    assert len(heard) > 70
