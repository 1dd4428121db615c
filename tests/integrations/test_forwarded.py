"""What a proxy says about its client is read strictly, and whatever else comes ends in a typed error."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.pki import Issuer
from twoway.gateway.http.identity import Identity
from twoway.integrations.forwarded import client_cert, xfcc
from twoway.integrations.forwarded.faults import ForwardedMalformed
from twoway.trust import Peer, Trust, verify

ROOT = Issuer.root("Root")
ISSUING = ROOT.below("Issuing")
ORDERS = ISSUING.leaf("orders", uri=("spiffe://acme.example/orders",))
PEER = Peer.from_verified(verify(ORDERS.chain, Trust((ROOT.certificate,)), purpose="client"))


def der(certificate: x509.Certificate) -> bytes:
    return b":" + base64.b64encode(certificate.public_bytes(Encoding.DER)) + b":"


def pem(*certificates: x509.Certificate) -> str:
    return quote("".join(one.public_bytes(Encoding.PEM).decode() for one in certificates), safe="")


def written(form: str) -> dict[str, list[bytes]]:
    """What our own gateway writes about this peer."""
    found: dict[str, list[bytes]] = {}
    for line in Identity(form, ()).lines(PEER).splitlines():  # type: ignore[arg-type]
        name, _, value = line.partition(b": ")
        found.setdefault(name.decode().lower(), []).append(value)
    return found


def test_what_our_gateway_writes_as_rfc_9440_is_read_back():
    said = written("rfc9440")
    found = client_cert.parse(said["client-cert"], said.get("client-cert-chain", []))
    assert found == ORDERS.chain


def test_what_our_gateway_writes_as_xfcc_is_read_back():
    assert xfcc.parse(written("xfcc")["x-forwarded-client-cert"]) == ORDERS.chain[:1]


def test_a_chain_may_come_in_several_lines():
    """RFC 9440 §2.3: a list, whose members may be in several lines of the same name."""
    chain = [der(ISSUING.certificate), der(ROOT.certificate) + b", " + der(ROOT.certificate)]
    assert len(client_cert.parse([der(ORDERS.leaf)], chain)) == 4


@pytest.mark.parametrize(
    ("cert", "chain", "problem"),
    [
        ([], [der(ISSUING.certificate)], "got it 0 times"),
        ([der(ORDERS.leaf)] * 2, [], "got it 2 times"),
        ([der(ORDERS.leaf) + b", " + der(ORDERS.leaf)], [], "expected :BASE64:"),
        ([b""], [], "expected :BASE64:"),
        ([b":"], [], "expected :BASE64:"),
        ([b"::"], [], "expected :BASE64:"),
        ([b":AAAA:"], [], "expected :BASE64:"),
        ([der(ORDERS.leaf) + b";a=1"], [], "expected :BASE64:"),
        ([der(ORDERS.leaf)], [b":AAAA:"] * 5, "at most 4"),
        ([b":" + b"A" * 20_000 + b":"], [], "more than 16,384"),
    ],
)
def test_what_rfc_9440_does_not_allow_is_refused(cert: list[bytes], chain: list[bytes], problem: str):
    with pytest.raises(ForwardedMalformed, match=problem):
        client_cert.parse(cert, chain)


def test_of_xfcc_the_chain_counts_before_the_certificate():
    value = f'Cert="{pem(ROOT.certificate)}";Chain="{pem(ORDERS.leaf, ISSUING.certificate)}"'
    assert xfcc.parse([value.encode()]) == ORDERS.chain


def test_a_quoted_subject_may_hold_every_separator():
    value = f'Subject="CN=a\\",b;c=d";URI=spiffe://a;URI=spiffe://b;Cert="{pem(ORDERS.leaf)}"'
    assert xfcc.parse([value.encode()]) == ORDERS.chain[:1]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "expected Key=Value"),
        ("Hash=ab", "neither Cert nor Chain"),
        (f"Hash=ab;Cert={pem(ORDERS.leaf)}", "its Hash is not that"),
        (f"Cert={pem(ORDERS.leaf)};Cert={pem(ORDERS.leaf)}", "cert is there twice"),
        (f"Cert={pem(ORDERS.leaf)},Cert={pem(ROOT.certificate)}", "got several"),
        ('Subject="open', "expected Key=Value at character 1"),
        ("Cert=nonsense", "percent-encoded PEM"),
        (f"Cert={pem(*[ORDERS.leaf] * 6)}", "at most 5"),
        ("Subject=" + "a" * 70_000, "more than 65,536"),
    ],
)
def test_what_envoy_does_not_write_is_refused(value: str, problem: str):
    """An element more is what the proxy's own client claimed."""
    with pytest.raises(ForwardedMalformed, match=problem):
        xfcc.parse([value.encode()])


@given(st.lists(st.binary(max_size=300), max_size=3), st.lists(st.binary(max_size=300), max_size=3))
def test_any_bytes_as_rfc_9440_are_certificates_or_a_typed_error(cert: list[bytes], chain: list[bytes]):
    try:
        assert client_cert.parse(cert, chain)
    except ForwardedMalformed as fault:
        assert fault.problem


TEMPLATE = f'By=spiffe://a;Hash=ab;Subject="CN=\\"x\\"";Cert="{pem(ORDERS.leaf)}"'.encode()


@given(st.integers(0, len(TEMPLATE) - 1), st.binary(max_size=3))
def test_a_changed_byte_of_xfcc_ends_in_a_typed_error_or_the_same_certificate(place: int, instead: bytes):
    try:
        found = xfcc.parse([TEMPLATE[:place] + instead + TEMPLATE[place + 1 :]])
    except ForwardedMalformed as fault:
        assert fault.remedy
    else:
        assert len(found) == 1


@given(st.text('abB=;,"\\ \n%', max_size=200))
def test_any_text_as_xfcc_ends_in_a_typed_error(text: str):
    with pytest.raises(ForwardedMalformed):
        xfcc.parse([text.encode()])
