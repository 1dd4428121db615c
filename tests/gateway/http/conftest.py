"""An HTTP gateway of the tests: clients that write raw bytes, and a backend that remembers every request."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.conftest import Ledger, Pki, context_of, gateway_of, pki, running, until, wrap
from twoway.gateway import Gateway
from twoway.gateway.addresses import Address

__all__ = ["Ledger", "Pki", "context_of", "pki", "running", "until", "wrap"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Asked:
    """One request as a target has got it."""

    head: bytes
    body: bytes
    connection: int

    @property
    def lines(self) -> list[str]:
        return self.head.decode("latin-1").split("\r\n")

    def values(self, name: str) -> list[str]:
        """Every value under a name, compared as CGI would: any separator is the same."""
        wanted = fold(name)
        return [
            line.partition(":")[2].strip()
            for line in self.lines[1:]
            if fold(line.partition(":")[0]) == wanted
        ]


def fold(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name.upper())


Answer = bytes | Callable[[Asked, socket.socket], None]


@dataclass
class HttpBackend:
    """A real server: reads requests strictly, answers each with `answer` (bytes, or a function that writes)."""

    answer: Answer = OK
    requests: list[Asked] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    accepted: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(host="127.0.0.1", port=self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted.append(sock)
            self._start(self._serve, sock, len(self.accepted))

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), sock:
            held = b""
            while True:
                while b"\r\n\r\n" not in held:
                    data = sock.recv(65536)
                    if not data:
                        return
                    self.received += data
                    held += data
                head, _, held = held.partition(b"\r\n\r\n")
                asked = Asked(head, b"", number)
                if asked.values("expect") and callable(self.answer):
                    self.requests.append(asked)
                    self.answer(asked, sock)
                    return
                held = self._body(asked, sock, held)
                self.requests.append(asked)
                if callable(self.answer):
                    self.answer(asked, sock)
                else:
                    sock.sendall(self.answer)

    def _body(self, asked: Asked, sock: socket.socket, held: bytes) -> bytes:
        def more() -> bytes:
            data = sock.recv(65536)
            self.received.extend(data)
            if not data:
                raise ConnectionError("half a body")
            return data

        if asked.values("transfer-encoding"):
            while True:
                while b"\r\n" not in held:
                    held += more()
                size_line, _, held = held.partition(b"\r\n")
                size = int(size_line, 16)
                while len(held) < size + 2:
                    held += more()
                asked.body += held[:size]
                held = held[size + 2 :]
                if not size:
                    return held
        size = int((asked.values("content-length") or ["0"])[0])
        while len(held) < size:
            held += more()
        asked.body = held[:size]
        return held[size:]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self.accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def http_backend() -> Iterator[HttpBackend]:
    one = HttpBackend()
    yield one
    one.close()


def http_gateway(pki: Pki, *targets: Any, **more: Any) -> Gateway:
    return gateway_of(pki, *targets, http=True, **more)


@dataclass
class Reply:
    status: int
    head: bytes
    body: bytes

    def value(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            if line.partition(":")[0].lower() == name.lower():
                return line.partition(":")[2].strip()
        return None


class Caller:
    """A client on one TLS connection that writes what a test says and reads answers by their framing."""

    def __init__(self, gateway: Gateway, context: ssl.SSLContext, *, name: str | None = "localhost") -> None:
        sock = socket.create_connection(("127.0.0.1", gateway.ports[0]), 10)
        if name is None:
            context.check_hostname = False
        self.sock = context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
        self.held = b""

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(self.held)
        self.held += data

    def reply(self, *, bodyless: bool = False) -> Reply:
        """The next answer; EOFError when the connection ends before it is whole."""
        while b"\r\n\r\n" not in self.held:
            self._more()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        found = Reply(int(head.split()[1]), head, b"")
        if bodyless or found.status in (204, 304) or found.status < 200:
            return found
        if found.value("transfer-encoding"):
            while True:
                while b"\r\n" not in self.held:
                    self._more()
                line, _, self.held = self.held.partition(b"\r\n")
                size = int(line, 16)
                while len(self.held) < size + 2:
                    self._more()
                found.body += self.held[:size]
                self.held = self.held[size + 2 :]
                if not size:
                    return found
        length = found.value("content-length")
        if length is None:
            with contextlib.suppress(EOFError):
                while True:
                    self._more()
            found.body, self.held = self.held, b""
            return found
        while len(self.held) < int(length):
            self._more()
        found.body, self.held = self.held[: int(length)], self.held[int(length) :]
        return found

    def ask(self, data: bytes = GET, **more: Any) -> Reply:
        self.send(data)
        return self.reply(**more)

    def ended(self) -> bool:
        """Whether the gateway ends the connection properly, with close_notify."""
        return not self.held and self.sock.recv(1) == b""
