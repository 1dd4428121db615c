"""Stapled answers in a real handshake: what a client refuses, what it lets pass, and what it needs."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography.x509 import ocsp

from tests.pki import Issuer
from tests.revocation.answers import MUST_STAPLE, answer, responder_of, unsigned
from tests.tls.conftest import BOTH, Outcome, Pki, shake
from twoway.revocation.inquiry import Inquiry, may_wait
from twoway.tls import ClientContext, ClientSettings, ServerContext, ServerSettings, Session
from twoway.trust import CertificateRevoked, OcspStale, OcspUnavailable, OcspUnusable, StapleMissing


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def met(
    pki: Pki, staple: bytes | None, version: str, *, server=None, inquiry: Inquiry | None = None
) -> Outcome:
    """A client of ours meets a server that staples this."""
    serving = ServerSettings(
        server or pki.server,
        pki.trust,
        minimum_version=version,  # type: ignore[arg-type]
        maximum_version=version,  # type: ignore[arg-type]
        staple=lambda _: staple,
    )
    calling = ClientSettings(pki.client, pki.trust, inquiry=inquiry)
    client = Session(ClientContext(calling), server_name="localhost")
    return shake(client, Session(ServerContext(serving)))


@pytest.mark.parametrize("version", BOTH)
def test_a_good_staple_proves_the_server_unrevoked(pki: Pki, version: str):
    by = responder_of(pki.issuing)
    outcome = met(pki, answer(pki.issuing, pki.server.leaf, now=now(), by=by), version)
    assert outcome.client_error is None
    assert outcome.server_error is None
    assert outcome.client.peer is not None
    assert outcome.client.peer.revocation == "good"


@pytest.mark.parametrize("version", BOTH)
def test_no_staple_is_no_matter_unless_the_certificate_demands_one(pki: Pki, version: str):
    """RFC 7633: must-staple is honoured; any other server may be met without."""
    plain = met(pki, None, version)
    assert plain.client_error is None
    assert plain.client.peer is not None
    assert plain.client.peer.revocation == "unchecked"
    strict = pki.issuing.leaf("strict", dns=("localhost",), purpose="server", extensions=MUST_STAPLE)
    assert isinstance(met(pki, None, version, server=strict).client_error, StapleMissing)
    good = answer(pki.issuing, strict.leaf, now=now())
    outcome = met(pki, good, version, server=strict)
    assert outcome.client_error is None
    assert outcome.client.ticket() is None  # resumed, it would show no answer


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize(
    ("staple", "fault"),
    [
        (lambda pki: answer(pki.issuing, pki.server.leaf, "revoked", now=now()), CertificateRevoked),
        (lambda pki: answer(pki.issuing, pki.server.leaf, now=now(), start=-9000, seconds=-3600), OcspStale),
        (
            lambda pki: answer(pki.issuing, pki.server.leaf, now=now(), by=Issuer.root("Mallory")),
            OcspUnusable,
        ),
        (lambda pki: unsigned(ocsp.OCSPResponseStatus.TRY_LATER), OcspUnusable),
    ],
)
def test_a_staple_that_does_not_satisfy_ends_the_handshake(pki: Pki, version: str, staple, fault: type):
    """RFC 6066 §8: the client shows no certificate of its own, and the server learns of the bad answer."""
    outcome = met(pki, staple(pki), version)
    assert isinstance(outcome.client_error, fault)
    assert outcome.client.peer is None
    assert outcome.server.peer is None
    assert outcome.client.alert_sent == 113  # bad_certificate_status_response
    assert "bad_certificate_status_response" in str(outcome.server_error)


def down(url, **_):
    from twoway.revocation.faults import FetchFailed

    raise FetchFailed(str(url), "down")


@pytest.mark.parametrize("version", BOTH)
def test_a_staple_saves_the_question_and_without_one_it_is_asked(pki: Pki, version: str):
    """Stapled first: a responder that is down does not matter then, and refuses without (rule "hard")."""
    inquiry = Inquiry("hard", depth="leaf", url="http://ocsp.example/", ask=down)
    with may_wait():
        assert (
            met(pki, answer(pki.issuing, pki.server.leaf, now=now()), version, inquiry=inquiry).client_error
            is None
        )
        inquiry.forget()
        outcome = met(pki, None, version, inquiry=inquiry)
    assert isinstance(outcome.client_error, OcspUnavailable)
    assert outcome.server.peer is None


@pytest.mark.parametrize("version", BOTH)
def test_a_server_is_asked_about_again_when_its_session_is_resumed(pki: Pki, version: str):
    """Resumption never skips a check: the responder's newer word counts."""
    status = ["good"]
    inquiry = Inquiry(
        "hard",
        depth="leaf",
        url="http://ocsp.example/",
        nonce="off",
        ask=lambda url, **_: answer(pki.issuing, pki.server.leaf, status[0], now=now()),
    )
    serving = ServerContext(
        ServerSettings(pki.server, pki.trust, minimum_version=version, maximum_version=version)  # type: ignore[arg-type]
    )
    calling = ClientContext(ClientSettings(pki.client, pki.trust, inquiry=inquiry))
    with may_wait():
        first = shake(Session(calling, server_name="localhost"), Session(serving))
        assert first.client_error is None
        ticket = first.client.ticket()
        assert ticket is not None
        again = shake(Session(calling, server_name="localhost", ticket=ticket), Session(serving))
        assert again.client_error is None
        assert again.client.resumed
        status[0] = "revoked"
        inquiry.forget()
        ticket = again.client.ticket() or ticket
        last = shake(Session(calling, server_name="localhost", ticket=ticket), Session(serving))
    assert isinstance(last.client_error, CertificateRevoked)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("staple", [b"", b"garbage"])
def test_a_server_without_an_answer_goes_on_without(pki: Pki, version: str, staple: bytes):
    """What is no answer is left out (the library sends only what decodes), and the handshake succeeds."""
    assert met(pki, staple, version).client_error is None
