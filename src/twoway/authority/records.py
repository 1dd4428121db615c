"""What an authority remembers of the certificates it issued, and how they are looked up."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema
from twoway.authority.refusals import NotIssuedHere
from twoway.credential import Credential, describe, display_name, fingerprint_of, names_of
from twoway.names import Names

State = Literal["valid", "expired", "revoked", "held"]
STATES: tuple[State, ...] = ("valid", "expired", "revoked", "held")


@dataclass(frozen=True, slots=True)
class Record:
    """One issued certificate. `state` is as of the moment that the question was asked for."""

    serial: str
    fingerprint: str
    subject: str
    common_name: str | None
    names: Names
    profile: str
    requested_by: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    state: State
    revoked_at: datetime.datetime | None
    reason: str | None
    renews: str | None
    certificate: x509.Certificate = field(repr=False)
    issuer: int = field(repr=False)

    def as_dict(self) -> dict[str, object]:
        """For JSON: times as RFC 3339 in UTC, without the certificate itself."""
        return {
            "serial": self.serial,
            "fingerprint": self.fingerprint,
            "subject": self.subject,
            "common_name": self.common_name,
            "names": self.names.as_dict(),
            "profile": self.profile,
            "requested_by": self.requested_by,
            "not_before": _z(self.not_before),
            "not_after": _z(self.not_after),
            "state": self.state,
            "revoked_at": _z(self.revoked_at) if self.revoked_at else None,
            "reason": self.reason,
            "renews": self.renews,
        }


def search(
    connection: Connection,
    now: datetime.datetime,
    *,
    match: str | None = None,
    literally: bool = False,
    state: State | None = None,
    profile: str | None = None,
    expires_before: datetime.datetime | None = None,
    limit: int | None = None,
) -> tuple[Record, ...]:
    """The records that fit all of what is given, oldest first.

    `match` is a serial, a SHA-256 fingerprint (both in hex, colons allowed), a common name or an alternative name;
    `*` in it stands for anything, in names only. With `literally` it stands for itself.
    """
    query = _QUERY.order_by(_CERTIFICATES.id).limit(limit)
    moment = int(now.timestamp())
    if match is not None and _UNSTORABLE.search(match):
        return ()
    if match is not None:
        query = query.where(_matching(match, connection.dialect.name, literally))
    if state is not None:
        query = query.where(_in_state(state, moment))
    if profile is not None:
        query = query.where(_CERTIFICATES.profile == profile)
    if expires_before is not None:
        query = query.where(
            _CERTIFICATES.not_after >= moment, _CERTIFICATES.not_after < int(expires_before.timestamp())
        )
    return tuple(_record(row, moment) for row in connection.execute(query))


def by_certificate(
    connection: Connection, now: datetime.datetime, presented: x509.Certificate | Credential
) -> Record:
    """The record of that very certificate, byte for byte; raises NotIssuedHere."""
    certificate = presented.leaf if isinstance(presented, Credential) else presented
    fingerprint = fingerprint_of(certificate)
    query = _QUERY.where(_CERTIFICATES.fingerprint == fingerprint)
    row = connection.execute(query).first()
    if row is None or row.certificate != certificate.public_bytes(Encoding.DER):
        raise NotIssuedHere(describe(certificate), fingerprint)
    return _record(row, int(now.timestamp()))


def _matching(text: str, dialect: str, literally: bool = False) -> ColumnElement[bool]:
    names = schema.names.c
    if "*" in text and not literally:
        by_name = select(names.serial).where(_like(names.value, text, dialect))
        return or_(_like(_CERTIFICATES.common_name, text, dialect), _CERTIFICATES.serial.in_(by_name))
    bare = re.sub(r"[:\s]", "", text.lower()).removeprefix("0x")
    by_name = select(names.serial).where(names.value.in_((text, text.lower())))
    return or_(
        _CERTIFICATES.common_name == text,
        _CERTIFICATES.serial == bare.lstrip("0"),
        _CERTIFICATES.fingerprint == bare,
        _CERTIFICATES.serial.in_(by_name),
    )


def _like(column: ColumnElement[Any], text: str, dialect: str) -> ColumnElement[bool]:
    """Whether a column fits a text in which `*` stands for anything, and everything else for itself."""
    if dialect == "sqlite":
        # LIKE would not see a difference between small letters and capital ones.
        return column.op("GLOB")(re.sub(r"([\[\]?])", r"[\1]", text))
    return column.like(re.sub(r"([%_\\])", r"\\\1", text).replace("*", "%"), escape="\\")


def _in_state(state: State, moment: int) -> ColumnElement[bool]:
    reason = schema.revocations.c.reason
    if state == "revoked":
        return and_(reason.is_not(None), reason != "certificateHold")
    if state == "held":
        return reason == "certificateHold"
    in_time = _CERTIFICATES.not_after >= moment
    return and_(reason.is_(None), in_time if state == "valid" else ~in_time)


def _record(row: Row[Any], moment: int) -> Record:
    certificate = x509.load_der_x509_certificate(row.certificate)
    reason: str | None = row.reason
    revoked_at: int | None = row.revoked_at
    state: State = "expired" if row.not_after < moment else "valid"
    if reason is not None:
        state = "held" if reason == "certificateHold" else "revoked"
    return Record(
        serial=row.serial,
        fingerprint=row.fingerprint,
        subject=display_name(certificate.subject),
        common_name=row.common_name,
        names=names_of(certificate),
        profile=row.profile,
        requested_by=row.requested_by,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        state=state,
        revoked_at=None if revoked_at is None else datetime.datetime.fromtimestamp(revoked_at, datetime.UTC),
        reason=reason,
        renews=row.renews,
        certificate=certificate,
        issuer=row.issuer,
    )


def _z(moment: datetime.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


# NUL, which PostgreSQL has no room for, and halves of surrogate pairs, which no UTF-8 has: no stored name has either.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CERTIFICATES = schema.certificates.c
_QUERY: Select[Any] = select(
    schema.certificates, schema.revocations.c.revoked_at, schema.revocations.c.reason
).outerjoin(schema.revocations, schema.revocations.c.serial == _CERTIFICATES.serial)
