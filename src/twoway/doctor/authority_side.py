"""The authority's side of the story, when it is a twoway one: what it remembers of a certificate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509

from twoway.authority import Authority, Record
from twoway.credential import describe, display_name, fingerprint_of
from twoway.doctor.codes import found
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.paths import signed_by
from twoway.errors import TwowayError


def remembered(place: Path, leaf: x509.Certificate, side: str, now: datetime) -> list[Finding]:
    """What the authority in `place` says of `leaf`; raises ConfigError when it cannot be opened.

    Nothing is signed, so no passphrase is needed.
    """
    blame: Blame = "client" if side == "client" else "server"
    with Authority.open(place) as authority:
        try:
            record = authority.show(leaf, now=now)
        except TwowayError:
            return [_not_remembered(authority, place, leaf, blame)]
        if record.state in ("revoked", "held"):
            return [_revoked(record, place, leaf, blame)]
        renewed = _renewal_of(authority, record, now)
    return [_superseded(record, renewed, place, blame, now)] if renewed is not None else []


def _revoked(record: Record, place: Path, leaf: x509.Certificate, blame: Blame) -> Finding:
    held = record.state == "held"
    return found(
        "certificate_revoked",
        "error",
        blame,
        f"the authority {'put on hold' if held else 'revoked'} the certificate of {describe(leaf)} at "
        f"{record.revoked_at:%Y-%m-%d %H:%M} UTC: {record.reason}",
        "find out why; then have a new one issued for a new key. Who still lets it in has no current list",
        {"serial": record.serial, "reason": record.reason, "authority": str(place)},
    )


def _not_remembered(authority: Authority, place: Path, leaf: x509.Certificate, blame: Blame) -> Finding:
    evidence: dict[str, object] = {"fingerprint": fingerprint_of(leaf), "authority": str(place)}
    own = (authority.issuing_certificate, authority.root_certificate)
    if any(signed_by(leaf, issuer) for issuer in own):
        return found(
            "not_in_register",
            "warning",
            blame,
            f"the key of the authority in {place} signed the certificate of {describe(leaf)}, and its register does not have "
            "it: another copy of the authority issued it, or its store was restored from before",
            "find the store that has it (a revocation of it is not in this authority's list), or have a new one issued",
            evidence | {"issuer": display_name(leaf.issuer), "serial": f"{leaf.serial_number:x}"},
        )
    return found(
        "unknown_authority",
        "warning",
        blame,
        f"the authority in {place} did not issue the certificate of {describe(leaf)}: it is of {display_name(leaf.issuer)}",
        "look into the authority that issued it, or have this one issue a new one",
        evidence
        | {
            "expected": display_name(authority.issuing_certificate.subject),
            "presented": display_name(leaf.issuer),
        },
    )


def _renewal_of(authority: Authority, record: Record, now: datetime) -> Record | None:
    """The last certificate in the line of renewals that begins with `record`."""
    if record.common_name is None:
        return None
    successors = {one.renews: one for one in authority.list(record.common_name, now=now) if one.renews}
    newest: Record | None = None
    serial, seen = record.serial, {record.serial}
    while (following := successors.get(serial)) is not None and following.serial not in seen:
        newest, serial = following, following.serial
        seen.add(serial)
    return newest


def _superseded(record: Record, newer: Record, place: Path, blame: Blame, now: datetime) -> Finding:
    expired = record.not_after < now
    return found(
        "superseded",
        "warning" if expired else "info",
        blame,
        f"the authority renewed the certificate of {record.common_name} at {newer.not_before:%Y-%m-%d %H:%M} UTC, and the "
        f"older one is {'used still, though it has expired' if expired else 'used still'}",
        "put the renewed certificate, and its key, where this one is, and reload the program that uses them",
        {
            "expected": f"serial {newer.serial}, until {newer.not_after:%Y-%m-%d %H:%M:%S} UTC",
            "presented": f"serial {record.serial}, until {record.not_after:%Y-%m-%d %H:%M:%S} UTC",
            "authority": str(place),
        },
    )
