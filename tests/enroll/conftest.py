"""A running service over a new authority, and callers of every kind."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

import twoway
from twoway.authority import Authority
from twoway.credential import Credential
from twoway.enroll import Address, Running, ServiceOptions
from twoway.enroll.background import background
from twoway.enroll.keeping import Keeper
from twoway.enroll.service import Service
from twoway.server import Journal
from twoway.trust import Trust

ROLES = ("admin", "operator", "auditor", "requester")
OPTIONS = ServiceOptions(
    listen=Address("127.0.0.1", 0),
    public_listen=Address("127.0.0.1", 0),
    roles=tuple(f"{role}:cn={role}" for role in ROLES),
    log_format="json",
)


class Served:
    """One service under test, with what it wrote in its journal."""

    def __init__(self, running: Running, journal: io.StringIO) -> None:
        self.running, self.journal = running, journal
        self.authority = running.service.authority
        self.url = f"https://localhost:{running.port}"
        self.plain_url = f"http://127.0.0.1:{running.public_port}"

    @contextlib.contextmanager
    def client(self, identity: Credential | None = None) -> Iterator[httpx2.Client]:
        """A caller that shows this identity, or none."""
        trust = Trust((self.authority.root_certificate,))
        with twoway.Client(identity=identity, trust=trust, base_url=self.url) as client:
            yield client

    def call(
        self, method: str, path: str, identity: Credential | None = None, **more: Any
    ) -> httpx2.Response:
        """One call on a connection of its own."""
        with self.client(identity) as client:
            return client.request(method, path, **more)

    def plain(self, path: str, method: str = "GET", **more: Any) -> httpx2.Response:
        """One call at the port without TLS."""
        return httpx2.request(method, self.plain_url + path, **more)

    def turn(self) -> None:
        """What the service does by itself every two seconds, now."""
        Keeper(self.running).turn()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What the journal says under that name."""
        found = [json.loads(line) for line in self.journal.getvalue().splitlines()]
        return [line for line in found if line["event"] == event]


Serve = Callable[..., contextlib.AbstractContextManager[Served]]


@pytest.fixture
def authority(tmp_path: Path, store_url: str | None) -> Iterator[Authority]:
    with Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True, store=store_url) as made:
        yield made


@contextlib.contextmanager
def served(authority: Authority) -> Iterator[Served]:
    """A service with the usual options."""
    stream = io.StringIO()
    with background(authority, OPTIONS, Journal("json", stream)) as running:
        yield Served(running, stream)


@pytest.fixture
def serve(authority: Authority) -> Serve:
    """Start a service, with other options than the usual ones."""

    @contextlib.contextmanager
    def start(on: Authority = authority, *, now: Any = None, **changes: Any) -> Iterator[Served]:
        stream = io.StringIO()
        more = {} if now is None else {"make": functools.partial(Service, now=now)}
        with background(on, replace(OPTIONS, **changes), Journal("json", stream), **more) as running:
            yield Served(running, stream)

    return start


@pytest.fixture
def service(serve: Serve) -> Iterator[Served]:
    with serve() as served:
        yield served
