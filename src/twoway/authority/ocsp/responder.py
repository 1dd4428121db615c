"""Answers OCSP requests about everything that this authority has issued, with keys that sign nothing else."""

from __future__ import annotations

import datetime
import hashlib
import threading
from collections import OrderedDict
from typing import NamedTuple

from sqlalchemy import select

from twoway.authority import schema
from twoway.authority.cas import Ca, Cas
from twoway.authority.faults import IssuerUnfit, KeyFileMissing, RootKeyOffline
from twoway.authority.issuance import Issuance
from twoway.authority.ocsp.answer import Answer, Failure, Status, build, failure, key_hash
from twoway.authority.ocsp.asked import HASHES, Asked, CertId, Malformed, read
from twoway.authority.signing import Signer
from twoway.authority.store import Store
from twoway.credential import generate_key

# Whoever keeps an answer until its end, as verifiers may, learns of a revocation that much later.
LIFETIME = datetime.timedelta(minutes=15)
_CACHED = 20_000


class _Kept(NamedTuple):
    """An answer, with the CA's count of changes that it knows about."""

    ca: int
    changes: int
    answer: Answer


class Responder:
    """The OCSP responder of one authority (RFC 6960). Safe to use from several threads.

    For each CA that is asked about it has a key of its own, in memory, and a certificate for it that the CA has
    issued for nothing else (§4.2.2.2); both are renewed after two thirds of their life. An answer without a nonce is
    kept and given again until half of its time has passed, or until the CA's next revocation: the count that every
    revocation raises in its own transaction is looked at each time, so no answer outlives what it says. `lifetime` is how
    long an answer holds for others.
    """

    def __init__(
        self, store: Store, cas: Cas, issuance: Issuance, lifetime: datetime.timedelta = LIFETIME
    ) -> None:
        self._store, self._cas, self._issuance, self.lifetime = store, cas, issuance, lifetime
        self._lock = threading.Lock()
        self._signers: dict[int, Signer] = {}
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._issuers: tuple[tuple[Ca, ...], dict[tuple[str, bytes, bytes], Ca]] = ((), {})

    def answer(self, der: bytes, now: datetime.datetime) -> Answer:
        """The response to these bytes, whatever they are: outside bytes raise nothing here.

        A request that cannot be read is answered with malformedRequest, one about certificates of somebody else or of
        several CAs with unauthorized. Raises only what the store and the keys raise.
        """
        kept = self.kept(der, now)
        if kept is not None:
            return kept
        try:
            asked = read(der)
        except Malformed:
            return Answer(failure(Failure.MALFORMED_REQUEST))
        ca = self._issuer_of(asked)
        if ca is None or ca.revoked_at is not None or not ca.not_before <= now < ca.not_after:
            return Answer(failure(Failure.UNAUTHORIZED))
        try:
            signer = self._signer(ca, now)
        except (RootKeyOffline, KeyFileMissing, IssuerUnfit):
            return Answer(failure(Failure.UNAUTHORIZED))
        changes, statuses = self._look_up(ca, asked.certificates)
        produced = now.replace(microsecond=0)
        until = min(produced + self.lifetime, signer.certificate.not_valid_after_utc)
        response = build(signer, statuses, produced_at=produced, next_update=until, nonce=asked.nonce)
        if asked.nonce is not None or not all(one.known for one in statuses):
            return Answer(response)
        answer = Answer(response, produced + (until - produced) / 2)
        self._keep(der, _Kept(ca.id, changes, answer))
        return answer

    def kept(self, der: bytes, now: datetime.datetime) -> Answer | None:
        """The kept answer to the same bytes, if everything that it says is still so; it costs one read of the store.

        Raises only what the store raises.
        """
        with self._lock:
            kept = self._kept.get(der)
        if kept is None or kept.answer.until is None or now >= kept.answer.until:
            return None
        current = self._store.ask("SELECT changes FROM issuers WHERE id = ?", kept.ca)
        return kept.answer if current == (kept.changes,) else None

    def _keep(self, der: bytes, kept: _Kept) -> None:
        with self._lock:
            self._kept[der] = kept
            self._kept.move_to_end(der)
            while len(self._kept) > _CACHED:
                self._kept.popitem(last=False)

    def _issuer_of(self, asked: Asked) -> Ca | None:
        """The one CA of ours that has issued all of these, by what they say of their issuer."""
        cas, known = self._issuers
        if cas is not self._cas.all:
            cas = self._cas.all
            # Later rows win: a CA that was renewed with the same key is still that CA.
            known = {each: ca for ca in cas if ca.role in ("issuing", "root") for each in _identities(ca)}
            self._issuers = cas, known
        found = {known.get(each[:3]) for each in asked.certificates}
        return found.pop() if len(found) == 1 else None

    def _look_up(self, ca: Ca, wanted: tuple[CertId, ...]) -> tuple[int, list[Status]]:
        serials = {format(each.serial, "x") for each in wanted}
        with self._store.read() as connection:
            query = select(schema.issuers.c.changes).where(schema.issuers.c.id == ca.id)
            changes = int(connection.execute(query).scalar_one())
            if ca.role == "root":
                below = schema.issuers.c
                rows = connection.execute(
                    select(below.serial, below.revoked_at, below.reason).where(
                        below.parent == ca.id, below.serial.in_(serials)
                    )
                ).all()
            else:
                leaves, revoked = schema.certificates.c, schema.revocations.c
                rows = connection.execute(
                    select(leaves.serial, revoked.revoked_at, revoked.reason)
                    .outerjoin(schema.revocations, revoked.serial == leaves.serial)
                    .where(leaves.issuer == ca.id, leaves.serial.in_(serials))
                ).all()
        facts = {row.serial: row for row in rows}
        statuses = []
        for each in wanted:
            row = facts.get(format(each.serial, "x"))
            at, reason = (row.revoked_at, row.reason) if row is not None else (None, None)
            statuses.append(Status(each, row is not None, at, reason))
        return changes, statuses

    def _signer(self, ca: Ca, now: datetime.datetime) -> Signer:
        """The key that answers for this CA, and its certificate, with a third of its life left at least."""
        signer = self._signers.get(ca.id)
        if signer is None or now >= _due(signer):
            with self._lock:
                signer = self._signers.get(ca.id)
                if signer is None or now >= _due(signer):
                    key = generate_key("p256")
                    leaf, *_ = self._issuance.responder(key.public_key(), ca, now)
                    signer = self._signers[ca.id] = Signer(leaf, key)
        return signer


def _due(signer: Signer) -> datetime.datetime:
    begins, ends = signer.certificate.not_valid_before_utc, signer.certificate.not_valid_after_utc
    return begins + (ends - begins) * 2 / 3


def _identities(ca: Ca) -> list[tuple[str, bytes, bytes]]:
    """All that a request may call this CA (RFC 6960 §4.1.1)."""
    name = ca.certificate.subject.public_bytes()
    return [(each, hashlib.new(each, name).digest(), key_hash(ca.certificate, each)) for each in HASHES]
