"""An OCSP response (RFC 6960 §4.2), written as DER: one signature over any number of certificates."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from twoway.authority import der
from twoway.authority.crl import REASONS
from twoway.authority.ocsp.asked import CertId
from twoway.authority.signing import Signer

MEDIA_TYPE = "application/ocsp-response"

_BASIC, _NONCE = der.oid("1.3.6.1.5.5.7.48.1.1"), der.oid("1.3.6.1.5.5.7.48.1.2")
_GENERALIZED_TIME = 0x18
_HASHES = {
    name: der.sequence(der.oid(dotted), der.tlv(der.NULL, b""))
    for name, dotted in (
        ("sha1", "1.3.14.3.2.26"),
        ("sha256", "2.16.840.1.101.3.4.2.1"),
        ("sha384", "2.16.840.1.101.3.4.2.2"),
        ("sha512", "2.16.840.1.101.3.4.2.3"),
    )
}


class Failure(IntEnum):
    """Why there is no answer (RFC 6960 §4.2.1); such a response is not signed."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


class Status(NamedTuple):
    """What is said of one certificate: `known` and no `revoked_at` is "good"."""

    certificate: CertId
    known: bool
    revoked_at: int | None = None
    reason: str | None = None


class Answer(NamedTuple):
    """A response, and until when it may be handed out again without looking (None: not at all)."""

    der: bytes
    until: datetime.datetime | None = None


def failure(why: Failure) -> bytes:
    return der.sequence(der.tlv(der.ENUMERATED, bytes((why,))))


def build(
    signer: Signer,
    statuses: Sequence[Status],
    *,
    produced_at: datetime.datetime,
    next_update: datetime.datetime,
    nonce: bytes | None,
) -> bytes:
    """The signed response of a responder with this key and certificate. The nonce is given back as it came."""
    this_update = _time(produced_at)
    until = der.tlv(0xA0, _time(next_update))
    singles = b"".join(
        der.sequence(_certificate_id(one.certificate), _status(one), this_update, until) for one in statuses
    )
    extensions = b""
    if nonce is not None:
        # RFC 9654 §2.1: the nonce is an OCTET STRING within the extension's own.
        extension = der.sequence(_NONCE, der.tlv(der.OCTET_STRING, der.tlv(der.OCTET_STRING, nonce)))
        extensions = der.tlv(0xA1, der.sequence(extension))
    # RFC 6960 §4.2.2.3: by the key's SHA-1, which is a name here and protects nothing.
    responder = der.tlv(0xA2, der.tlv(der.OCTET_STRING, key_hash(signer.certificate, "sha1")))
    data = der.sequence(responder, this_update, der.tlv(der.SEQUENCE, singles), extensions)
    basic = der.sequence(
        data,
        signer.algorithm,
        der.tlv(der.BIT_STRING, b"\0" + signer.sign(data)),
        der.tlv(0xA0, der.sequence(signer.certificate.public_bytes(Encoding.DER))),
    )
    wrapped = der.sequence(_BASIC, der.tlv(der.OCTET_STRING, basic))
    return der.sequence(der.tlv(der.ENUMERATED, b"\0"), der.tlv(0xA0, wrapped))


def key_hash(certificate: object, hash_name: str) -> bytes:
    """The hash over a certificate's public key, without tag, length and unused bits (RFC 6960 §4.1.1)."""
    from asn1crypto.keys import PublicKeyInfo
    from cryptography.hazmat.primitives.serialization import PublicFormat

    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    bits = PublicKeyInfo.load(key)["public_key"].contents[1:]
    return hashlib.new(hash_name, bits).digest()


def _certificate_id(one: CertId) -> bytes:
    return der.sequence(
        _HASHES[one.hash_name],
        der.tlv(der.OCTET_STRING, one.issuer_name_hash),
        der.tlv(der.OCTET_STRING, one.issuer_key_hash),
        der.integer(one.serial),
    )


def _status(one: Status) -> bytes:
    if one.revoked_at is not None:
        at = _time(datetime.datetime.fromtimestamp(one.revoked_at, datetime.UTC))
        # RFC 5280 §5.3.1: "unspecified" is said by saying nothing.
        number = REASONS.get(one.reason or "", 0)
        return der.tlv(
            0xA1, at + (der.tlv(0xA0, der.tlv(der.ENUMERATED, bytes((number,)))) if number else b"")
        )
    return der.tlv(0x80 if one.known else 0x82, b"")


def _time(value: datetime.datetime) -> bytes:
    return der.tlv(_GENERALIZED_TIME, value.strftime("%Y%m%d%H%M%SZ").encode("ascii"))
