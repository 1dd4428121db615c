"""A body that ought not to come, and comes late, is nobody's answer."""

from __future__ import annotations

import socket

import pytest

from tests.gateway.http.conftest import Asked, Caller, HttpBackend, Pki, context_of, http_gateway, running

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


@pytest.mark.parametrize(
    ("first", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(POISON)),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n" % len(POISON)),
    ],
)
def test_a_link_with_an_announced_body_that_must_not_come_is_not_used_again(
    pki: Pki, http_backend: HttpBackend, first: bytes, head: bytes
):
    """A target that sends a body to HEAD is wrong; its bytes would be the answer to whoever comes next."""
    wrong: set[int] = set()

    def answer(asked: Asked, sock: socket.socket) -> None:
        if "/first" in asked.lines[0]:
            wrong.add(asked.connection)
            sock.sendall(head)
        else:
            late = POISON if asked.connection in wrong else b""
            sock.sendall(late + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki)) as one, Caller(gateway, context_of(pki)) as other:
            one.ask(first + b" /first HTTP/1.1\r\nHost: localhost\r\n\r\n", bodyless=True)
            assert other.ask().body == b"ok"


def test_a_link_without_such_an_announcement_is_used_again(pki: Pki, http_backend: HttpBackend):
    http_backend.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        for _ in range(3):
            assert caller.ask().status == 204
    assert len(http_backend.accepted) == 1
