"""Servers of the tests: any application for proven callers, on a free port, in a thread."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.tls.conftest import Pki, pki
from twoway.server import Journal
from twoway.tls import Refusal, client_context

__all__ = ["pki"]


class Ledger(Journal):
    """Keeps what a server writes about itself."""

    def __init__(self, form: str = "json") -> None:
        self.text = io.StringIO()
        self.refusals: list[Refusal] = []
        super().__init__(form, self.text)

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        super().refused(refusal)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.events if entry["event"] == event]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for something that another thread or process does; fails when it does not come to pass."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)
    return found


def context_of(pki: Pki, who: Any = "client") -> ssl.SSLContext:
    credential = getattr(pki, who) if isinstance(who, str) else who
    return client_context(credential, trust=pki.trust).current()  # a plain one, which a test may weaken


def fetch(
    port: int, context: ssl.SSLContext, path: str = "/", method: str = "GET", **more: Any
) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    try:
        connection.request(method, path, **more)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wrap(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    return context.wrap_socket(sock, server_hostname="localhost")


async def tell(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An ASGI application that answers with what it knows of the connection."""
    import twoway

    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    who = twoway.peer(scope)
    answer = {
        "peer": who.as_dict() if who else None,
        "tls": scope["extensions"]["tls"],
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "scheme": scope["scheme"],
        "client": scope["client"],
        "length": len(body),
    }
    data = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
