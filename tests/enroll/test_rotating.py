"""A root is changed while everybody works: the service, a server, a gateway and fifty clients, and nobody is cut off."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

import twoway
from tests.enroll.conftest import Serve, Served
from tests.gateway.conftest import Backend, ask, backend, running, wrap
from tests.server.conftest import Ledger, fetch, until
from twoway.authority import Authority
from twoway.authority.rotation_faults import WouldCutOff
from twoway.credential import Credential, certificates_from_pem
from twoway.enroll.agent import IdentityOptions, Managed
from twoway.enroll.asking import AuthorityAt
from twoway.errors import TwowayError
from twoway.gateway import Gateway, GatewayOptions
from twoway.gateway.addresses import Address
from twoway.gateway.options import ListenerOptions
from twoway.server import ServeOptions, Server
from twoway.server.running import bind
from twoway.tls import LiveServer
from twoway.trust import Trust

__all__ = ["backend"]

SETTLED = timedelta(minutes=2)
HOUR = timedelta(minutes=61)
CLIENTS = 50


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@contextmanager
def serving(identity: Path, ledger: Ledger) -> Iterator[int]:
    """`twoway serve` with one worker, in a thread."""
    options = ServeOptions(identity=str(identity), port=0, access_log=False, rejudge_seconds=1)
    sock = bind("127.0.0.1", 0)
    server = Server(hello, options, LiveServer(options.settings()), sock, ledger)
    thread = threading.Thread(target=lambda: asyncio.run(server._serve()))
    thread.start()
    until(lambda: server.started)
    try:
        yield server.port
    finally:
        server.should_exit = True
        thread.join(20)


class Load:
    """Some clients that make one handshake after another, each with what is in its directory at that moment."""

    def __init__(self, work: list[Callable[[], object]]) -> None:
        self.done, self.failures = 0, list[str]()
        self._stop = threading.Event()
        shares = [work[start::4] for start in range(4)]
        self._threads = [threading.Thread(target=self._run, args=(share,)) for share in shares]
        for thread in self._threads:
            thread.start()

    def _run(self, work: list[Callable[[], object]]) -> None:
        while not self._stop.is_set():
            for one in work:
                try:
                    one()
                    self.done += 1
                except Exception as failure:
                    self.failures.append(repr(failure))

    def some_more(self) -> None:
        """Until every client has tried again, on what is in force now."""
        wanted = self.done + 2 * CLIENTS
        until(lambda: self.done >= wanted or self.failures, 30)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


@pytest.mark.slow
def test_nobody_is_cut_off_while_the_root_is_changed(
    authority: Authority, service: Served, backend: Backend, tmp_path: Path
) -> None:
    names = ("server", "gateway", *(f"client-{number}" for number in range(CLIENTS)))
    for name in names[:2]:
        authority.issue_peer("localhost").save(tmp_path / name)
    for name in names[2:]:
        authority.issue_client(name).save(tmp_path / name)
    agents = [
        Managed(IdentityOptions(directory=tmp_path / name, url=service.url), AuthorityAt(service.url), quiet)
        for name in names
    ]
    looked = iter(range(1, 10))

    def all_look() -> None:
        now = datetime.now(UTC) + next(looked) * HOUR
        with ThreadPoolExecutor(4) as pool:
            states = list(pool.map(lambda one: one.look(now), agents))
        assert [state.error for state in states if state.failures] == []

    old, ledger = authority.root_certificate, Ledger()
    place = Address(host="127.0.0.1")
    listener = ListenerOptions(
        kind="server",
        listen=place,
        targets=(backend.address,),
        identity=str(tmp_path / "gateway"),
        allow_anyone_proven=True,
    )
    gateway = Gateway(GatewayOptions(listeners=(listener,)), journal=Ledger())
    with (
        serving(tmp_path / "server", ledger) as port,
        running(gateway),
        Authority.open(authority.directory) as operator,
    ):
        door = gateway.ports[0]
        work: list[Callable[[], object]] = []
        for name in names[2:]:
            work += [call(tmp_path / name, port), through(tmp_path / name, door)]
        load = Load(work)
        try:
            load.some_more()
            operator.rotating.advance("root")
            with pytest.raises(WouldCutOff) as early:
                operator.rotating.advance("root", now=datetime.now(UTC) + SETTLED)
            assert early.value.count == len(names)
            until(lambda: len(authority.cas.bundle.certificates) == 2)
            all_look()
            assert all(len(Credential.load(tmp_path / name).anchors) == 2 for name in names)
            load.some_more()

            operator.rotating.advance("root", now=datetime.now(UTC) + SETTLED)
            with pytest.raises(WouldCutOff) as old_ones:
                operator.rotating.advance("root", now=datetime.now(UTC) + SETTLED)
            assert old_ones.value.count == len(names)
            until(lambda: authority.root_certificate != old)
            until(lambda: service.running.own.current.anchors[0] != old)
            all_look()
            # The minute that a successor has to arrive is shortened here: it is in force once it is shown.
            for where, name in ((port, "server"), (door, "gateway")):
                until(
                    lambda where=where, name=name: shown(where, tmp_path / names[2]) == held(tmp_path / name)
                )
            load.some_more()

            operator.rotating.advance("root", now=datetime.now(UTC) + SETTLED)
            until(lambda: len(authority.cas.bundle.certificates) == 1)
            all_look()
            new = operator.root_certificate
            assert {Credential.load(tmp_path / name).anchors for name in names} == {(new,)}
            load.some_more()
        finally:
            load.stop()
    assert load.failures == []
    assert load.done > 8 * CLIENTS


def quiet(*_: object, **facts: object) -> None:
    pass


def shown(port: int, identity: Path) -> bytes | None:
    with wrap(port, twoway.client_context(str(identity))) as sock:
        return sock.getpeercert(binary_form=True)


def held(identity: Path) -> bytes:
    return Credential.load(identity).leaf.public_bytes(Encoding.DER)


def call(identity: Path, port: int) -> Callable[[], object]:
    return lambda: fetch(port, twoway.client_context(str(identity)))


def through(identity: Path, port: int) -> Callable[[], object]:
    def once() -> None:
        with wrap(port, twoway.client_context(str(identity))) as sock:
            assert ask(sock) == b"ping"

    return once


def test_who_fetches_the_roots_with_a_certificate_is_remembered(
    authority: Authority, service: Served
) -> None:
    orders, shop = authority.issue_client("orders"), authority.issue_client("shop")
    authority.rotating.advance("root")
    for identity in (orders, None):
        answer = service.call("GET", "/roots.pem", identity)
        assert len(certificates_from_pem(answer.content)) == 2
    waiting = authority.rotating.status("root", datetime.now(UTC) + SETTLED).waits_for
    assert (waiting.count, waiting.named[0].split()[0]) == (1, "shop")
    service.call("GET", "/roots.pem", shop)
    assert authority.rotating.status("root", datetime.now(UTC) + SETTLED).waits_for.count == 0


def test_all_lists_come_together(authority: Authority, serve: Serve) -> None:
    orders = authority.issue_client("orders")
    authority.rotating.advance("root")
    with serve() as service:
        until(lambda: service.call("GET", "/crls.pem").status_code == 200)
        body = AuthorityAt(service.url).crls(orders)
    assert body.count(b"BEGIN X509 CRL") == 4


def test_est_hands_out_the_roots_as_each_certifies_the_other(authority: Authority, service: Served) -> None:
    """RFC 7030 §4.1.3: OldWithOld, OldWithNew and NewWithOld."""
    authority.rotating.advance("root")
    body = service.call("GET", "/.well-known/est/cacerts").content
    found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))
    assert set(authority.cas.crosses) | set(authority.cas.bundle.certificates) <= set(found)
    assert len(found) == 5


def test_the_service_shows_a_chain_for_either_root(authority: Authority, service: Served) -> None:
    old = authority.root_certificate
    authority.rotating.advance("root")
    authority.rotating.advance("root", force=True)
    for root in (old, authority.root_certificate):
        with twoway.Client(trust=Trust((root,)), base_url=service.url) as client:
            until(lambda client=client: answers(client))


def answers(client: twoway.Client) -> bool:
    """Whether the service can be verified already: it has its new chain within a few seconds."""
    try:
        return client.get("/health").status_code == 200
    except TwowayError:
        return False
