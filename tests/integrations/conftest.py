"""Callers of every kind, and applications served to them by the real server in a thread."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.server.conftest import Ledger, context_of
from tests.tls.conftest import Pki, pki
from twoway.credential import Credential
from twoway.server import background
from twoway.tls import client_context

__all__ = ["pki"]


@dataclass
class Answer:
    """What came back: the status, the body, and the header fields by lower-case name."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Callers:
    """Who calls: `orders` is allowed, `reports` is proven and not allowed, None is nobody."""

    pki: Pki
    reports: Credential

    def ask(
        self,
        port: int,
        path: str = "/who",
        who: str | Credential | None = "client",
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        credential = self.reports if who == "reports" else who
        context = (
            client_context(trust=self.pki.trust) if credential is None else context_of(self.pki, credential)
        )
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
        sent = None if body is None else json.dumps(body)
        fields = {"content-type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, sent, fields | (headers or {}))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), told)
        finally:
            connection.close()


@pytest.fixture
def callers(pki: Pki) -> Callers:
    return Callers(pki, pki.issuing.leaf("reports"))


@contextlib.contextmanager
def serving(pki: Pki, app: Any, **options: Any) -> Iterator[int]:
    """The application on our own server, to callers with and without a certificate; gives the port."""
    chosen = {"clients": "optional", "trust": pki.trust, **options}
    with background(app, identity=pki.server, journal=Ledger(), **chosen) as server:
        yield server.port
