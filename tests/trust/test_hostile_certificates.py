"""Certificates that no honest authority writes end in a typed refusal, before and within a handshake."""

from __future__ import annotations

import contextlib
import random
import warnings
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL, crypto

from tests.pki import Issuer, make
from twoway.errors import TwowayError
from twoway.tls import ServerContext, ServerSettings, Session
from twoway.trust import (
    CertificateUnreadable,
    HostnameMismatch,
    Peer,
    Policy,
    Trust,
    UnknownAuthority,
    check_hostname,
    verify,
)

ROOT = Issuer.root("Acme Root")
ISSUING = ROOT.below("Acme Issuing")
TRUST = Trust((ROOT.certificate,))
SERVER = ISSUING.leaf("api.acme.example", purpose="server")
ORDERS = ISSUING.leaf("orders", dns=("a.example",), uri=("spiffe://a/b",), ip=("10.0.0.1",), email=("k@a.b",))
DER = ORDERS.leaf.public_bytes(Encoding.DER)

_DNS, _EMAIL = 0x82, 0x81


def with_name(tag: int, raw: bytes) -> x509.Certificate:
    """A leaf of our own authority with one alternative name of exactly these bytes."""
    value = bytes([0x30, len(raw) + 2, tag, len(raw)]) + raw
    name = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), value)
    return make("x", ISSUING.key, ISSUING, purpose="peer", extensions=((name, False),))


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_changed_certificate_never_verifies_and_never_ends_in_another_error(
    changes: list[tuple[int, int]],
):
    changed = bytearray(DER)
    for position, value in changes:
        changed[position] = value
    if bytes(changed) == DER:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            leaf = x509.load_der_x509_certificate(bytes(changed))
        except (ValueError, x509.InvalidVersion):
            return
        with pytest.raises(TwowayError) as caught:
            verify((leaf, *ORDERS.chain[1:]), TRUST, purpose="client", hostname="a.example")
        assert str(caught.value)
        assert caught.value.remedy


def test_a_name_that_cannot_be_decoded_is_told_as_such():
    leaf = with_name(_DNS, b"\xff\xfe")
    with pytest.raises(CertificateUnreadable) as caught:
        verify((leaf, *ORDERS.chain[1:]), TRUST, purpose="client")
    assert caught.value.position == 0
    with pytest.raises(CertificateUnreadable):
        check_hostname(leaf, "a.example")


def test_a_host_name_with_the_kelvin_sign_is_not_the_one_with_a_k():
    """An excluded subtree bank.example would not stop its issuer: the bytes are others."""
    leaf = with_name(_DNS, "ban\u212a.example".encode())
    with pytest.raises(HostnameMismatch):
        check_hostname(leaf, "bank.example")
    peer = Peer.from_verified(verify((leaf, *ORDERS.chain[1:]), TRUST, purpose="client"))
    assert not Policy.from_rules(allow=["dns=bank.example"]).decide(peer).allowed
    mail = with_name(_EMAIL, "kim@ban\u212a.example".encode())
    peer = Peer.from_verified(verify((mail, *ORDERS.chain[1:]), TRUST, purpose="client"))
    assert not Policy.from_rules(allow=["email=kim@bank.example"]).decide(peer).allowed


@pytest.mark.parametrize("raw", [b"evil.example\0.acme.example", b"evil.example.", b"evil example", b""])
def test_a_host_name_is_taken_as_a_whole(raw: bytes):
    leaf = with_name(_DNS, raw)
    for host in ("evil.example", "acme.example", "evil.example\0.acme.example", ""):
        if raw == b"evil.example." and host == "evil.example":
            continue  # the same name, absolute
        with pytest.raises(HostnameMismatch):
            check_hostname(leaf, host)


def _openssl_client(leaf: crypto.X509, chain: tuple[x509.Certificate, ...], key: Any) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.use_privatekey(key)
    context.use_certificate(leaf)
    for certificate in chain:
        context.add_extra_chain_cert(certificate)
    client = SSL.Connection(context, None)
    client.set_connect_state()
    return client


def _refusal_of(client: SSL.Connection) -> TwowayError:
    server = Session(ServerContext(ServerSettings(credential=SERVER, trust=TRUST)), address="192.0.2.1:1")
    for _ in range(10):
        try:
            client.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            break
        with contextlib.suppress(SSL.WantReadError):
            server.receive(client.bio_read(65536))
        try:
            server.advance()
        except TwowayError as error:
            return error
        if data := server.outgoing():
            client.bio_write(data)
    raise AssertionError("the server let it in")


def test_what_only_openssl_can_decode_is_refused_within_the_handshake_too():
    """A stranger's malformed certificate must not reach the server's program as a parser's error."""
    stranger = Issuer.root("Other Root").leaf("stranger", dns=("a.example",))
    der = stranger.leaf.public_bytes(Encoding.DER)
    refusals = set()
    chance = random.Random(20261123)
    for changed in (bytearray(der) for _ in range(150)):
        changed[chance.randrange(len(der))] = chance.choice((0, 1, 4, 6, 0x30, 0x80, 0xFF))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                leaf = crypto.load_certificate(crypto.FILETYPE_ASN1, bytes(changed))
                client = _openssl_client(leaf, stranger.chain[1:], stranger.private_key)
            except (crypto.Error, SSL.Error, ValueError, x509.InvalidVersion):
                continue
            refusals.add(type(_refusal_of(client)))
    assert CertificateUnreadable in refusals
    assert UnknownAuthority in refusals
