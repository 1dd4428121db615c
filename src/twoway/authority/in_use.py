"""Which identities are in use, who of them still depends on an old CA, and who has fetched the new trust bundle."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, insert, select
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema
from twoway.authority.actor import SERVICE
from twoway.authority.certificates import BACKDATE
from twoway.authority.profiles import RESPONDER
from twoway.authority.revocation import HOLD
from twoway.authority.rotation import Rotation
from twoway.authority.store import Store

SETTLED = datetime.timedelta(minutes=1)
"""How long a fetched bundle, or a new certificate, may take until whoever fetched it has it in force."""

MOST_NAMED = 1000

_CERTIFICATES = schema.certificates.c


@dataclass(frozen=True, slots=True)
class InUse:
    """How many identities fit, and the names of the first of them."""

    count: int
    named: tuple[str, ...]


def issued_by(connection: Connection, issuers: Iterable[int], now: datetime.datetime) -> InUse:
    """The identities in use whose certificate is by one of these CAs."""
    return _found(connection, _CERTIFICATES.issuer.in_(tuple(issuers)), now)


def without_bundle(connection: Connection, rotation: Rotation, now: datetime.datetime) -> InUse:
    """The identities in use of which no certificate, nor one that it renews, has fetched the bundle of a rotation."""
    fetches = schema.fetches.c
    seen = (
        select(fetches.serial)
        .where(fetches.rotation == rotation.id, fetches.fetched_at <= _at(now - SETTLED))
        .cte("seen", recursive=True)
    )
    seen = seen.union(
        select(_CERTIFICATES.serial).select_from(
            schema.certificates.join(seen, _CERTIFICATES.renews == seen.c.serial)
        )
    )
    return _found(connection, _CERTIFICATES.serial.not_in(select(seen.c.serial)), now)


def note_fetch(store: Store, rotation: Rotation, serial: str, now: datetime.datetime) -> None:
    """Remember that the holder of this certificate has been given the bundle of a rotation; the first time counts."""
    table = schema.fetches
    known = select(table.c.serial).where(table.c.rotation == rotation.id, table.c.serial == serial)
    with store.read() as connection:
        if connection.execute(known).first() is not None:
            return
    row = {"serial": serial, "rotation": rotation.id, "fetched_at": _at(now)}
    store.write(
        lambda transaction: (
            transaction.execute(insert(table).values(**row))
            if transaction.read(known).first() is None
            else None
        )
    )


def _found(connection: Connection, which: ColumnElement[bool], now: datetime.datetime) -> InUse:
    count = connection.execute(_in_use(func.count(), which, now)).scalar_one()
    if not count:
        return InUse(0, ())
    first = _in_use(schema.certificates, which, now).order_by(_CERTIFICATES.id).limit(MOST_NAMED)
    return InUse(int(count), tuple(map(_told, connection.execute(first))))


def _in_use(what: Any, which: ColumnElement[bool], now: datetime.datetime) -> Select[Any]:
    """Not ended, not revoked (a hold may be lifted), and not replaced by a successor that has had time to arrive.

    Without what the service keeps for itself and replaces by itself: its own certificate, and its OCSP responders'.
    """
    revocations = schema.revocations.c
    successors = schema.certificates.alias("successors")
    # A certificate begins before it was made, by the backdating.
    arrived = successors.c.not_before <= _at(now - SETTLED - BACKDATE)
    return (
        select(what)
        .select_from(schema.certificates)
        .where(
            which,
            _CERTIFICATES.not_after >= _at(now),
            _CERTIFICATES.profile != RESPONDER.name,
            _CERTIFICATES.requested_by != SERVICE,
            ~exists().where(and_(revocations.serial == _CERTIFICATES.serial, revocations.reason != HOLD)),
            ~exists().where(and_(successors.c.renews == _CERTIFICATES.serial, arrived)),
        )
    )


def _told(row: Row[Any]) -> str:
    name = row.common_name or "without a common name"
    until = datetime.datetime.fromtimestamp(row.not_after, datetime.UTC)
    return f"{name} ({row.serial}, until {until:%Y-%m-%d %H:%M} UTC)"


def _at(moment: datetime.datetime) -> int:
    return int(moment.timestamp())
