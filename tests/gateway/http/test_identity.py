"""Who asks, as the target is told; and that nobody else can say it."""

from __future__ import annotations

import base64
import socket
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.http.conftest import Caller, HttpBackend, Pki, context_of, http_gateway, running
from twoway.gateway.http.fields import DROP, fold, request_kinds
from twoway.gateway.http.identity import CLAIMS, FACTS, Identity
from twoway.tls import client_context
from twoway.trust import Peer, verify

# Every way to write a field that a program behind the gateway could take for who asks.
SPELLINGS = [
    "Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "CLIENT_CERT", "Client.Cert", "Client-Cert-Chain",
    "client_cert_chain", "X-Forwarded-Client-Cert", "X_Forwarded_Client_Cert", "x-forwarded-client_cert", "X-Client",
    "x_client", "X.Client", "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP",
    "SSL-Client-Verify", "SSL_CLIENT_S_DN", "SSL_CLIENT_S_DN_CN", "SSL_CLIENT_M_SERIAL", "ssl-client-subject-dn",
    "X-SSL", "X-SSL-Client-SHA1", "X_SSL_Issuer", "X-Forwarded-User", "X_Forwarded_Email", "X-Forwarded-Prefix",
    "X-Forwarded-Tls-Client-Cert-Info", "X-Amzn-Mtls-Clientcert-Subject", "X-Client-Cert-Fingerprint", "Cf-Client-Cert-Sha256",
    "X-ARR-ClientCert", "X-TLS-Client-Serial", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IP",
]  # fmt: skip


def _peer(pki: Pki, who: Any = None) -> Peer:
    credential = who or pki.client
    return Peer.from_verified(verify((credential.leaf, pki.issuing.certificate), pki.trust, purpose="client"))


def _forged() -> bytes:
    return "".join(f"{name}: forged\r\n{name}: forged-again\r\n" for name in SPELLINGS).encode()


def _no_forgery(backend: HttpBackend) -> None:
    assert b"forged" not in backend.received


@pytest.mark.parametrize("form", ["rfc9440", "xfcc", "none"])
@pytest.mark.parametrize("who", ["with a certificate", "without one", "resumed"])
def test_a_forged_identity_reaches_nobody(pki: Pki, http_backend: HttpBackend, form: str, who: str):
    """Whatever a client claims, in any spelling, twice, or in a trailer: the target hears what was proven, or nothing."""
    options: dict[str, Any] = {"client_cert_headers": form, "headers": ["X-Client=cn"], "clients": "optional"}
    with running(http_gateway(pki, http_backend, **options)) as gateway:
        context = client_context(None, trust=pki.trust) if who == "without one" else context_of(pki)
        with Caller(gateway, context) as first:
            if who == "resumed":
                first.ask()
                session = first.sock.session
                first.sock.close()
                sock = socket.create_connection(("127.0.0.1", gateway.ports[0]), 10)
                first.sock = context.wrap_socket(sock, server_hostname="localhost", session=session)
                assert first.sock.session_reused
            first.send(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: X-Client, Client-Cert, X-Forwarded-For\r\n"
                b"Transfer-Encoding: chunked\r\nTrailer: Client-Cert\r\n" + _forged() + b"\r\n"
                b"2\r\nhi\r\n0\r\n" + _forged() + b"\r\n"
            )
            assert first.reply().status == 200
    _no_forgery(http_backend)
    asked = http_backend.requests[-1]
    assert asked.body == b"hi"
    proven = who != "without one"
    assert asked.values("x-client") == (["orders"] if proven else [])
    assert asked.values("x-forwarded-for") == ["127.0.0.1"]
    assert asked.values("x-forwarded-proto") == ["https"]
    certificate = asked.values("client-cert")
    if form == "rfc9440" and proven:
        assert certificate[0][0] == certificate[0][-1] == ":"
        leaf = x509.load_der_x509_certificate(base64.b64decode(certificate[0].strip(":")))
        assert leaf == pki.client.leaf
        (chain,) = asked.values("client-cert-chain")
        between = [
            x509.load_der_x509_certificate(base64.b64decode(one.strip(": "))) for one in chain.split(",")
        ]
        assert between == [pki.issuing.certificate]
    else:
        assert certificate == asked.values("client-cert-chain") == []
    assert len(asked.values("x-forwarded-client-cert")) == (form == "xfcc" and proven)


def test_envoys_header_has_its_parts(pki: Pki):
    """By, Hash, Cert, Subject, URI and DNS, quoted where they hold a separator."""
    leaf = pki.issuing.leaf('kim, inc"; O=Evil', dns=("a.acme.example", "b.acme.example"))
    lines = Identity("xfcc", ()).lines(_peer(pki, leaf), own_uris=("spiffe://acme.example/gw",)).decode()
    told = next(line for line in lines.split("\r\n") if line.startswith("X-Forwarded-Client-Cert: "))
    assert ";DNS=a.acme.example;DNS=b.acme.example" in told
    assert "By=spiffe://acme.example/gw;Hash=" in told
    assert r'Subject="CN=kim\, inc\"\; O=Evil"' in told
    pem = unquote(told.split('Cert="')[1].split('"')[0])
    assert x509.load_pem_x509_certificate(pem.encode()) == leaf.leaf


def test_every_fact_is_one_line_of_visible_ascii(pki: Pki):
    """A name in a certificate cannot make a header field of its own, nor a second value."""
    evil = pki.issuing.leaf("kim\r\nX-Admin: yes\u2028ä%", dns=("a.acme.example",))
    peer = _peer(pki, evil)
    for fact, tell in FACTS.items():
        told = tell(peer)
        assert told.isascii(), fact
        assert told.isprintable() or not told, fact
    lines = Identity("none", [("X-Name", "cn")]).lines(peer)
    assert b"X-Name: kim%0D%0AX-Admin: yes%E2%80%A8%C3%A4%25\r\n" in lines
    assert lines.count(b"\r\n") == lines.count(b"\n") == 3


def test_several_values_cannot_be_made_of_one(pki: Pki):
    """A comma within a value is encoded, so that a list has exactly its members."""
    leaf = pki.issuing.leaf("x", dns=("a.example", "b.example"))
    assert FACTS["dns"](_peer(pki, leaf)) == "a.example, b.example"


def test_space_at_the_end_of_a_name_makes_another_name(pki: Pki):
    """Readers of header fields take space off: what is there is encoded, so that nobody becomes somebody else."""
    assert FACTS["cn"](_peer(pki, pki.issuing.leaf("admin "))) == "admin%20"
    assert FACTS["cn"](_peer(pki, pki.issuing.leaf("  "))) == "%20%20"


def test_a_comma_in_a_name_is_not_another_part_of_the_subject(pki: Pki):
    """RFC 4514 §2.4: the subject is told with its separators escaped."""
    assert FACTS["subject"](_peer(pki, pki.issuing.leaf("kim,O=Acme"))) == r"CN=kim\,O=Acme"


def test_verify_is_told_for_who_shows_none_too(pki: Pki):
    identity = Identity("rfc9440", [("X-Verify", "verify"), ("X-Name", "cn")])
    assert b"X-Verify: SUCCESS" in identity.lines(_peer(pki))
    nobody = identity.lines(None)
    assert b"X-Verify: NONE" in nobody
    assert b"X-Name" not in nobody


@given(
    st.sampled_from([*CLAIMS, b"X-Client-Name"]),
    st.lists(st.sampled_from(b"-_.~!'*+|^`#$&"), min_size=8, max_size=8),
    st.integers(0, 1 << 30),
)
def test_no_separator_and_no_case_gets_a_claim_through(name: bytes, separators: list[int], cases: int):
    """Law: every spelling that folds to a claim is dropped, and folding is what CGI does with a name."""
    spelled, used = bytearray(), iter(separators)
    for position, byte in enumerate(name):
        if byte == ord("-"):
            spelled.append(next(used))
        else:
            spelled += (bytes([byte]).upper if cases >> (position % 30) & 1 else bytes([byte]).lower)()
    kinds = request_kinds(Identity("none", [("X-Client-Name", "cn")]).stripped)
    assert fold(bytes(spelled)) == fold(name)
    assert kinds[bytes(spelled)] == DROP
