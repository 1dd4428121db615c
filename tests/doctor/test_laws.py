"""Laws: any bytes in any slot give findings of known codes, never an exception."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doctor.sides import HOST, World, pem
from tests.pki import NOW
from twoway.doctor.codes import CODES
from twoway.doctor.files import examine, examine_pair, report
from twoway.doctor.finding import Finding
from twoway.doctor.loading import from_bytes
from twoway.doctor.prose import prose
from twoway.wire.handshake import CertificateRequest

WORLD = World.make()
GOOD = {
    "cert": WORLD.client_credential.certificate_pem(),
    "key": WORLD.client_credential.key_pem(),
    "ca": pem(WORLD.root.certificate),
    "crl": b"",
}
SEEDS = [
    *GOOD.values(),
    WORLD.client_credential.leaf.public_bytes(Encoding.DER),
    WORLD.client_credential.to_pkcs12(b"x"),
]


def _checked(findings: list[Finding]) -> None:
    assert all(finding.code in CODES for finding in findings)
    json.dumps([finding.as_dict() for finding in findings])
    for line in prose(report("files", findings)):
        assert line.isprintable()


@st.composite
def spoiled(draw: Callable[..., object]) -> bytes:
    """Something real with some of its bytes changed, cut, doubled or glued."""
    data = bytearray(draw(st.sampled_from(SEEDS)))  # type: ignore[arg-type]
    for _ in range(draw(st.integers(0, 4))):  # type: ignore[call-overload]
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        piece = draw(st.binary(max_size=6))
        length = draw(st.integers(0, 40))
        data[place : place + length] = piece  # type: ignore[operator, misc]
    return bytes(data)


SLOT = st.one_of(st.none(), st.binary(max_size=200), spoiled())


@given(cert=SLOT, key=SLOT, ca=SLOT, crl=SLOT)
@settings(max_examples=150)
def test_any_bytes_in_any_slot_give_findings(cert, key, ca, crl):
    material = from_bytes("client", cert=cert, key=key, ca=ca, crl=crl).but(now=NOW, hostname=HOST)
    _checked(examine(material))
    _checked(examine(material.but(presented=material.chain, side="server")))
    _checked(examine_pair(material, WORLD.server))
    _checked(examine_pair(WORLD.client, material.but(side="server")))


@given(slot=st.sampled_from(sorted(GOOD)), data=spoiled())
@settings(max_examples=150)
def test_one_spoiled_file_among_good_ones_gives_findings(slot, data):
    material = from_bytes("client", **{**GOOD, "crl": None, slot: data}).but(now=NOW, hostname=HOST)
    _checked(examine(material))
    _checked(examine_pair(material, WORLD.server))


@given(place=st.integers(0, 2000), value=st.integers(0, 255), which=st.sampled_from(["chain", "anchors"]))
@settings(max_examples=200)
def test_a_certificate_with_one_byte_changed_gives_findings(place, value, which):
    der = bytearray(WORLD.client_credential.leaf.public_bytes(Encoding.DER))
    der[place % len(der)] = value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a serial number that is not positive is only warned of
            changed = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    _checked(examine(WORLD.client.but(**{which: (changed,)})))
    _checked(examine(WORLD.server.but(presented=(changed,))))
    _checked(examine_pair(WORLD.client.but(**{which: (changed,)}), WORLD.server))


@given(authorities=st.lists(st.binary(max_size=60), max_size=4), schemes=st.lists(st.text(max_size=12)))
@settings(max_examples=60)
def test_any_certificate_request_gives_findings(authorities, schemes):
    request = CertificateRequest(tuple(authorities), tuple(schemes))
    _checked(examine(WORLD.client.but(request=request)))
    _checked(examine(WORLD.client.but(request=request, chain=WORLD.client.chain[:1])))


@given(hostname=st.text(max_size=40))
@settings(max_examples=100)
def test_any_host_name_gives_findings(hostname):
    _checked(examine_pair(WORLD.client.but(hostname=hostname), WORLD.server))
