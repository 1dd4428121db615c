"""Servers for the client's tests: one of ours, and ones of Python's own that do as they are told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.server import background

__all__ = ["pki"]


@pytest.fixture
def server(pki: Pki) -> Iterator[str]:
    with background(tell, identity=pki.server, journal=Ledger()) as running:
        yield f"https://localhost:{running.port}"


@pytest.fixture
def foreign() -> Iterator[Callable[..., str]]:
    """A server of Python's own: each connection goes to `handle`; with a context it speaks TLS."""
    threads: list[threading.Thread] = []
    listeners: list[socket.socket] = []

    def start(handle: Callable[[Any], None], context: ssl.SSLContext | None = None, times: int = 1) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(10)
        listeners.append(listener)

        def run() -> None:
            for _ in range(times):
                try:
                    sock, _ = listener.accept()
                except (TimeoutError, OSError):
                    return
                with sock:
                    try:
                        with context.wrap_socket(sock, server_side=True) if context else sock as talking:
                            handle(talking)
                    except OSError:
                        continue

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return f"https://localhost:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(15)
