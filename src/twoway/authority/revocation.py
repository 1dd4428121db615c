"""Taking a certificate back: the reasons of RFC 5280, and what may follow what."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from sqlalchemy import delete, select, update

from twoway.authority import schema
from twoway.authority.crl import REASONS
from twoway.authority.records import Record
from twoway.authority.refusals import AlreadyRevoked, NotOnHold, ReasonUnknown
from twoway.authority.transaction import Transaction

HOLD, LIFT = "certificateHold", "removeFromCRL"


def revoking(
    record: Record, reason: str, *, actor: str, now: datetime.datetime
) -> Callable[[Transaction], None]:
    """The piece of work that revokes a certificate, puts it on hold, or lifts a hold (`removeFromCRL`).

    A hold may be lifted or become a revocation; any other revocation is final. Raises ReasonUnknown here, and from
    the work AlreadyRevoked and NotOnHold. What it costs does not depend on how many are revoked already.
    """
    if reason not in REASONS:
        raise ReasonUnknown(reason, tuple(REASONS))
    table, columns = schema.revocations, schema.revocations.c

    def work(transaction: Transaction) -> None:
        query = select(columns.revoked_at, columns.reason).where(columns.serial == record.serial)
        earlier = transaction.read(query).first()
        held = earlier is not None and earlier.reason == HOLD
        if earlier is not None and (not held or reason == HOLD):
            at = datetime.datetime.fromtimestamp(earlier.revoked_at, datetime.UTC)
            raise AlreadyRevoked(record.serial, at, earlier.reason)
        if reason == LIFT and not held:
            raise NotOnHold(record.serial)
        if held:
            transaction.execute(delete(table).where(columns.serial == record.serial))
        if reason != LIFT:
            transaction.add(
                table,
                serial=record.serial,
                issuer=record.issuer,
                revoked_at=int(now.timestamp()),
                reason=reason,
                not_after=int(record.not_after.timestamp()),
            )
        issuers = schema.issuers
        changed = update(issuers).where(issuers.c.id == record.issuer)
        transaction.execute(changed.values(changes=issuers.c.changes + 1))
        transaction.record("revoke", record.serial, actor=actor, at=now, reason=reason)

    return work
