"""WebSocket through the gateway: after its handshake a connection is a relay, and nothing else is ever upgraded to."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import wsproto
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from tests.conftest import asset, judge
from tests.gateway.http.conftest import (
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
from twoway.credential import chain_pem

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


def _websocket_server(asked: Asked, sock: socket.socket) -> None:
    """A real WebSocket server (wsproto) on a socket whose request is read already; says each text twice."""
    connection = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    connection.receive_data(asked.head + b"\r\n\r\n")
    text = ""
    while True:
        for event in connection.events():
            if isinstance(event, Request):
                sock.sendall(connection.send(AcceptConnection()))
            elif isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    sock.sendall(connection.send(TextMessage(data=text * 2)))
                    text = ""
            elif isinstance(event, CloseConnection):
                sock.sendall(connection.send(event.response()))
                sock.shutdown(socket.SHUT_RDWR)
                return
        data = sock.recv(65536)
        if not data:
            return
        connection.receive_data(data)


def test_a_websocket_talks_both_ways(pki: Pki, http_backend: HttpBackend):
    """Handshake, messages of every size, and the closing, byte for byte what the two libraries say to each other."""
    http_backend.answer = _websocket_server
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
            caller.send(client.send(Request(host="localhost", target="/chat")))
            heard: list[str] = []
            sizes = iter((1, 125, 70_000, 300_000))
            closed, text = False, ""
            while not closed:
                client.receive_data(caller.sock.recv(65536))
                for event in client.events():
                    if isinstance(event, TextMessage):
                        text += event.data
                        if not event.message_finished:
                            continue
                        heard.append(text)
                        text = ""
                    if isinstance(event, CloseConnection):
                        closed = True
                        continue
                    size = next(sizes, None)
                    if size is None:
                        caller.send(client.send(CloseConnection(code=1000)))
                    else:
                        caller.send(client.send(TextMessage(data="x" * size)))
        until(lambda: not gateway.frontends[0].connections)
    assert [len(one) for one in heard] == [2, 250, 140_000, 600_000]
    asked = http_backend.requests[0]
    assert asked.values("upgrade") == ["websocket"]
    assert len(asked.values("client-cert")) == 1
    assert ledger.named("request")[0]["status"] == 101


def test_bytes_sent_together_with_the_switch_arrive_on_both_sides(pki: Pki, http_backend: HttpBackend):
    """What follows a head in the same segment is the first of the relay, neither lost nor read as HTTP."""

    def answer(_: Asked, sock: socket.socket) -> None:
        sock.sendall(SWITCH + b"\r\nearly")
        sock.sendall(sock.recv(100))

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.send(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
        )
        assert caller.reply().status == 101
        wanted = b"earlyGET /smuggled HTTP/1.1\r\n\r\n"
        while len(caller.held) < len(wanted):
            caller._more()
        assert caller.held == wanted


def test_a_websocket_is_judged_like_any_request(pki: Pki, http_backend: HttpBackend):
    with running(http_gateway(pki, http_backend, allow=["cn=orders,path=/chat"])) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            upgrade = b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            assert caller.ask(b"GET /other HTTP/1.1\r\n" + upgrade).status == 403
    assert not http_backend.accepted


def test_a_target_that_refuses_the_upgrade_is_still_spoken_to_in_http(pki: Pki, http_backend: HttpBackend):
    """An answer other than 101 is an answer: the connection goes on, and its next request is judged."""
    with running(http_gateway(pki, http_backend, allow=["cn=orders,path=/chat"])) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            upgrade = b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            assert caller.ask(b"GET /chat HTTP/1.1\r\n" + upgrade).status == 200
            assert caller.ask(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 403


def test_h2c_is_not_upgraded_to(pki: Pki, http_backend: HttpBackend):
    """The field goes no further: a target that would switch is not asked to."""

    def answer(asked: Asked, sock: socket.socket) -> None:
        assert asked.values("upgrade") == asked.values("http2-settings") == []
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        assert (
            caller.ask(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            ).status
            == 200
        )


_NODE = """
const WebSocket = require('ws'), fs = require('fs');
const [port, place] = process.argv.slice(1);
const read = (name) => fs.readFileSync(place + '/' + name);
const socket = new WebSocket(`wss://localhost:${port}/chat`, {cert: read('cert.pem'), key: read('key.pem'), ca: read('ca.pem')});
let heard = 0;
socket.on('open', () => socket.send('y'.repeat(100000)));
socket.on('message', (data) => { heard += data.length; if (heard >= 200000) socket.close(1000); });
socket.on('close', (code) => { console.log(code, heard); });
socket.on('error', (error) => { console.log(String(error)); process.exitCode = 1; });
"""
_APPLICATION = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"] * 2})
"""


@pytest.mark.judge
def test_node_talks_to_uvicorn_over_a_websocket(pki: Pki, tmp_path: Path):
    """The `ws` client of Node with a client certificate, and an ASGI application behind the gateway."""
    node, modules = judge("node"), asset("node_modules", "ws", "index.js").parent.parent
    pki.client.save(tmp_path / "orders")
    (tmp_path / "orders" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    (tmp_path / "application.py").write_text(_APPLICATION)
    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", "uvicorn", "application:app", "--ws", "wsproto", "--fd", str(listener.fileno()), "--log-level", "error"]  # fmt: skip
    server = subprocess.Popen(command, cwd=tmp_path, pass_fds=(listener.fileno(),))
    try:
        from twoway.gateway.addresses import Address

        target = Address(host="127.0.0.1", port=listener.getsockname()[1])
        with running(http_gateway(pki, target)) as gateway:
            done = subprocess.run(
                [node, "-e", _NODE, str(gateway.ports[0]), str(tmp_path / "orders")],
                capture_output=True, text=True, timeout=60, env={"NODE_PATH": str(modules), "PATH": ""},
            )  # fmt: skip
    finally:
        server.terminate()
        server.wait(10)
        listener.close()
    assert (done.returncode, done.stdout.strip()) == (0, "1000 200000"), done.stderr
