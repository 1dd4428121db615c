"""Changing the issuing CA or the root in steps, each of which is refused while it would cut somebody off.

    (nothing) -> distribute -> issue -> retired        and from distribute back: aborted

Everything that a step needs is on the disk before the store says that it was taken, so a step that was interrupted is
simply taken again.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, insert, select, update

from twoway.authority import directory as files
from twoway.authority import in_use, keys, schema
from twoway.authority.cas import Ca, Cas
from twoway.authority.founding import issuer_row
from twoway.authority.in_use import InUse
from twoway.authority.publishing import Publishing
from twoway.authority.rotation import UNDER_WAY, Kind, Rotation
from twoway.authority.rotation_faults import (
    NoRotation,
    RotationUnderWay,
    TooLateToAbort,
    TooSoon,
    WouldCutOff,
)
from twoway.authority.signing import Signer
from twoway.authority.store import Store
from twoway.authority.succession import Lives, crossed, new_issuing, new_root
from twoway.authority.transaction import Transaction
from twoway.credential import certificate_pem, fingerprint_of, write_private, write_public

FETCHED_WITHIN = datetime.timedelta(hours=2)
"""In what time every agent has fetched revocation lists once: it asks each hour."""

_NOT_FETCHED = "who have not fetched the new trust bundle"
_OLD_ONLY = "whose certificates are from the old CA"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a change is: the step that was taken last, the next one, and whom that one waits for."""

    kind: Kind
    step: str
    next: str | None
    began_at: datetime.datetime | None
    waits_for: InUse
    why: str | None

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "step": self.step,
            "next": self.next,
            "began_at": None if self.began_at is None else self.began_at.isoformat().replace("+00:00", "Z"),
            "waits_for": self.waits_for.count,
            "identities": list(self.waits_for.named),
            "why": self.why,
        }


class _Born(NamedTuple):
    signer: Signer
    row: dict[str, object]


class Rotating:
    """The changes of one authority's CAs. Several processes may try; one at a time gets on."""

    def __init__(self, directory: Path, store: Store, cas: Cas, publishing: Publishing, actor: str) -> None:
        self._directory, self._store, self._cas, self._publishing = directory, store, cas, publishing
        self._actor = actor

    def status(self, kind: Kind, now: datetime.datetime | None = None) -> Progress:
        """How far the change of that CA is; of a change that is not under way, that it has not begun."""
        moment = now or datetime.datetime.now(datetime.UTC)
        self._cas.reload()
        rotation = self._cas.bundle.rotation
        if rotation is None or rotation.kind != kind:
            return Progress(kind, "none", "distribute", None, InUse(0, ()), None)
        waits_for, why = self._waits_for(rotation, moment)
        following = {"distribute": "issue", "issue": "retire"}[rotation.step]
        return Progress(kind, rotation.step, following, rotation.began_at, waits_for, why)

    def advance(
        self,
        kind: Kind,
        *,
        force: bool = False,
        lives: Lives = Lives(),  # noqa: B008 - it is a tuple
        now: datetime.datetime | None = None,
    ) -> Progress:
        """Take the next step, and say how far that is.

        Raises WouldCutOff with the identities that it would cut off and TooSoon, both unless `force`, which the audit log
        remembers; RotationUnderWay while the other kind of change is; RootKeyOffline and KeyFileMissing.
        """
        moment = now or datetime.datetime.now(datetime.UTC)
        self._cas.reload()
        rotation = self._cas.bundle.rotation
        if rotation is not None and rotation.kind != kind:
            raise RotationUnderWay(rotation.kind, f"change the {kind} CA")
        if rotation is None:
            self._begin(kind, lives, moment)
            return self.status(kind, moment)
        left = 0 if force else self._check(rotation, moment)
        if force:
            left = self._waits_for(rotation, moment)[0].count
        if rotation.step == "distribute":
            self._issue(rotation, left, moment)
            return self.status(kind, moment)
        self._retire(rotation, left, moment)
        return Progress(kind, "retired", None, rotation.began_at, InUse(0, ()), None)

    def abort(self, kind: Kind, now: datetime.datetime | None = None) -> None:
        """Take a change back before the new CA has signed anything: everybody goes on with the old one.

        Raises NoRotation and TooLateToAbort.
        """
        moment = now or datetime.datetime.now(datetime.UTC)
        self._cas.reload()
        rotation = self._cas.bundle.rotation
        if rotation is None or rotation.kind != kind:
            raise NoRotation(kind)
        if rotation.step != "distribute":
            raise TooLateToAbort(kind)
        fresh = [ca for ca in self._cas.all if ca.id >= min(self._born(rotation))]
        self._write_certificates(self._cas.by_id(rotation.old_root), self._cas.by_id(rotation.old_issuing))

        def work(transaction: Transaction) -> None:
            self._step(transaction, rotation, "aborted", moment)
            issuers = schema.issuers
            born = issuers.c.id.in_([ca.id for ca in fresh])
            transaction.execute(update(issuers).where(born).values(role="abandoned"))
            transaction.record("rotate-abort", kind, actor=self._actor, at=moment)

        self._store.write(work)
        for ca in fresh:
            if ca.role in ("root", "issuing"):
                (self._directory / ca.key_file).unlink(missing_ok=True)
        self._cas.reload()

    # -- whom a step would cut off

    def _waits_for(self, rotation: Rotation, now: datetime.datetime) -> tuple[InUse, str | None]:
        with self._store.read() as connection:
            if rotation.step == "issue":
                found, why = in_use.issued_by(connection, self._old_cas(rotation), now), _OLD_ONLY
            elif rotation.kind == "root":
                found, why = in_use.without_bundle(connection, rotation, now), _NOT_FETCHED
            else:
                return InUse(0, ()), None
        return found, why if found.count else None

    def _check(self, rotation: Rotation, now: datetime.datetime) -> int:
        step = "issue" if rotation.step == "distribute" else "retire"
        left = rotation.began_at + FETCHED_WITHIN - now
        if rotation.kind == "issuing" and step == "issue" and left > datetime.timedelta():
            why = (
                "whoever checks revocation needs the new CA's list first, and agents ask for lists each hour"
            )
            raise TooSoon(rotation.kind, step, 1 + int(left.total_seconds() // 60), why)
        found, why_not = self._waits_for(rotation, now)
        if found.count:
            raise WouldCutOff(rotation.kind, step, why_not or "", found.count, found.named)
        return 0

    def _old_cas(self, rotation: Rotation) -> list[int]:
        if rotation.kind == "issuing":
            return [rotation.old_issuing]
        return [ca.id for ca in self._cas.all if ca.role == "issuing" and ca.parent == rotation.old_root]

    # -- the steps

    def _begin(self, kind: Kind, lives: Lives, now: datetime.datetime) -> None:
        """Make the new CAs, and remember them; from then on they are handed out to be believed."""
        old_root, old_issuing = self._cas.root, self._cas.issuing
        root = self._cas.signer(old_root, f"change the {'root' if kind == 'root' else 'issuing CA'}")
        made: list[_Born] = []
        if kind == "root":
            successor = new_root(old_root, lives, now)
            made.append(self._keep("root", successor))
            for cross, parent in (
                (crossed(successor, root, old_root.limits), old_root.id),
                (crossed(root, successor, old_root.limits), 0),
            ):
                row = issuer_row(Signer(cross, successor.key), role="cross", parent=parent, key_file="")
                made.append(_Born(Signer(cross, successor.key), row | {"current": False}))
            root = successor
        made.append(self._keep("issuing", new_issuing(old_issuing, root, lives, now)))

        def work(transaction: Transaction) -> None:
            rotations, issuers = schema.rotations, schema.issuers
            busy = transaction.read(select(rotations.c.kind).where(rotations.c.step.in_(UNDER_WAY))).scalar()
            if busy is not None:
                raise RotationUnderWay(busy, f"change the {kind} CA")
            first = int(transaction.read(select(func.max(issuers.c.id))).scalar_one()) + 1
            above = first if kind == "root" else old_root.id
            for number, born in enumerate(made, first):
                parent = born.row["parent"] or above
                transaction.execute(insert(issuers).values(**born.row | {"id": number, "parent": parent}))
            number = (
                int(transaction.read(select(func.coalesce(func.max(rotations.c.id), 0))).scalar_one()) + 1
            )
            transaction.add(
                rotations,
                id=number,
                kind=kind,
                step="distribute",
                began_at=int(now.timestamp()),
                stepped_at=int(now.timestamp()),
                old_root=old_root.id,
                new_root=above,
                old_issuing=old_issuing.id,
                new_issuing=first + len(made) - 1,
            )
            told = [fingerprint_of(born.signer.certificate) for born in made]
            transaction.record("rotate-begin", kind, actor=self._actor, at=now, certificates=told)

        self._store.write(work)
        self._cas.reload()
        rotation = self._cas.bundle.rotation
        assert rotation is not None
        # The old root's list is signed anew while its key is here: it may be in a safe again soon.
        for number in sorted({rotation.old_root, rotation.new_root, rotation.new_issuing}):
            ca = self._cas.by_id(number)
            self._publishing.publish(ca, self._cas.signer(ca), now)

    def _issue(self, rotation: Rotation, left: int, now: datetime.datetime) -> None:
        """Issue by the new CA from now on."""
        root, issuing = self._cas.by_id(rotation.new_root), self._cas.by_id(rotation.new_issuing)
        self._cas.signer(issuing)  # its key has to be here, and to open
        self._write_certificates(root, issuing)
        table = schema.issuers

        def work(transaction: Transaction) -> None:
            self._step(transaction, rotation, "issue", now)
            signing = {"issuing": issuing.id, "root": root.id}
            for role, number in signing.items():
                own = update(table).where(table.c.role == role)
                transaction.execute(own.values(current=False))
                transaction.execute(own.where(table.c.id == number).values(current=True))
            told = {"issuing": fingerprint_of(issuing.certificate), "root": fingerprint_of(root.certificate)}
            transaction.record("rotate-issue", rotation.kind, actor=self._actor, at=now, cut_off=left, **told)

        self._store.write(work)
        self._cas.reload()

    def _retire(self, rotation: Rotation, left: int, now: datetime.datetime) -> None:
        """Believe the old one no longer. Its lists and its OCSP answers go on for whoever still asks."""
        self._write_certificates(self._cas.root, self._cas.issuing)

        def work(transaction: Transaction) -> None:
            self._step(transaction, rotation, "retired", now)
            transaction.record("rotate-retire", rotation.kind, actor=self._actor, at=now, cut_off=left)

        self._store.write(work)
        self._cas.reload()

    # -- their parts

    def _keep(self, role: str, signer: Signer) -> _Born:
        """The key on the disk, and the row that is to name it."""
        key_file = f"{role}-key-{keys.spki_hash(signer.key.public_key())[:16]}.pem"
        write_private(self._directory / key_file, self._cas.encrypted(signer.key))
        return _Born(signer, issuer_row(signer, role=role, parent=0, key_file=key_file) | {"current": False})

    def _write_certificates(self, root: Ca, issuing: Ca) -> None:
        write_public(self._directory / files.ROOT_CERTIFICATE, certificate_pem(root.certificate))
        write_public(self._directory / files.ISSUING_CERTIFICATE, certificate_pem(issuing.certificate))

    def _step(self, transaction: Transaction, rotation: Rotation, step: str, now: datetime.datetime) -> None:
        """Take the step, if no other process has meanwhile."""
        rotations = schema.rotations
        still = rotations.c.id == rotation.id, rotations.c.step == rotation.step
        values = {"step": step, "stepped_at": int(now.timestamp())}
        if transaction.execute(update(rotations).where(*still).values(**values)).rowcount != 1:
            raise RotationUnderWay(rotation.kind, f"take the step {step} a second time")

    def _born(self, rotation: Rotation) -> tuple[int, ...]:
        """The new CAs of a rotation; what was made with them has numbers between theirs."""
        return (
            (rotation.new_issuing,)
            if rotation.kind == "issuing"
            else (rotation.new_root, rotation.new_issuing)
        )
