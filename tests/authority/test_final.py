"""The final check catches whatever has got into a certificate, however it got there."""

from __future__ import annotations

import datetime
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.authority.conftest import DAY, NOW
from twoway.authority import Authority
from twoway.authority.certificates import key_usage
from twoway.authority.final import judge
from twoway.authority.profiles import BUILT_IN
from twoway.authority.refusals import KeyNotAccepted, LifetimeRefused, NameRefused
from twoway.credential import generate_key

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "orders")])
KEY = generate_key()


def unsigned(authority: Authority, *others: x509.ExtensionType, **changes: Any) -> x509.Certificate:
    """A client's certificate with other extensions in the place of the usual ones, or beside them."""
    issuer = authority.issuing_certificate
    key = changes.get("key", KEY.public_key())
    usual: list[x509.ExtensionType] = [
        x509.BasicConstraints(ca=False, path_length=None),
        key_usage("digital_signature"),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.SubjectKeyIdentifier.from_public_key(key),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]
        x509.SubjectAlternativeName([x509.DNSName("orders.example")]),
    ]
    builder = (
        x509.CertificateBuilder(issuer.subject, SUBJECT, key, 1)
        .not_valid_before(changes.get("start", NOW))
        .not_valid_after(changes.get("end", NOW + DAY))
    )
    for extension in [*others, *(each for each in usual if type(each) not in map(type, others))]:
        if type(extension) is not changes.get("without"):
            builder = builder.add_extension(extension, critical=False)
    return builder.create_unsigned()


def judged(authority: Authority, certificate: x509.Certificate, profile: str = "client") -> None:
    judge(certificate, BUILT_IN[profile], authority.cas.issuing)


def test_what_a_profile_asks_for_passes(authority: Authority) -> None:
    judged(authority, unsigned(authority))


@pytest.mark.parametrize(
    "power",
    [
        x509.BasicConstraints(ca=True, path_length=None),
        key_usage("digital_signature", "key_cert_sign"),
        key_usage("crl_sign"),
    ],
)
def test_no_leaf_has_the_powers_of_a_ca(authority: Authority, power: x509.ExtensionType) -> None:
    with pytest.raises(ValueError, match="powers of a CA"):
        judged(authority, unsigned(authority, power))


@pytest.mark.parametrize(
    "purpose",
    [
        [ExtendedKeyUsageOID.SERVER_AUTH],
        [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING],
        [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
    ],
)
def test_no_purpose_but_the_profiles(authority: Authority, purpose: list[x509.ObjectIdentifier]) -> None:
    with pytest.raises(ValueError, match="extended key usage that the profile does not have"):
        judged(authority, unsigned(authority, x509.ExtendedKeyUsage(purpose)))


def test_no_extension_more_or_less(authority: Authority) -> None:
    with pytest.raises(ValueError, match="OCSPNoCheck"):
        judged(authority, unsigned(authority, x509.OCSPNoCheck()))
    with pytest.raises(ValueError, match="BasicConstraints"):
        judged(authority, unsigned(authority, without=x509.BasicConstraints))


def test_no_moment_outside_the_issuers_life(authority: Authority) -> None:
    end = authority.issuing_certificate.not_valid_after_utc
    with pytest.raises(LifetimeRefused) as refused:
        judged(authority, unsigned(authority, end=end + datetime.timedelta(seconds=1)))
    assert refused.value.latest == end
    with pytest.raises(ValueError, match="valid before its issuer"):
        judged(authority, unsigned(authority, start=NOW - DAY))


def test_the_key_is_the_one_in_the_certificate(authority: Authority) -> None:
    odd = ec.generate_private_key(ec.SECP521R1()).public_key()
    with pytest.raises(KeyNotAccepted) as refused:
        judged(authority, unsigned(authority, key=odd))
    assert refused.value.presented == "p521"


@pytest.mark.parametrize(
    "names",
    [
        [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))],
        [x509.DirectoryName(SUBJECT), x509.DNSName("orders.example")],
        [x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")],
        [x509.DNSName("orders.example"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))],
    ],
)
def test_no_kind_of_name_slips_through_unjudged(authority: Authority, names: list[x509.GeneralName]) -> None:
    with pytest.raises(NameRefused, match="no certificate carries names of this kind"):
        judged(authority, unsigned(authority, x509.SubjectAlternativeName(names)))


def test_every_name_is_judged_and_not_the_first_alone(authority: Authority) -> None:
    names = [
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.DNSName("a.example"),
        x509.DNSName("*.example.org"),
    ]
    with pytest.raises(NameRefused) as refused:
        judged(authority, unsigned(authority, x509.SubjectAlternativeName(names)))
    assert refused.value.name == "*.example.org"
