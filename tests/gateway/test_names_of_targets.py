"""Targets are called by name: a name may lead to several places, and to other ones later."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from twoway.gateway import addresses
from twoway.gateway.addresses import Address, CannotResolve


class Dns:
    """What the names of a test lead to; everything else is asked for as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, list[tuple[str, int]]] = {}
        self._real = socket.getaddrinfo
        monkeypatch.setattr(addresses.socket, "getaddrinfo", self._asked)

    def _asked(self, host: str, port: int, *more: Any, **named: Any) -> Any:
        if not host.endswith(".test"):
            return self._real(host, port, *more, **named)
        if not self.known.get(host):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in self.known[host]]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Dns:
    return Dns(monkeypatch)


def _closed() -> tuple[str, int]:
    """A place where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return "127.0.0.1", sock.getsockname()[1]


def test_the_next_place_of_a_name_is_called_when_the_first_does_not_answer(
    pki: Pki, backend: Backend, dns: Dns
):
    """`localhost` is often ::1 and then 127.0.0.1: the client notices nothing, and the target is not down."""
    dns.known["app.test"] = [_closed(), ("127.0.0.1", backend.port)]
    target, ledger = Address(host="app.test", port=1), Ledger()
    with running(gateway_of(pki, target, ledger=ledger, unsafe_plain=True)) as gateway:
        for _ in range(2):
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
        one = gateway.frontends[0].backend.targets[0]
        until(lambda: not one.open)
        assert one.is_up
        assert one.places[0] == (socket.AF_INET, ("127.0.0.1", backend.port))
    assert not ledger.named("target-down")


def test_all_places_of_a_name_are_tried_before_it_is_down(pki: Pki, dns: Dns):
    dns.known["app.test"] = [_closed(), _closed()]
    ledger = Ledger()
    with running(
        gateway_of(pki, Address(host="app.test", port=1), ledger=ledger, unsafe_plain=True)
    ) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock, pytest.raises(OSError):
            sock.sendall(b"ping")
            if not sock.recv(4):
                raise ConnectionResetError
        until(lambda: ledger.named("target-down"))
        assert gateway.frontends[0].backend.targets[0].open == 0


def test_a_name_that_leads_elsewhere_is_followed_and_what_is_open_stays(pki: Pki, backend: Backend, dns: Dns):
    """Looked up again while it runs; when nobody answers, what was known holds."""
    second, ledger = Backend(), Ledger()
    try:
        dns.known["app.test"] = [("127.0.0.1", backend.port)]
        target = Address(host="app.test", port=1)
        with running(gateway_of(pki, target, ledger=ledger, unsafe_plain=True)) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as first:
                assert ask(first) == b"ping"
                dns.known["app.test"] = [("127.0.0.1", second.port)]
                gateway._upkeep.turn(time.time() + 3600)
                until(lambda: ledger.named("target-moved"))
                assert ask(first) == b"ping"
            dns.known["app.test"] = []
            gateway._upkeep.turn(time.time() + 7200)
            with wrap(gateway.ports[0], context_of(pki)) as other:
                assert ask(other) == b"ping"
    finally:
        second.close()
    assert (len(backend.accepted), len(second.accepted)) == (1, 1)
    assert len(ledger.named("target-moved")) == 1


def test_a_name_without_an_address_stops_the_start(dns: Dns):
    with pytest.raises(CannotResolve, match="cannot find the address of gone"):
        Address(host="gone.test", port=1).resolve_all()
