"""A signing request only asks. What it gets is its key, and the names that the profile allows."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.authority.conftest import NOW, check_told, extension, make_csr
from twoway.authority import Authority, der
from twoway.authority.refusals import (
    KeyNotAccepted,
    NameNeeded,
    NameRefused,
    RequestTooLarge,
    RequestUnproven,
    RequestUnreadable,
)
from twoway.authority.request import MAX_BYTES, MAX_NAMES, Request, read
from twoway.credential import KEY_TYPES, generate_key
from twoway.errors import TwowayError
from twoway.names import BadName, Names


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_request_of_every_key_type_is_signed_for_that_key(authority: Authority, key_type: str) -> None:
    key = generate_key(key_type)
    leaf, issuer = authority.sign(make_csr(key=key, dns=("orders.example",)), profile="server", now=NOW)
    assert leaf.public_key() == key.public_key()
    assert issuer == authority.issuing_certificate
    leaf.verify_directly_issued_by(issuer)


def test_pem_and_der_are_the_same_request(authority: Authority) -> None:
    pem = make_csr(dns=("orders.example",))
    encoded = x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)
    first, second = (authority.sign(data, profile="server", now=NOW)[0] for data in (pem, encoded))
    assert first.public_key() == second.public_key()
    assert authority.sign(pem.decode(), profile="server", now=NOW)


def test_extensions_are_never_copied(authority: Authority) -> None:
    """CA:TRUE, every key usage and OCSPSigning are asked for; a client certificate comes back."""
    asked = make_csr(
        extensions=(
            x509.BasicConstraints(ca=True, path_length=None),
            x509.KeyUsage(True, True, True, True, True, True, True, True, True),
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
            ),
            x509.OCSPNoCheck(),
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
        ),
    )
    leaf, _ = authority.sign(asked, profile="client", now=NOW)
    assert extension(leaf, x509.BasicConstraints).value == x509.BasicConstraints(ca=False, path_length=None)
    assert list(extension(leaf, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = extension(leaf, x509.KeyUsage).value
    assert not usage.key_cert_sign
    assert not usage.crl_sign
    assert len(leaf.extensions) == 6


def test_what_was_ignored_is_in_the_audit_log(authority: Authority) -> None:
    authority.sign(make_csr(extensions=(x509.BasicConstraints(True, None),)), profile="client", now=NOW)
    row = list(authority.audit())[-1]
    assert (row.act, row.as_dict()["detail"]["ignored"]) == ("sign", ["2.5.29.19"])  # type: ignore[index]


def test_only_the_common_name_is_taken_from_the_subject(authority: Authority) -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Umbrella"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Admins"),
            x509.NameAttribute(NameOID.COMMON_NAME, "orders"),
        ]
    )
    leaf, _ = authority.sign(make_csr(subject=subject), profile="client", now=NOW)
    assert leaf.subject.rfc4514_string() == "CN=orders,O=Acme"


def test_names_given_by_the_signer_replace_the_requested_ones(authority: Authority) -> None:
    asked = make_csr("mallory", dns=("bank.example",))
    leaf, _ = authority.sign(
        asked, profile="server", common_name="a.example", names=Names(dns=("A.example",)), now=NOW
    )
    assert extension(leaf, x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == [
        "a.example"
    ]
    with pytest.raises(BadName):
        authority.sign(asked, profile="server", names=Names(dns=("no name",)), now=NOW)


def test_a_server_request_without_names_is_told_what_is_missing(authority: Authority) -> None:
    with pytest.raises(NameNeeded):
        authority.sign(make_csr("orders.example"), profile="server", now=NOW)


@pytest.mark.parametrize(
    "name",
    [
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05admin"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ],
)
def test_a_kind_of_name_that_is_never_certified_is_refused_and_not_dropped(
    authority: Authority, name: x509.GeneralName
) -> None:
    with pytest.raises(NameRefused) as refused:
        authority.sign(make_csr(others=(name,)), profile="client", now=NOW)
    assert refused.value.kind == type(name).__name__


def test_a_name_that_is_none_is_refused(authority: Authority) -> None:
    with pytest.raises(BadName):
        authority.sign(make_csr(dns=("a b.example",)), profile="server", now=NOW)
    with pytest.raises(BadName):
        authority.sign(
            make_csr(others=(x509.UniformResourceIdentifier("spiffe://acme.example/../x"),)),
            profile="client",
            now=NOW,
        )


def test_a_hundred_names_are_enough(authority: Authority) -> None:
    with pytest.raises(NameRefused, match="at most 100 names"):
        authority.sign(
            make_csr(dns=tuple(f"n{n}.example" for n in range(MAX_NAMES + 1))), profile="server", now=NOW
        )


def test_a_request_signed_with_another_key_proves_nothing() -> None:
    """RFC 2986 §4.2: the signature is the proof of possession."""
    request = x509.load_pem_x509_csr(make_csr(key=generate_key()))
    ours, theirs = (
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for key in (generate_key(), request)
    )
    forged = request.public_bytes(Encoding.DER).replace(theirs, ours)
    with pytest.raises(RequestUnproven):
        read(forged)


def test_a_changed_request_proves_nothing() -> None:
    encoded = x509.load_pem_x509_csr(make_csr("orders")).public_bytes(Encoding.DER)
    with pytest.raises(RequestUnproven):
        read(encoded.replace(b"orders", b"0rders"))


def test_a_giant_request_is_not_even_parsed() -> None:
    with pytest.raises(RequestTooLarge) as large:
        read(b"\x30" * (MAX_BYTES + 1))
    assert large.value.args == (MAX_BYTES + 1, MAX_BYTES)


def unsigned_request(public_key: bytes) -> bytes:
    """A request with that SubjectPublicKeyInfo, and a signature that nobody could have made."""
    info = der.sequence(der.integer(0), der.sequence(), public_key, der.tlv(0xA0, b""))
    algorithm = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.tlv(der.NULL, b""))
    return der.sequence(info, algorithm, der.tlv(der.BIT_STRING, b"\0" + bytes(2048)))


def rsa_key(modulus: int, exponent: int) -> bytes:
    bits = der.tlv(der.BIT_STRING, b"\0" + der.sequence(der.integer(modulus), der.integer(exponent)))
    return der.sequence(der.sequence(der.oid("1.2.840.113549.1.1.1"), der.tlv(der.NULL, b"")), bits)


@pytest.mark.parametrize(
    ("modulus", "exponent", "said"),
    [
        (2**16383 + 1, 65537, "rsa16384"),
        (2**1023 + 1, 65537, "rsa1024"),
        (2**2047 + 1, 3, "exponent 3"),
        (2**2047 + 1, 2**2000 + 1, "exponent 2001-bit"),
        (2**2047 + 1, 65538, "exponent 65538"),
    ],
    ids=["giant modulus", "tiny modulus", "tiny exponent", "giant exponent", "even exponent"],
)
def test_giant_and_tiny_keys_are_refused_before_any_verification(
    modulus: int, exponent: int, said: str
) -> None:
    """The signature of these could not verify either: that it is not what is complained about is the proof."""
    with pytest.raises((KeyNotAccepted, RequestUnreadable)) as refused:
        read(unsigned_request(rsa_key(modulus, exponent)))
    if isinstance(refused.value, KeyNotAccepted):
        assert said in refused.value.presented
    else:
        assert "public key" in refused.value.reason


@pytest.mark.parametrize("curve", [ec.SECP521R1(), ec.SECP256K1(), ec.SECP224R1()])
def test_other_curves_are_named(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    with pytest.raises(KeyNotAccepted):
        read(make_csr(key=key))  # type: ignore[arg-type]


def test_other_kinds_of_keys_are_named() -> None:
    public = dsa.generate_private_key(2048).public_key()
    with pytest.raises((KeyNotAccepted, RequestUnreadable)):
        read(unsigned_request(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))


def test_an_rsa_size_in_between_is_refused_with_the_list() -> None:
    key = rsa.generate_private_key(65537, 2560)
    with pytest.raises(KeyNotAccepted) as refused:
        read(make_csr(key=key))
    assert refused.value.presented == "rsa2560"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello",
        b"-----BEGIN CERTIFICATE REQUEST-----\n",
        b"-----BEGIN CERTIFICATE REQUEST-----\n!!!!\n-----END CERTIFICATE REQUEST-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"\x30\x80\x00\x00",
    ],
)
def test_what_is_no_request_says_so(data: bytes) -> None:
    with pytest.raises(RequestUnreadable):
        read(data)


def test_challenge_passwords_and_other_attributes_do_no_harm() -> None:
    key = generate_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"guess")
    from twoway.authority.signing import signature_hash

    request = builder.sign(key, signature_hash(key)).public_bytes(Encoding.DER)
    assert read(request) == Request(key.public_key(), None, Names(), ())


REQUESTS = [
    x509.load_pem_x509_csr(
        make_csr("orders", key=generate_key(kind), dns=("a.example", "b.example"), ip=("192.0.2.1",))
    ).public_bytes(Encoding.DER)
    for kind in ("p256", "rsa2048", "ed25519", "mldsa44")
]


@given(st.sampled_from(REQUESTS), st.data())
def test_a_mutated_request_ends_in_a_typed_error(request_der: bytes, data: st.DataObject) -> None:
    """Nothing but twoway's own errors comes out of any bytes, and no mutation of a signed part is accepted."""
    mutated = bytearray(request_der)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        action = data.draw(st.sampled_from(["set", "cut", "insert", "truncate"]))
        if action == "set":
            mutated[place] = data.draw(st.integers(0, 255))
        elif action == "cut":
            del mutated[place : place + data.draw(st.integers(1, 8))]
        elif action == "insert":
            mutated[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del mutated[max(place, 1) :]
        if not mutated:
            break
    try:
        assert isinstance(read(bytes(mutated)), Request)
    except TwowayError as error:
        check_told(error)


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_typed_error(data: bytes) -> None:
    with pytest.raises(TwowayError):
        read(data)


def strings(tag: int, value: bytes) -> bytes:
    """A subject with a common name of that string type and those bytes, whatever they are."""
    attribute = der.sequence(der.oid("2.5.4.3"), der.tlv(tag, value))
    return der.sequence(der.tlv(0x31, attribute))


@given(
    st.sampled_from([0x0C, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E, 0x03, 0x04, 0x02, 0x30]),
    st.binary(max_size=80),
    st.sampled_from([0x80, 0x81, 0x82, 0x83, 0xA3, 0xA4, 0xA5, 0x86, 0x87, 0x88, 0x9F]),
    st.binary(max_size=40),
)
def test_names_in_odd_asn1_end_in_a_typed_error_or_a_name(
    tag: int, value: bytes, kind: int, name: bytes
) -> None:
    """A well-signed request whose subject and alternative names are anything at all."""
    key = KEY
    alternatives = der.sequence(
        der.oid("2.5.29.17"), der.tlv(der.OCTET_STRING, der.sequence(der.tlv(kind, name)))
    )
    attribute = der.sequence(der.oid("1.2.840.113549.1.9.14"), der.tlv(0x31, der.sequence(alternatives)))
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = der.sequence(der.integer(0), strings(tag, value), public, der.tlv(0xA0, attribute))
    signature = der.tlv(der.BIT_STRING, b"\0" + key.sign(info))
    request = der.sequence(info, der.sequence(der.oid("1.3.101.112")), signature)
    try:
        read(request)
    except TwowayError as error:
        check_told(error)


KEY = generate_key("ed25519")
