"""Certificate revocation lists, assembled as DER by ourselves and signed by the CA.

The builder of `cryptography` copies its list at each added entry, which takes minutes for 100,000. A CRL's entries
are so regular that writing them directly is both short and linear.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509

from twoway.authority import der
from twoway.authority.signing import Signer


class Entry(NamedTuple):
    """One revoked certificate: its serial, the second (since 1970 UTC) and the reason's name as RFC 5280 spells it."""

    serial: int
    revoked_at: int
    reason: str


# RFC 5280 §5.3.1. Number 7 is not used; `unspecified` is said by leaving the extension out.
REASONS = {
    "unspecified": 0,
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "removeFromCRL": 8,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}


def build(
    signer: Signer,
    *,
    number: int,
    this_update: datetime.datetime,
    next_update: datetime.datetime,
    entries: Iterable[Entry],
) -> bytes:
    """A complete, signed version 2 CRL as DER (RFC 5280 §5), with the entries in the order given."""
    extensions = der.sequence(
        _extension("2.5.29.35", signer.authority_key_identifier),
        _extension("2.5.29.20", der.integer(number)),
    )
    revoked = b"".join(map(_entry, entries))
    to_be_signed = der.sequence(
        der.integer(1),
        signer.algorithm,
        signer.name,
        der.time(this_update),
        der.time(next_update),
        # RFC 5280 §5.1.2.6: without revoked certificates the list MUST be absent, not empty.
        der.tlv(der.SEQUENCE, revoked) if revoked else b"",
        der.tlv(0xA0, extensions),
    )
    signature = der.tlv(der.BIT_STRING, b"\0" + signer.sign(to_be_signed))
    return der.sequence(to_be_signed, signer.algorithm, signature)


def pem(crl: bytes) -> bytes:
    """The same CRL as PEM."""
    text = base64.encodebytes(crl).replace(b"\n", b"")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join((b"-----BEGIN X509 CRL-----", *lines, b"-----END X509 CRL-----", b""))


def load(crl: bytes) -> x509.CertificateRevocationList:
    """The CRL as `cryptography` sees it."""
    return x509.load_der_x509_crl(crl)


def _entry(entry: Entry) -> bytes:
    when = der.time(datetime.datetime.fromtimestamp(entry.revoked_at, datetime.UTC))
    return der.sequence(der.integer(entry.serial), when, _REASON_EXTENSIONS[entry.reason])


def _extension(identifier: str, value: bytes) -> bytes:
    return der.sequence(der.oid(identifier), der.tlv(der.OCTET_STRING, value))


# A whole crlEntryExtensions for each reason.
_REASON_EXTENSIONS = {
    reason: der.sequence(_extension("2.5.29.21", der.tlv(der.ENUMERATED, bytes((number,)))))
    if number
    else b""
    for reason, number in REASONS.items()
}
