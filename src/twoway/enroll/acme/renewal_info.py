"""When a certificate should be renewed (RFC 9773): names of certificates, and the suggested window."""

from __future__ import annotations

import datetime

from twoway.authority import Record
from twoway.enroll.acme import base64url
from twoway.enroll.acme.faults import Malformed

RETRY_AFTER = 6 * 3600  # RFC 9773 §4.3.2


def serial_in(identifier: object, issuers: frozenset[str]) -> str:
    """The serial, in hex, in `AKI.SERIAL` (RFC 9773 §4.1). Raises Malformed, also for a CA that is not ours.

    `issuers` are the key identifiers of our CAs, in hex.
    """
    if not isinstance(identifier, str) or len(identifier) > 128:
        raise Malformed("expected the identifier of a certificate")
    key, dot, serial = identifier.partition(".")
    octets = base64url.decode(serial, "the certificate's serial")
    if not dot or not octets or octets[0] & 0x80:
        raise Malformed("expected key identifier and serial, with a dot in between")
    if base64url.decode(key, "the key identifier").hex() not in issuers:
        raise Malformed("that certificate is of another authority")
    return format(int.from_bytes(octets, "big"), "x")


def window(record: Record, now: datetime.datetime, issuer_revoked: bool) -> dict[str, str]:
    """From two thirds of its life on, for a twelfth of it; at once for what is revoked."""
    if record.state in ("revoked", "held") or issuer_revoked:
        start, end = now - datetime.timedelta(days=1), now - datetime.timedelta(hours=1)
    else:
        life = record.not_after - record.not_before
        start = record.not_before + life * 2 / 3
        end = start + life / 12
    return {"start": _time(start), "end": _time(end)}


def _time(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
