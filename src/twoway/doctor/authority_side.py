"""The authority's side of the story, when it is a twoway one: what it remembers of a certificate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509

from twoway.authority import Authority
from twoway.credential import describe, fingerprint_of
from twoway.doctor.codes import found
from twoway.doctor.finding import Blame, Finding
from twoway.errors import TwowayError


def remembered(place: Path, leaf: x509.Certificate, side: str, now: datetime) -> list[Finding]:
    """What the authority in `place` says of `leaf`; raises ConfigError when it cannot be opened.

    Nothing is signed, so no passphrase is needed.
    """
    blame: Blame = "client" if side == "client" else "server"
    with Authority.open(place) as authority:
        try:
            record = authority.show(fingerprint_of(leaf), now=now)
        except TwowayError:
            return [
                found(
                    "unknown_authority",
                    "warning",
                    blame,
                    f"the authority in {place} does not remember the certificate of {describe(leaf)}",
                    "look into the authority that issued it, or have this one issue a new one",
                    {"fingerprint": fingerprint_of(leaf), "authority": str(place)},
                )
            ]
    if record.state in ("revoked", "held"):
        return [
            found(
                "certificate_revoked",
                "error",
                blame,
                f"the authority revoked the certificate of {describe(leaf)} at {record.revoked_at:%Y-%m-%d %H:%M} UTC: "
                f"{record.reason}",
                "find out why; then have a new one issued for a new key. Who still lets it in has no current list",
                {"serial": record.serial, "authority": str(place)},
            )
        ]
    return []
