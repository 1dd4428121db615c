"""Distinguished names as they travel in a CertificateRequest: DER to a name (RFC 5280 §4.1.2.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_MARK = "name to replace"
_MAX = 0xFFFF  # RFC 8446 §4.2.4: a name has two bytes of length


def decode_name(der: bytes) -> x509.Name:
    """The name; raises ValueError and what the parser raises for bytes that are none.

    The library parses names only where they stand in something larger, so the bytes are put into a
    certificate of our own, of which nothing else is used.
    """
    if len(der) > _MAX:
        raise ValueError("a name of more than 65535 bytes")
    name = x509.load_der_x509_certificate(_around(der)).subject
    list(name)
    return name


def decodable(names: tuple[bytes, ...]) -> tuple[x509.Name, ...]:
    """Those of the names that decode."""
    return tuple(name for name in map(_or_none, names) if name is not None)


def _or_none(der: bytes) -> x509.Name | None:
    try:
        return decode_name(der)
    except Exception:  # noqa: BLE001 - a stranger's bytes; the parser raises many kinds
        return None


def same_name(one: x509.Name, two: x509.Name) -> bool:
    """Whether two names are one, whatever string type, case and spacing they are written in (RFC 5280 §7.1)."""
    return one == two or canonical(one) == canonical(two)


def canonical(name: x509.Name) -> tuple[frozenset[tuple[str, str]], ...]:
    """A name as it is compared: attribute values without case, and with single spaces."""
    return tuple(
        frozenset((one.oid.dotted_string, " ".join(str(one.value).casefold().split())) for one in part)
        for part in name.rdns
    )


def _around(name: bytes) -> bytes:
    version_to_validity, key_onwards, signature = _frame()
    return _sequence(_sequence(version_to_validity + name + key_onwards) + signature)


@cache
def _frame() -> tuple[bytes, bytes, bytes]:
    """What stands before and behind the subject of a certificate, and behind what is signed."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _MARK)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "frame")])
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).serial_number(1)
    builder = builder.not_valid_before(moment).not_valid_after(moment).public_key(key.public_key())
    certificate = builder.sign(key, None)
    signed, whole = certificate.tbs_certificate_bytes, certificate.public_bytes(Encoding.DER)
    body = signed[_header(signed) :]
    before, after = body.split(subject.public_bytes())
    return before, after, whole[_header(whole) + len(signed) :]


def _header(der: bytes) -> int:
    return 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)


def _sequence(content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([0x30, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([0x30, 0x80 | size]) + length.to_bytes(size, "big") + content
