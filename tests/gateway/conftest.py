"""Gateways of the tests: on free ports, in a thread, in front of a backend that remembers every byte."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Ledger, context_of, until
from tests.tls.conftest import Pki, pki
from twoway.gateway import Gateway, GatewayOptions
from twoway.gateway.addresses import Address
from twoway.gateway.options import ListenerOptions

__all__ = ["Backend", "Ledger", "Pki", "context_of", "gateway_of", "pki", "until", "wrap"]


def wrap(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A client's connection; an end without close_notify is an error, not b""."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    return context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)


class Backend:
    """A real TCP (or UNIX) server. `echo` answers what it gets; otherwise a test holds the connections itself."""

    def __init__(self, *, echo: bool = True, path: Path | None = None, port: int = 0) -> None:
        self.echo = echo
        family = socket.AF_UNIX if path is not None else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(str(path) if path is not None else ("127.0.0.1", port))
        self._listener.listen(512)
        self.address = (
            Address(path=str(path)) if path is not None else Address(host="127.0.0.1", port=self.port)
        )
        self.received: list[bytearray] = []
        self.accepted: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def everything(self) -> bytes:
        return b"".join(bytes(one) for one in self.received)

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
            mine = bytearray()
            self.received.append(mine)
            if self.echo:
                self._start(self._answer, sock, mine)

    def _answer(self, sock: socket.socket, mine: bytearray) -> None:
        with contextlib.suppress(OSError), sock:
            while data := sock.recv(65536):
                mine += data
                sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

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
def backend() -> Iterator[Backend]:
    one = Backend()
    yield one
    one.close()


@contextlib.contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    """The gateway at work in a thread; ended, and its thread joined, afterwards."""
    ready = threading.Event()
    thread = threading.Thread(target=gateway.run, args=(ready.set,))
    thread.start()
    assert ready.wait(10)
    try:
        yield gateway
    finally:
        gateway.stop()
        gateway.stop()
        thread.join(20)
        assert not thread.is_alive()


def gateway_of(
    pki: Pki, *targets: Any, ledger: Ledger | None = None, drain: float = 5.0, **more: Any
) -> Gateway:
    """A gateway with one listener of kind "server" in front of these targets; letting in anyone proven."""
    options = {
        "kind": "server",
        "listen": Address(host="127.0.0.1"),
        "targets": tuple(getattr(one, "address", one) for one in targets),
        "identity": pki.server,
        "trust": pki.trust,
        **more,
    }
    if options["kind"] == "server" and not ({"allow", "policy", "deny"} & set(more)):
        options.setdefault("allow_anyone_proven", True)
    admin = options.pop("admin", None)
    metrics = options.pop("metrics", None)
    listener = ListenerOptions(**options)
    return Gateway(
        GatewayOptions(listeners=(listener,), drain_seconds=drain, admin=admin, metrics=metrics),
        journal=ledger or Ledger(),
    )


def ask(sock: ssl.SSLSocket, message: bytes = b"ping") -> bytes:
    """One message there and back."""
    sock.sendall(message)
    return exactly(sock, len(message))


def exactly(sock: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        part = sock.recv(size - len(got))
        if not part:
            break
        got += part
    return got


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def plain(port: int, message: bytes = b"ping") -> bytes:
    """What a plain client gets back; b"" for a reset."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.sendall(message)
            return exactly(sock, len(message))
    except ConnectionResetError:
        return b""
