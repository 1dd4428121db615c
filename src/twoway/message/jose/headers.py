"""What JWE and JWS have in common: segments, headers, and the certificates in them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey

from twoway.credential import CredentialError, PrivateKey, certificate_from_der, private_key_pem
from twoway.message.faults import MessageMalformed

MAX_CONTENT = 64 * 1024 * 1024  # these formats are decoded whole: three copies of this are held at once
MAX_HEADER = 64 * 1024
MAX_CHAIN = 8

Headers = dict[str, Any]
JoseKey = ECKey | RSAKey | OKPKey


def thumbprint(certificate: x509.Certificate) -> str:
    """x5t#S256: the SHA-256 of a certificate in base64url (RFC 7515 §4.1.8)."""
    return encode(certificate.fingerprint(hashes.SHA256()))


def x5c(chain: Sequence[x509.Certificate]) -> list[str]:
    """A chain, leaf first, as a header has it: base64 of DER, not base64url (RFC 7515 §4.1.6)."""
    return [base64.b64encode(one.public_bytes(Encoding.DER)).decode("ascii") for one in chain]


def chain_in(headers: Headers, format: str) -> tuple[x509.Certificate, ...] | None:
    """The chain of a header, None without one; raises MessageMalformed also when its thumbprint is another's."""
    texts = headers.get("x5c")
    if texts is None:
        return None
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_CHAIN:
        raise MessageMalformed(format, f"x5c is no list of 1 to {MAX_CHAIN} certificates")
    chain = []
    for text in texts:
        try:
            chain.append(certificate_from_der(base64.b64decode(text, validate=True), where="x5c"))
        except (CredentialError, ValueError, TypeError, binascii.Error):
            raise MessageMalformed(format, f"certificate {len(chain) + 1} of x5c does not decode") from None
    if "x5t#S256" in headers and headers["x5t#S256"] != thumbprint(chain[0]):
        raise MessageMalformed(format, "x5t#S256 is not the thumbprint of the first certificate in x5c")
    return tuple(chain)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: object, format: str, what: str) -> bytes:
    """Strict base64url without padding (RFC 7515 §2); raises MessageMalformed."""
    if not isinstance(text, str) or "=" in text or len(text) % 4 == 1:
        raise MessageMalformed(format, f"{what} is not base64url")
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise MessageMalformed(format, f"{what} is not base64url") from None
    # Spare bits that are not zero would be a second spelling of the same message (RFC 4648 §3.5).
    if text and encode(raw[-(len(raw) % 3 or 3) :]) != text[-(len(text) % 4 or 4) :]:
        raise MessageMalformed(format, f"{what} is not base64url")
    return raw


def parse(text: bytes, format: str, what: str) -> Headers:
    """A JSON object, in which no name comes twice (RFC 7515 §4); raises MessageMalformed."""

    def once(pairs: list[tuple[str, Any]]) -> Headers:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise MessageMalformed(format, f"a name comes twice in {what}")
        return found

    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise MessageMalformed(format, f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise MessageMalformed(format, f"{what} is no JSON object")
    return found


def header_of(segment: object, format: str) -> Headers:
    """A protected header out of its segment; raises MessageMalformed."""
    if isinstance(segment, str) and len(segment) > MAX_HEADER:
        raise MessageMalformed(format, f"the protected header has more than {MAX_HEADER} characters")
    return parse(decode(segment, format, "the protected header"), format, "the protected header")


def text_of(message: bytes, format: str) -> str:
    """The message as text; raises MessageMalformed."""
    try:
        return message.decode("ascii").strip()
    except UnicodeDecodeError:
        raise MessageMalformed(format, "a byte is not ASCII") from None


def private_jwk(key: PrivateKey) -> JoseKey:
    return _of(key).import_key(private_key_pem(key))


def public_jwk(certificate: x509.Certificate) -> JoseKey:
    key = certificate.public_key()
    return _of(key).import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _of(key: object) -> type[JoseKey]:
    name = type(key).__name__
    return RSAKey if "RSA" in name else ECKey if "Elliptic" in name or "EC" in name else OKPKey
