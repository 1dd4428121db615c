"""A mutual-TLS server that runs while a test does, and keeps whom it refused."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from twoway.client import Client
from twoway.credential import Credential
from twoway.server import Journal, Server
from twoway.server.serving import background
from twoway.testing.company import Company
from twoway.tls import Refusal

_SECONDS = 10.0


class _Ledger(Journal):
    """Writes nothing, keeps the refusals."""

    def __init__(self) -> None:
        super().__init__(access=False)
        self.refusals: list[Refusal] = []

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def event(self, name: str, sentence: str, **facts: object) -> None:
        pass


class Served:
    """One running server: its address, clients for it, and its refusals."""

    def __init__(self, server: Server, company: Company, ledger: _Ledger) -> None:
        self.server, self.company, self._ledger = server, company, ledger
        self.port = server.port
        self.url = f"https://localhost:{server.port}"

    @property
    def refusals(self) -> list[Refusal]:
        """Whom it has turned away so far, oldest first: `code`, `reason`, `remedy`, `alert`, `presented`."""
        return self._ledger.refusals

    def refusal(self) -> Refusal:
        """The newest refusal, waited for: a client may know before the server has written it down."""
        end = time.monotonic() + _SECONDS
        while not self.refusals and time.monotonic() < end:
            time.sleep(0.005)
        if not self.refusals:
            raise AssertionError("the server has refused nobody")
        return self.refusals[-1]

    def client(self, identity: Credential | None = None, **more: Any) -> Client:
        """A client of this server, which shows `identity`, or nothing. Use it in a `with`."""
        trust = None if identity is not None and identity.anchors else self.company.trust()
        return Client(identity=identity, **{"trust": trust, "base_url": self.url, **more})


async def hello(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """An ASGI application that answers "hello" and the caller's name."""
    if scope["type"] != "http":
        return
    who = scope["extensions"]["twoway"]["peer"]
    body = f"hello {who.describe() if who else 'nobody'}".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(company: Company, app: Any = hello, **options: Any) -> Iterator[Served]:
    """`app` (ASGI or WSGI) served to this company's clients on a free port of loopback, while the block runs.

    `options` are those of `twoway.serve`. Unless they say otherwise it presents `company.server()`, requires a client
    certificate, and knows who is revoked.
    """
    ledger = _Ledger()
    given: dict[str, Any] = {
        "identity": company.server(),
        "host": "127.0.0.1",
        "port": 0,
        "drain_seconds": 1.0,
    }
    if "trust" not in options:
        given["trust"] = company.trust(crls=company.crl())
    with background(app, journal=ledger, **{**given, **options}) as server:
        yield Served(server, company, ledger)
