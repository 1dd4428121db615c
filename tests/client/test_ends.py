"""How connections end badly, and that what the other side said before is still heard."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

import httpcore2
import httpx2
import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding

from tests.pki import Issuer
from tests.server.conftest import until
from tests.tls.conftest import Pki, pki
from twoway.client import AsyncClient, Client
from twoway.client.calls import Transport
from twoway.client.faults import AddressUnusable, AnswerBroken, NoFreeConnection
from twoway.client.source import IdentitySource
from twoway.errors import TwowayError
from twoway.names import BadName
from twoway.tls import AlertReceived, ConnectFailed, TimedOut, server_context

__all__ = ["pki"]


class Refusing:
    """Python's own server: it refuses, says so, and resets at once; `done` is set when all that has happened."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context, self.done = context, threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.context.wrap_socket(sock, server_side=True)
        except OSError:
            pass
        finally:
            self.done.set()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_alert_is_heard_although_the_write_after_it_failed(
    pki: Pki, foreign: Callable[..., str], loop: Callable[[], asyncio.AbstractEventLoop]
):
    """The event loop closes a socket whose write fails, and the alert still lies in it (rule 7 of the engine)."""
    refusing = Refusing(server_context(pki.server))
    url = foreign(refusing)

    async def wait_for_the_reset(event: str, info: Any) -> None:
        if event == "http11.send_request_headers.started":
            assert refusing.done.wait(
                10
            )  # on purpose in the loop's way: nothing may be read before the write

    async def call() -> None:
        async with AsyncClient(identity=pki.stranger, trust=pki.trust) as client:
            await client.get(url, extensions={"trace": wait_for_the_reset})

    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(AlertReceived) as caught:
        runner.run(call())
    assert caught.value.alert == "unknown_ca"
    assert caught.value.step == 4


def test_an_alert_is_heard_by_the_blocking_client_too(pki: Pki, foreign: Callable[..., str]):
    refusing = Refusing(server_context(pki.server))

    def wait_for_the_reset(event: str, info: Any) -> None:
        if event == "http11.send_request_headers.started":
            assert refusing.done.wait(10)

    with (
        Client(identity=pki.stranger, trust=pki.trust) as client,
        pytest.raises(AlertReceived) as caught,
    ):
        client.get(foreign(refusing), extensions={"trace": wait_for_the_reset})
    assert caught.value.alert == "unknown_ca"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_asynchronous_client_that_refuses_says_so_to_the_server(
    pki: Pki, foreign: Callable[..., str], loop: Callable[[], asyncio.AbstractEventLoop]
):
    heard: list[str] = []
    strangers_server = Issuer.root("Other Root").leaf("localhost", dns=("localhost",), purpose="server")

    def handle(sock: socket.socket) -> None:
        try:
            server_context(strangers_server).wrap_socket(sock, server_side=True)
        except ssl.SSLError as error:
            heard.append(error.reason)

    url = foreign(handle)

    async def call() -> None:
        async with AsyncClient(identity=pki.client, trust=pki.trust) as client:
            await client.get(url)

    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(TwowayError):
        runner.run(call())
    # ssl closes the socket, which ends the call, before it raises in the server's thread.
    until(lambda: heard)
    assert heard == ["TLSV1_ALERT_UNKNOWN_CA"]


def answering(pki: Pki, text: bytes) -> Callable[[Any], None]:
    def handle(sock: Any) -> None:
        sock.recv(4096)
        sock.sendall(text)

    return handle


def test_an_answer_that_is_no_http_is_told_as_that(pki: Pki, foreign: Callable[..., str]):
    url = foreign(answering(pki, b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), server_context(pki.server))
    with Client(identity=pki.client) as client, pytest.raises(AnswerBroken) as caught:
        client.get(url)
    assert isinstance(caught.value, httpx2.RemoteProtocolError)
    assert "HTTP" in str(caught.value)


def test_an_answer_cut_in_its_body_is_told_while_it_is_read(pki: Pki, foreign: Callable[..., str]):
    """The server says goodbye properly, and its own Content-Length says that it is too early."""
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"

    def handle(sock: Any) -> None:
        answering(pki, text)(sock)
        sock.unwrap()

    url = foreign(handle, server_context(pki.server))
    with Client(identity=pki.client) as client, pytest.raises(AnswerBroken):
        client.get(url)


def test_a_server_that_never_answers_is_a_timeout_of_both_kinds(pki: Pki, foreign: Callable[..., str]):
    release = threading.Event()

    def handle(sock: Any) -> None:
        sock.recv(4096)
        release.wait(10)

    url = foreign(handle, server_context(pki.server))
    with Client(identity=pki.client, timeout=0.3) as client, pytest.raises(httpx2.ReadTimeout) as caught:
        client.get(url)
    release.set()
    assert isinstance(caught.value, TimedOut)
    assert "0.3 s" in str(caught.value)


def test_when_no_connection_becomes_free_that_is_said(pki: Pki, server: str):
    limits = httpx2.Limits(max_connections=1)
    timeout = httpx2.Timeout(5, pool=0.1)
    with (
        Client(identity=pki.client, limits=limits, timeout=timeout) as client,
        client.stream("GET", server),
        pytest.raises(NoFreeConnection) as caught,
    ):
        client.get(server)
    assert isinstance(caught.value, httpx2.PoolTimeout)


@pytest.mark.parametrize("url", ["ftp://localhost/", "https://"])
def test_an_address_that_cannot_be_called_is_told_as_that(pki: Pki, url: str):
    with Client(identity=pki.client) as client, pytest.raises(AddressUnusable) as caught:
        client.get(url)
    assert "https://" in caught.value.remedy


def test_a_connection_that_fails_is_tried_again_as_often_as_asked(pki: Pki, monkeypatch: pytest.MonkeyPatch):
    tries: list[int] = []

    def failing(self: object, host: str, port: int, *_: object) -> httpcore2.NetworkStream:
        tries.append(port)
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise httpcore2.ConnectError(error) from error

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", failing)
    monkeypatch.setattr("twoway.client.streams.Backend.sleep", lambda *_: None)
    transport = Transport(IdentitySource(pki.client, None), retries=3)
    with Client(identity=pki.client, transport=transport) as client, pytest.raises(ConnectFailed) as caught:
        client.get("https://localhost:1")
    assert len(tries) == 4
    assert "Connection refused" in str(caught.value)


def test_a_name_that_is_none_leaves_no_socket_behind(pki: Pki, server: str):
    """Sockets that are forgotten show as a ResourceWarning, which is an error here."""
    with Client(identity=pki.client) as client, pytest.raises(BadName):
        client.get(server, extensions={"sni_hostname": "no..name"})


@pytest.mark.parametrize("follow", [True, False])
def test_a_redirect_elsewhere_is_an_answer_to_who_does_not_follow(
    pki: Pki, foreign: Callable[..., str], follow: bool
):
    text = b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
    url = foreign(answering(pki, text), server_context(pki.server))
    with Client(identity=pki.client, follow_redirects=follow) as client:
        if follow:
            with pytest.raises(TwowayError, match="elsewhere"):
                client.get(url)
            return
        response = client.get(url)
        assert response.status_code == 302
        assert response.next_request is not None
        assert response.next_request.url.host == "elsewhere.example"
        with pytest.raises(TwowayError, match="elsewhere"):
            client.send(response.next_request)


def test_a_proxy_that_speaks_tls_is_not_shown_the_identity(pki: Pki, foreign: Callable[..., str]):
    shown: list[object] = []
    context = server_context(pki.server, clients="optional")

    def handle(sock: ssl.SSLSocket) -> None:
        shown.append(sock.getpeercert(binary_form=True))
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    proxy_trust = ssl.create_default_context(cadata=pki.trust.anchors[0].public_bytes(Encoding.PEM).decode())
    proxy = httpx2.Proxy(foreign(handle, context), ssl_context=proxy_trust)
    with Client(identity=pki.client, proxy=proxy) as client, pytest.raises(ConnectFailed) as caught:
        client.get("https://orders.example/")
    assert shown == [None]
    assert "proxy" in str(caught.value)


def test_who_answered_is_in_the_response(pki: Pki, server: str):
    with Client(identity=pki.client) as client:
        assert "localhost" in client.get(server).extensions["twoway.peer"].names.dns
