"""Metrics, health and readiness, over plain HTTP on the loopback."""

from __future__ import annotations

import json
import socket
from typing import Any

from twoway.gateway.addresses import Address
from twoway.gateway.desk import Desk
from twoway.gateway.exposition import exposition
from twoway.gateway.loop import READ, WRITE, Loop
from twoway.server.running import CannotListen

_MAX_REQUEST, _MAX_CLIENTS, _SECONDS = 8192, 16, 5.0


class MetricsPage:
    """Answers GET /metrics, /health and /ready on the gateway's own loop; one request a connection.

    /ready asks every target first, as a connection would: 503 when one listener has none that takes connections.
    """

    def __init__(
        self, desk: Desk, loop: Loop, address: Address, *, sock: socket.socket | None = None
    ) -> None:
        self._desk, self._loop = desk, loop
        self.sock = sock if sock is not None else bound(address)
        name = self.sock.getsockname()
        self.port = int(name[1]) if isinstance(name, tuple) else 0
        self._clients: set[_Visitor] = set()

    def start(self) -> None:
        self.sock.listen(16)
        self._loop.watch(self.sock.fileno(), self._on_accept, READ)

    def close(self) -> None:
        for one in tuple(self._clients):
            one.end()
        if self.sock.fileno() >= 0:
            self._loop.forget(self.sock.fileno())
            self.sock.close()

    def _on_accept(self, _: int) -> None:
        try:
            sock, _address = self.sock.accept()
        except OSError:
            return
        if len(self._clients) >= _MAX_CLIENTS:
            sock.close()
            return
        self._clients.add(_Visitor(self._desk, self._loop, sock, self._clients))


class _Visitor:
    """One request and its answer, in at most five seconds."""

    def __init__(self, desk: Desk, loop: Loop, sock: socket.socket, others: set[_Visitor]) -> None:
        self._desk, self._loop, self._sock, self._others = desk, loop, sock, others
        self._request, self._answer = b"", b""
        sock.setblocking(False)
        loop.watch(sock.fileno(), self._on_event, READ)
        self._limit = loop.later(_SECONDS, self.end)

    def end(self) -> None:
        if self._sock.fileno() >= 0:
            self._limit.cancel()
            self._others.discard(self)
            self._loop.close(self._sock)

    def _on_event(self, _: int) -> None:
        try:
            if self._answer:
                self._answer = self._answer[self._sock.send(self._answer) :]
                if not self._answer:
                    self.end()
                return
            data = self._sock.recv(_MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        self._request += data
        if b"\r\n\r\n" in self._request or len(self._request) >= _MAX_REQUEST:
            self._loop.forget(self._sock.fileno())
            self._respond()

    def _respond(self) -> None:
        method, _, rest = self._request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            self._send("405 Method Not Allowed", "text/plain", b"only GET\n")
        elif path == b"/metrics":
            self._desk.ask({"do": "status"}, self._metrics)
        elif path == b"/health":
            self._send("200 OK", "application/json", b'{"status":"alive"}\n')
        elif path == b"/ready":
            self._desk.ask({"do": "ready"}, self._ready)
        else:
            self._send("404 Not Found", "text/plain", b"there are /metrics, /health and /ready\n")

    def _metrics(self, told: dict[str, Any]) -> None:
        if "error" in told:
            self._send("503 Service Unavailable", "text/plain", told["error"].encode() + b"\n")
        else:
            self._send("200 OK", "text/plain; version=0.0.4; charset=utf-8", exposition(told).encode())

    def _ready(self, told: dict[str, Any]) -> None:
        status = "200 OK" if told.get("ready") else "503 Service Unavailable"
        self._send(status, "application/json", json.dumps(told).encode() + b"\n")

    def _send(self, status: str, kind: str, body: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self._answer = head.encode() + (b"" if self._request.startswith(b"HEAD ") else body)
        self._loop.watch(self._sock.fileno(), self._on_event, WRITE)


def bound(address: Address) -> socket.socket:
    """A socket at this address that does not listen yet; raises CannotListen."""
    family, place = address.resolve()
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
    except OSError as error:
        sock.close()
        raise CannotListen(address.path or address.host, address.port, error.strerror or str(error)) from None
    return sock
