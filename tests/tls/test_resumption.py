"""Resumption never skips a check: tickets across names, time, generations, trust, revocation and policy."""

from __future__ import annotations

import datetime as dt

import pytest

from twoway.steps import Step
from twoway.tls import (
    AlertReceived,
    ClientContext,
    ClientSettings,
    ServerContext,
    ServerSettings,
    Session,
    TicketElsewhere,
)
from twoway.tls.session import Ticket
from twoway.trust import CertificateExpired, CertificateRevoked, NotAllowed, Policy, Trust

from .conftest import BOTH, NOW, Outcome, Pki, shake

versions = pytest.mark.parametrize("version", BOTH)


class Pair:
    """A client and a server whose contexts stay, for several handshakes."""

    def __init__(self, pki: Pki, version: str, **server: object) -> None:
        self.client = ClientContext(
            ClientSettings(pki.client, minimum_version=version, maximum_version=version)  # type: ignore[arg-type]
        )
        self.server = ServerContext(ServerSettings(pki.server, **server))  # type: ignore[arg-type]
        self.ticket: Ticket | None = None

    def meet(self, name: str = "api.acme.example", server: ServerContext | None = None) -> Outcome:
        client = Session(self.client, server_name=name, ticket=self.ticket)
        outcome = shake(client, Session(server or self.server))
        if outcome.client_error is None:
            self.ticket = client.ticket() or self.ticket
        return outcome


@versions
def test_a_session_is_resumed_and_the_peer_is_known_again(pki: Pki, version: str):
    pair = Pair(pki, version)
    pair.meet()
    outcome = pair.meet()
    assert outcome.server.resumed
    assert outcome.client.resumed
    assert outcome.server.peer is not None
    assert outcome.server.peer.common_name == "orders"
    assert outcome.server.peer.resumed
    assert outcome.client.peer is not None
    assert outcome.client.peer.resumed


@versions
def test_a_ticket_never_outlives_its_certificate(pki: Pki, version: str, monkeypatch: pytest.MonkeyPatch):
    pair = Pair(pki, version)
    pair.meet()
    later = NOW + dt.timedelta(days=31)
    monkeypatch.setattr(pair.server, "now", lambda: later)
    outcome = pair.meet()
    assert isinstance(outcome.server_error, CertificateExpired)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "certificate_expired"


@versions
def test_a_client_judges_a_resumed_server_again(pki: Pki, version: str, monkeypatch: pytest.MonkeyPatch):
    pair = Pair(pki, version)
    pair.meet()
    later = NOW + dt.timedelta(days=31)
    monkeypatch.setattr(pair.client, "now", lambda: later)
    outcome = pair.meet()
    assert isinstance(outcome.client_error, CertificateExpired)
    assert outcome.client_error.step is Step.CLIENT_CHECKS


@versions
def test_revocation_and_policy_are_judged_on_resumption(pki: Pki, version: str):
    """Even where the context itself stays: tightened in place, for the test, behind a valid ticket."""
    pair = Pair(pki, version)
    pair.meet()
    pair.server.trust = Trust((pki.root.certificate,), (pki.issuing.crl(pki.client.leaf), pki.root.crl()))
    outcome = pair.meet()
    assert isinstance(outcome.server_error, CertificateRevoked)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "certificate_revoked"
    pair = Pair(pki, version)
    pair.meet()
    pair.server.policy = Policy()
    assert isinstance(pair.meet().server_error, NotAllowed)


@versions
def test_a_ticket_of_an_old_generation_is_worth_nothing(pki: Pki, version: str):
    pair = Pair(pki, version)
    pair.meet()
    outcome = pair.meet(server=ServerContext(pair.server.settings, generation=2))
    assert outcome.server.complete
    assert not outcome.server.resumed


@versions
def test_a_client_does_not_offer_its_ticket_under_another_name(pki: Pki, version: str):
    pair = Pair(pki, version)
    pair.meet()
    outcome = pair.meet("localhost")
    assert outcome.server.complete
    assert not outcome.server.resumed


@versions
def test_a_ticket_shown_under_another_name_is_refused(pki: Pki, version: str):
    """A client of somebody else's making may offer it: it is worth nothing there (RFC 6066 §3)."""
    pair = Pair(pki, version)
    pair.meet()
    assert pair.ticket is not None
    pair.ticket = pair.ticket._replace(server_name="localhost")
    outcome = pair.meet("localhost")
    assert isinstance(outcome.server_error, TicketElsewhere)
    assert outcome.server_error.args == ("api.acme.example", "localhost")
    assert not outcome.server.complete
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "unrecognized_name"


@versions
def test_an_evicted_chain_is_rebuilt_and_verified_anew(pki: Pki, version: str):
    pair = Pair(pki, version)
    pair.meet()
    pair.server.chains._by_leaf.clear()
    outcome = pair.meet()
    assert outcome.server.resumed
    assert outcome.server.peer is not None
    assert outcome.server.peer.common_name == "orders"


@versions
def test_an_anonymous_session_is_not_resumed_into_a_listener_that_requires_a_certificate(
    pki: Pki, version: str
):
    pair = Pair(pki, version, clients="optional")
    pair.client = ClientContext(
        ClientSettings(None, pki.trust, minimum_version=version, maximum_version=version)  # type: ignore[arg-type]
    )
    pair.meet()
    object.__setattr__(pair.server.settings, "clients", "required")
    outcome = pair.meet()
    assert outcome.server.peer is None
    assert not outcome.server.complete


def test_resumption_can_be_switched_off(pki: Pki):
    for version in BOTH:
        pair = Pair(pki, version, ticket_seconds=0)
        pair.meet()
        assert not pair.meet().server.resumed


def test_a_session_is_resumed_after_a_retry_request_too(pki: Pki):
    """The hello comes twice then, and the name that counts is the one in the second (RFC 8446 §4.1.4)."""
    serving = ServerContext(ServerSettings(pki.server, groups="P-256"))
    calling = ClientContext(ClientSettings(pki.client, groups="X25519:P-256"))
    first = shake(Session(calling, server_name="api.acme.example"), Session(serving))
    assert first.client.group == "secp256r1"
    again = shake(
        Session(calling, server_name="api.acme.example", ticket=first.client.ticket()), Session(serving)
    )
    assert again.client_error is None
    assert again.server.resumed
    assert again.server.peer is not None
