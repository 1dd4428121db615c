"""CRLs as they are handed out: never stale, numbered upwards, made anew before they have to be."""

from __future__ import annotations

import datetime
import hashlib
import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema
from twoway.authority.audit import checkpoint_message
from twoway.authority.cas import Ca, Cas
from twoway.authority.crl import Entry, build
from twoway.authority.faults import CrlStuck, KeyFileMissing, RootKeyOffline
from twoway.authority.signing import Signer
from twoway.authority.store import Store
from twoway.authority.transaction import Transaction

ISSUING_LIFETIME = datetime.timedelta(days=7)
ROOT_LIFETIME = datetime.timedelta(days=366)  # its key may be in a safe

_log = logging.getLogger("twoway.authority")


@dataclass(frozen=True, slots=True)
class Edition:
    """What is known of a stored CRL without reading it."""

    number: int
    this_update: datetime.datetime
    next_update: datetime.datetime
    complete: bool
    """Whether it has every revocation that there is."""

    def is_due(self, now: datetime.datetime) -> bool:
        """Whether the next one should be made: after a revocation, and at half its time."""
        half = self.this_update + (self.next_update - self.this_update) / 2
        return not self.complete or not self.this_update <= now < half


class Publishing:
    """The CRLs of one authority's CAs."""

    def __init__(self, store: Store, cas: Cas, actor: str) -> None:
        self._store, self._cas, self._actor = store, cas, actor

    def current(self, ca: Ca, now: datetime.datetime) -> bytes:
        """The CRL of one CA as DER: the stored one while it says everything and has half its time left, else a new one.

        Raises CrlStuck when a new one is needed and the key for it is not here; a CRL that has run out is never
        returned.
        """
        stored, changes = self._stored(ca)
        complete = stored is not None and stored.covers == changes
        moment = now.timestamp()
        if stored is not None and complete and stored.this_update <= moment < _half(stored):
            return bytes(stored.crl)
        try:
            signer = self._cas.signer(ca, "sign the root's CRL")
        except (RootKeyOffline, KeyFileMissing) as failure:
            if stored is None or not complete or moment >= stored.next_update:
                end = datetime.datetime.fromtimestamp(stored.next_update if stored else moment, datetime.UTC)
                raise CrlStuck(ca.name, end, "the key that signs the next one is not here") from failure
            _log.warning(
                "the CRL of %s ends in %d days and the key that signs the next one is not here",
                ca.name,
                (stored.next_update - moment) // 86400,
            )
            return bytes(stored.crl)
        return self.publish(ca, signer, now)

    def edition(self, ca: Ca) -> Edition | None:
        """What there is to know of one CA's newest CRL; None before the first."""
        crls, issuers = schema.crls.c, schema.issuers.c
        query = (
            select(crls.number, crls.this_update, crls.next_update, crls.covers, issuers.changes)
            .join_from(schema.crls, schema.issuers, crls.issuer == issuers.id)
            .where(crls.issuer == ca.id)
        )
        with self._store.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        begin, end = (
            datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (row.this_update, row.next_update)
        )
        return Edition(row.number, begin, end, row.covers == row.changes)

    def stored(self, ca: Ca) -> bytes:
        """One CA's newest CRL as it lies in the store, fresh or not."""
        with self._store.read() as connection:
            query = select(schema.crls.c.crl).where(schema.crls.c.issuer == ca.id)
            return bytes(connection.execute(query).scalar_one())

    def all(self, now: datetime.datetime) -> tuple[bytes, ...]:
        """The current CRLs of all CAs that somebody may still need, the issuing CA's first. Raises CrlStuck."""
        return tuple(self.current(ca, now) for ca in self._cas.publishing(now))

    def publish(self, ca: Ca, signer: Signer, now: datetime.datetime) -> bytes:
        """A new CRL of one CA as DER, whatever the stored one says. Issuing goes on while it is made."""
        this_update = now.replace(microsecond=0)
        end = this_update + (ROOT_LIFETIME if ca.role == "root" else ISSUING_LIFETIME)
        next_update = min(end, ca.certificate.not_valid_after_utc)

        def reserve(transaction: Transaction) -> int:
            # RFC 5280 §5.2.3: numbers only ever rise, also where two processes publish at once.
            issuers = schema.issuers
            own = issuers.c.id == ca.id
            transaction.execute(update(issuers).where(own).values(crl_number=issuers.c.crl_number + 1))
            return int(transaction.read(select(issuers.c.crl_number).where(own)).scalar_one())

        # A higher number must not know less: it sees the store as it was when it got its number.
        with self._store.write_and_see(reserve) as (number, connection):
            covers = _changes(connection, ca)
            entries = _entries(connection, ca)
        crl = build(signer, number=number, this_update=this_update, next_update=next_update, entries=entries)

        def keep(transaction: Transaction) -> None:
            crls = schema.crls
            newest = transaction.read(select(crls.c.number).where(crls.c.issuer == ca.id)).scalar()
            if newest is None or newest < number:
                transaction.execute(delete(crls).where(crls.c.issuer == ca.id))
                transaction.execute(
                    insert(crls).values(
                        issuer=ca.id,
                        number=number,
                        this_update=int(this_update.timestamp()),
                        next_update=int(next_update.timestamp()),
                        covers=covers,
                        crl=crl,
                    )
                )
            transaction.record(
                "crl",
                ca.name,
                actor=self._actor,
                at=now,
                number=number,
                entries=len(entries),
                sha256=hashlib.sha256(crl).hexdigest(),
            )
            checkpoint(transaction, ca, signer)

        self._store.write(keep)
        return crl

    def _stored(self, ca: Ca) -> tuple[Row[Any] | None, int]:
        with self._store.read() as connection:
            stored = connection.execute(select(schema.crls).where(schema.crls.c.issuer == ca.id)).first()
            return stored, _changes(connection, ca)


def checkpoint(transaction: Transaction, ca: Ca, signer: Signer) -> None:
    """Sign the head of the audit log as this transaction leaves it."""
    head = transaction.head
    signature = signer.sign(checkpoint_message(head))
    transaction.add(schema.checkpoints, row=head.row, hash=head.hash, issuer=ca.id, signature=signature)


def _changes(connection: Connection, ca: Ca) -> int:
    query = select(schema.issuers.c.changes).where(schema.issuers.c.id == ca.id)
    return int(connection.execute(query).scalar_one())


def _entries(connection: Connection, ca: Ca) -> list[Entry]:
    if ca.role == "root":
        issuers = schema.issuers.c
        query = select(issuers.serial, issuers.revoked_at, issuers.reason).where(
            issuers.parent == ca.id, issuers.revoked_at.is_not(None)
        )
    else:
        columns = schema.revocations.c
        # RFC 5280 §3.3: an entry stays until one CRL has shown it after the certificate's end.
        last = select(schema.crls.c.this_update).where(schema.crls.c.issuer == ca.id).scalar_subquery()
        ended = columns.not_after < last
        query = (
            select(columns.serial, columns.revoked_at, columns.reason)
            .where(columns.issuer == ca.id, ended.is_not(True))
            .order_by(columns.id)
        )
    return [Entry(int(serial, 16), at, reason) for serial, at, reason in connection.execute(query)]


def _half(stored: Row[Any]) -> float:
    return float(stored.this_update + stored.next_update) / 2
