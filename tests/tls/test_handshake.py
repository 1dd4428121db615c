"""Who gets in and who does not: the engine in memory, on TLS 1.3 and 1.2."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from twoway.errors import TwowayError
from twoway.steps import Step
from twoway.tls import (
    AlertReceived,
    ClientContext,
    ClientSettings,
    HandshakeFailed,
    NotTls,
    Refusal,
    ServerContext,
    ServerSettings,
    Session,
)
from twoway.trust import (
    CertificateExpired,
    CertificateRevoked,
    CrlMissing,
    CrlStale,
    HostnameMismatch,
    NoCertificate,
    NotAllowed,
    Policy,
    Trust,
    UnknownAuthority,
    WeakAlgorithm,
    WrongPurpose,
)

from .conftest import BOTH, Issuer, Pki, Shake, shake

versions = pytest.mark.parametrize("version", BOTH)


@versions
def test_two_proven_sides_know_each_other(meet: Shake, version: str):
    """After the handshake each side has a Peer that names the other."""
    outcome = meet(version=version)
    assert (outcome.client_error, outcome.server_error) == (None, None)
    assert outcome.server.peer is not None
    assert outcome.client.peer is not None
    assert outcome.server.peer.common_name == "orders"
    assert outcome.server.peer.address == "192.0.2.1:1"
    assert outcome.client.peer.names.dns == ("api.acme.example", "localhost")
    assert outcome.server.peer.tls_version == outcome.client.peer.tls_version == version
    assert not outcome.server.peer.resumed


def test_post_quantum_key_exchange_is_what_two_of_us_choose(meet: Shake):
    outcome = meet()
    assert outcome.server.peer is not None
    assert outcome.server.peer.group == outcome.client.group == "X25519MLKEM768"


def test_plaintext_goes_both_ways_and_ends_with_close_notify(meet: Shake):
    outcome = meet()
    client, server = outcome.client, outcome.server
    payload = bytes(range(256)) * 1000
    client.write(payload)
    server.receive(client.outgoing())
    got = b""
    while (part := server.read()) is not None:
        got += part
    assert got == payload
    server.close_notify()
    client.receive(server.outgoing())
    assert client.read() == b""
    client.eof()


@versions
def test_no_certificate_is_refused_where_one_is_required(meet: Shake, version: str):
    outcome = meet(client={"credential": None}, version=version)
    assert isinstance(outcome.server_error, NoCertificate)
    assert outcome.server_error.step is Step.SERVER_CHECKS
    assert isinstance(outcome.client_error, AlertReceived)
    assert (
        outcome.client_error.alert
        == {"TLSv1.3": "certificate_required", "TLSv1.2": "handshake_failure"}[version]
    )
    assert outcome.client_error.step is Step.SERVER_CHECKS
    assert "Acme Root" in outcome.client_error.remedy
    assert "--identity" in outcome.client_error.remedy


@versions
def test_a_stranger_is_refused_and_named(meet: Shake, pki: Pki, version: str):
    """A refused peer is never anonymous: the fault and the presented chain say who it was."""
    outcome = meet(client={"credential": pki.stranger, "trust": pki.trust}, version=version)
    assert isinstance(outcome.server_error, UnknownAuthority)
    assert outcome.server.presented[0] == pki.stranger.leaf
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "unknown_ca"
    assert outcome.server.alert_sent == 48
    assert outcome.server.peer is None


@versions
def test_an_untrusted_server_is_refused_by_the_client(meet: Shake, pki: Pki, version: str):
    other = Issuer.root("Elsewhere").leaf("api.acme.example", purpose="server")
    outcome = meet(server={"credential": other, "trust": pki.trust}, version=version)
    assert isinstance(outcome.client_error, UnknownAuthority)
    assert outcome.client_error.step is Step.CLIENT_CHECKS
    assert isinstance(outcome.server_error, AlertReceived)
    assert outcome.server_error.alert == "unknown_ca"
    assert outcome.server_error.role == "server"


@versions
def test_the_wrong_host_name_is_refused_with_the_names_it_has(meet: Shake, version: str):
    outcome = meet(server_name="other.acme.example", version=version)
    assert isinstance(outcome.client_error, HostnameMismatch)
    assert "api.acme.example" in str(outcome.client_error)
    assert isinstance(outcome.server_error, AlertReceived)


@versions
def test_a_server_certificate_is_refused_as_a_client(meet: Shake, pki: Pki, version: str):
    """A leaf whose EKU lacks clientAuth never becomes a Peer (RFC 5280 §4.2.1.12)."""
    outcome = meet(client={"credential": pki.server}, version=version)
    assert isinstance(outcome.server_error, WrongPurpose)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "unsupported_certificate"


@versions
def test_an_expired_client_is_refused_as_expired(meet: Shake, pki: Pki, version: str):
    late = pki.issuing.leaf("late", start=-20, days=-1)
    outcome = meet(client={"credential": late}, version=version)
    assert isinstance(outcome.server_error, CertificateExpired)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "certificate_expired"


@versions
def test_a_revoked_client_is_refused_as_revoked(meet: Shake, pki: Pki, version: str):
    crls = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
    outcome = meet(server={"trust": Trust((pki.root.certificate,), crls)}, version=version)
    assert isinstance(outcome.server_error, CertificateRevoked)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "certificate_revoked"


def test_a_good_client_passes_the_revocation_check(meet: Shake, pki: Pki):
    crls = (pki.issuing.crl(), pki.root.crl())
    outcome = meet(server={"trust": Trust((pki.root.certificate,), crls)})
    assert outcome.server_error is None
    assert outcome.server.peer is not None
    assert outcome.server.peer.revocation == "good"


@pytest.mark.parametrize(
    ("crls", "fault"),
    [
        (lambda pki: (pki.root.crl(),), CrlMissing),
        (lambda pki: (pki.issuing.crl(start=-9, days=-2), pki.root.crl()), CrlStale),
    ],
)
def test_a_missing_or_stale_revocation_list_refuses_without_blaming_the_authority(
    meet: Shake, pki: Pki, crls, fault
):
    """The alert is certificate_unknown: unknown_ca would send people after the wrong fault."""
    outcome = meet(server={"trust": Trust((pki.root.certificate,), crls(pki))})
    assert isinstance(outcome.server_error, fault)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "certificate_unknown"


def test_a_missing_revocation_list_can_warn_instead(meet: Shake, pki: Pki):
    trust = Trust((pki.root.certificate,), (pki.root.crl(),), crl_rule="warn")
    outcome = meet(server={"trust": trust})
    assert outcome.server_error is None
    assert outcome.server.peer is not None
    assert outcome.server.peer.revocation == "warned"


@versions
def test_the_policy_refuses_within_the_handshake(meet: Shake, version: str):
    """Who is proven and not allowed gets an alert, and no plaintext is ever taken from him."""
    policy = Policy.from_rules(allow=["cn=billing"])
    outcome = meet(server={"policy": policy}, version=version)
    assert isinstance(outcome.server_error, NotAllowed)
    assert outcome.server_error.step is Step.SERVER_CHECKS
    assert not outcome.server.complete
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "certificate_unknown"


def test_an_empty_policy_denies(meet: Shake):
    assert isinstance(meet(server={"policy": Policy()}).server_error, NotAllowed)


@versions
@pytest.mark.parametrize("clients", ["optional", "none"])
def test_a_client_without_a_certificate_is_nobody_where_none_is_required(
    meet: Shake, clients: str, version: str
):
    outcome = meet(client={"credential": None}, server={"clients": clients}, version=version)
    assert (outcome.client_error, outcome.server_error) == (None, None)
    assert outcome.server.complete
    assert outcome.server.peer is None


@versions
def test_an_optional_certificate_is_checked_when_it_is_shown(meet: Shake, pki: Pki, version: str):
    outcome = meet(
        client={"credential": pki.stranger, "trust": pki.trust},
        server={"clients": "optional"},
        version=version,
    )
    assert isinstance(outcome.server_error, UnknownAuthority)


def test_versions_that_do_not_meet_are_told_as_such(meet: Shake):
    outcome = meet(client={"maximum_version": "TLSv1.2"}, server={"minimum_version": "TLSv1.3"})
    assert isinstance(outcome.server_error, HandshakeFailed)
    assert outcome.server_error.reason == "unsupported protocol"
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "protocol_version"


@pytest.mark.parametrize(
    ("client", "server", "alert"),
    [
        ({"maximum_version": "TLSv1.2"}, {"minimum_version": "TLSv1.3"}, "protocol_version"),
        ({"alpn": ("h2",)}, {}, "no_application_protocol"),
    ],
)
def test_a_hello_that_finds_no_answer_fails_in_the_second_step_and_the_log_has_the_alert(
    meet: Shake, client: dict[str, object], server: dict[str, object], alert: str
):
    """Nobody has shown a certificate yet, so it is not the client's check that failed."""
    outcome = meet(client=client, server=server)
    assert outcome.server_error is not None
    told = Refusal.of(outcome.server_error, outcome.server)
    assert (told.step, told.alert) == (Step.SERVER_SHOWS, alert)
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == alert


def test_a_protocol_that_is_not_offered_is_told_as_such(meet: Shake):
    outcome = meet(client={"alpn": ("h2",)})
    assert isinstance(outcome.client_error, AlertReceived)
    assert outcome.client_error.alert == "no_application_protocol"


@pytest.mark.parametrize(
    ("garbage", "seen"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a plain HTTP request"),
        (b"\x00" * 64, "bytes that are no TLS record"),
    ],
)
def test_what_is_not_tls_is_called_so(pki: Pki, garbage: bytes, seen: str):
    session = Session(ServerContext(ServerSettings(pki.server)))
    session.receive(garbage)
    with pytest.raises(NotTls) as caught:
        session.advance()
    assert caught.value.seen == seen
    assert caught.value.step is Step.HELLO


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048", "ed25519", "mldsa44", "mldsa65", "mldsa87"])
def test_every_key_type_proves_both_sides(key_type: str):
    """ML-DSA included, end to end, with the CA's keys of the same kind."""
    root = Issuer.root("Root", key_type)
    issuing = root.below("Issuing", key_type)
    server = issuing.leaf("localhost", purpose="server", key_type=key_type)
    client = issuing.leaf("orders", key_type=key_type)
    outcome = shake(
        Session(ClientContext(ClientSettings(client)), server_name="localhost"),
        Session(ServerContext(ServerSettings(server))),
    )
    assert (outcome.client_error, outcome.server_error) == (None, None)
    assert outcome.server.peer is not None
    assert outcome.server.peer.key_type == key_type


def test_an_issuing_authority_alone_may_be_the_anchor(meet: Shake, pki: Pki):
    outcome = meet(server={"trust": Trust((pki.issuing.certificate,))})
    assert outcome.server_error is None
    assert outcome.server.peer is not None
    assert [c.subject for c in outcome.server.peer.chain][-1] == pki.issuing.certificate.subject


def test_the_accepted_authorities_are_advertised(meet: Shake, pki: Pki):
    outcome = meet()
    assert outcome.client.accepted_authorities() == (pki.root.certificate.subject,)


def test_a_key_too_small_is_refused_in_the_handshake(pki: Pki, tmp_path: Path):
    """A foreign client that lowers its own bar and shows a chain with a key of 1024 bits."""
    weak = Issuer.root("Weak Root")
    below = weak.below("Weak Issuing", key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    below.leaf("orders").save(tmp_path)
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
    lax.set_ciphers("DEFAULT@SECLEVEL=0")
    lax.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = Session(ServerContext(ServerSettings(pki.server, Trust((weak.certificate,)))))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = lax.wrap_bio(to_client, to_server, server_hostname="api.acme.example")
    refusals = []
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        server.receive(to_server.read())
        try:
            server.advance()
        except TwowayError as error:
            refusals.append(error)
            break
        to_client.write(server.outgoing())
    assert len(refusals) == 1
    assert isinstance(refusals[0], WeakAlgorithm)
    assert refusals[0].subject == "Weak Issuing"


@pytest.mark.parametrize(
    ("root", "issuing", "early"),
    [
        ({}, {}, True),
        ({"path_length": 1}, {}, True),
        ({}, {"path_length": None}, False),
        ({}, {"path_length": 1}, False),
        ({"constraints": x509.NameConstraints([x509.DNSName("acme.example")], None)}, {}, False),
        ({"purpose": "peer"}, {}, False),
    ],
)
def test_a_path_ends_at_the_issuing_authority_only_where_nothing_above_could_say_more(
    root: dict[str, Any], issuing: dict[str, Any], early: bool
):
    """Either way the peer's path runs up to the root, and every part of it is judged."""
    above = Issuer.root("Root", **root)
    authority = above.below("Issuing", **issuing)
    server = authority.leaf("a", dns=("api.acme.example",), purpose="server")
    client = authority.leaf("orders", dns=("orders.acme.example",))
    context = ServerContext(ServerSettings(server))
    assert bool(context.chains.above) is early
    outcome = shake(
        Session(ClientContext(ClientSettings(client)), server_name="api.acme.example"), Session(context)
    )
    assert outcome.server_error is None
    assert outcome.server.peer is not None
    assert outcome.server.peer.chain == (client.leaf, authority.certificate, above.certificate)


def test_a_revoked_issuing_authority_is_refused_where_its_path_ends_early(pki: Pki, meet: Shake):
    trust = Trust((pki.root.certificate,), (pki.issuing.crl(), pki.root.crl()))
    context = ServerContext(ServerSettings(pki.server, trust))
    assert context.chains.above
    context.trust = Trust((pki.root.certificate,), (pki.issuing.crl(), pki.root.crl(pki.issuing.certificate)))
    outcome = shake(
        Session(ClientContext(ClientSettings(pki.client)), server_name="api.acme.example"), Session(context)
    )
    assert isinstance(outcome.server_error, CertificateRevoked)
    assert outcome.server_error.subject == "Acme Issuing"


@pytest.mark.parametrize(
    ("key_type", "suite"), [("p256", "TLS_AES_128_GCM_SHA256"), ("p384", "TLS_AES_256_GCM_SHA384")]
)
def test_the_suite_is_as_strong_as_the_key_that_vouches_for_the_connection(
    meet: Shake, pki: Pki, key_type: str, suite: str
):
    server = pki.issuing.leaf(
        "api.acme.example", dns=("api.acme.example",), purpose="server", key_type=key_type
    )
    outcome = meet(server={"credential": server})
    assert outcome.server.cipher == outcome.client.cipher == suite
