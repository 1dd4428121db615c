"""The root's key: taking it offline, and what it is brought back for.

Without the root's key an authority issues, renews and revokes as before. What it cannot do is renew or revoke its
issuing CA, and sign the root's CRL, which it publishes for a year ahead.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import ScalarSelect, and_, func, insert, select, update

from twoway.authority import directory as files
from twoway.authority import keys, schema
from twoway.authority.cas import Ca, Cas
from twoway.authority.certificates import BACKDATE
from twoway.authority.crl import REASONS
from twoway.authority.faults import DirectoryUnwritable, IssuerUnfit, RootKeyOffline
from twoway.authority.founding import issuer_row, subordinate
from twoway.authority.issuance import after_days
from twoway.authority.publishing import Publishing
from twoway.authority.refusals import AlreadyRevoked, NoSuchCertificate, ReasonUnknown
from twoway.authority.rotation_faults import RotationUnderWay
from twoway.authority.signing import Signer
from twoway.authority.store import Store
from twoway.authority.transaction import Transaction
from twoway.credential import certificate_pem, fingerprint_of, key_type_of, write_private, write_public
from twoway.errors import UsageError


class RootKey:
    """What only the root's key can do, and where that key is."""

    def __init__(self, directory: Path, store: Store, cas: Cas, publishing: Publishing, actor: str) -> None:
        self._directory, self._store, self._cas, self._publishing = directory, store, cas, publishing
        self._actor = actor

    @property
    def present(self) -> bool:
        """Whether the key is in the authority's directory (or where it was said to be)."""
        return self._cas.root_key_path(self._cas.root).is_file()

    def export(self, out: str | os.PathLike[str], *, now: datetime.datetime | None = None) -> Path:
        """Copy the key file, encrypted as it is, to a new file of mode 0600 and read it back.

        Raises RootKeyOffline, UsageError (the file exists), DirectoryUnwritable, and what reading the key raises.
        """
        target = Path(out).absolute()
        self._cas.signer(self._cas.root, "export the root's key")
        if target.exists():
            raise UsageError(
                f"{target} exists, and a key is never written over a file", "choose another name"
            )
        try:
            write_private(target, self._cas.root_key_path(self._cas.root).read_bytes())
        except OSError as failure:
            raise DirectoryUnwritable(str(target.parent), failure.strerror or str(failure)) from failure
        self._cas.load(target, self._cas.root)
        self._record("export-root-key", now)
        return target

    def remove(self, exported: str | os.PathLike[str], *, now: datetime.datetime | None = None) -> None:
        """Remove the key from the authority's directory, once the exported copy has proved to be that key.

        The file is unlinked, not wiped: whether the medium still has it is the medium's affair. Raises
        RootKeyOffline when it is not there, and what reading the copy raises.
        """
        own = self._directory / self._cas.root.key_file
        copy = Path(exported).absolute()
        if not own.exists():
            raise RootKeyOffline(str(own), "remove the root's key")
        if copy.exists() and copy.samefile(own):
            raise UsageError(f"{copy} is the authority's own copy", "export the key to another place first")
        try:
            self._cas.load(copy, self._cas.root)
        except FileNotFoundError:
            raise UsageError(
                f"the only copy of the root's key is not removed: {copy} is not there",
                "export it first: twoway ca export --root-key FILE",
            ) from None
        self._record("remove-root-key", now)
        own.unlink()

    def renew_issuing(
        self, *, new_key: bool = False, days: float = 1825, now: datetime.datetime | None = None
    ) -> Ca:
        """A new certificate for the issuing CA, or with `new_key` a new issuing CA.

        With the same key everything that it issued stays as it is. A new one issues from now on; the old one keeps
        its key to sign the CRL for its own certificates until its end. Raises RootKeyOffline, RotationUnderWay.
        """
        moment = now or datetime.datetime.now(datetime.UTC)
        root, old = self._cas.root, self._cas.issuing
        if self._cas.bundle.rotation is not None:
            raise RotationUnderWay(self._cas.bundle.rotation.kind, "renew the issuing CA")
        if old.revoked_at is not None and not new_key:
            raise IssuerUnfit(old.name, "is revoked")
        root_signer = self._cas.signer(root, "renew the issuing CA")
        name = self._cas.organization
        end = min(after_days(days, moment), root.certificate.not_valid_after_utc)
        begin = max(moment.replace(microsecond=0) - BACKDATE, root.certificate.not_valid_before_utc)
        key = None if new_key else self._cas.signer(old).key
        kind = key_type_of(old.certificate.public_key())
        renewed = subordinate(root_signer, name, kind, begin, end, old.limits, key)
        if new_key:
            self._replace(old, renewed, moment)
        else:
            self._extend(old, renewed, moment)
        write_public(self._directory / files.ISSUING_CERTIFICATE, certificate_pem(renewed.certificate))
        self._cas.reload()
        self._publishing.publish(self._cas.issuing, self._cas.signer(self._cas.issuing), moment)
        return self._cas.issuing

    def revoke_issuing(
        self,
        reason: str = "cACompromise",
        *,
        earlier: str | None = None,
        now: datetime.datetime | None = None,
    ) -> bytes:
        """Revoke the issuing CA, and with it everything that it issued; the root's new CRL as DER.

        Every certificate that its key ever had is revoked: whoever has the key could show any of them. It issues
        nothing afterwards: go on with `renew_issuing(new_key=True)`. `earlier` is the serial of a CA that was
        replaced by a new key and is meant instead. Raises RootKeyOffline, ReasonUnknown, AlreadyRevoked,
        NoSuchCertificate.
        """
        moment = now or datetime.datetime.now(datetime.UTC)
        if reason not in REASONS or reason in ("certificateHold", "removeFromCRL"):
            raise ReasonUnknown(
                reason, tuple(r for r in REASONS if r not in ("certificateHold", "removeFromCRL"))
            )
        root, ca = self._cas.root, self._meant(earlier)
        if ca.revoked_at is not None:
            at = datetime.datetime.fromtimestamp(ca.revoked_at, datetime.UTC)
            raise AlreadyRevoked(ca.serial, at, ca.reason or "unspecified")
        signer = self._cas.signer(root, "revoke the issuing CA")
        issuers = schema.issuers

        def work(transaction: Transaction) -> None:
            values = {"revoked_at": int(moment.timestamp()), "reason": reason}
            same_key = and_(issuers.c.key_file == ca.key_file, issuers.c.parent == ca.parent)
            for serial in transaction.read(select(issuers.c.serial).where(same_key)).scalars().all():
                transaction.execute(update(issuers).where(issuers.c.serial == serial).values(**values))
                transaction.execute(
                    update(issuers).where(issuers.c.id == root.id).values(changes=issuers.c.changes + 1)
                )
                transaction.record("revoke-issuing", serial, actor=self._actor, at=moment, reason=reason)

        self._store.write(work)
        self._cas.reload()
        return self._publishing.publish(root, signer, moment)

    def _meant(self, serial: str | None) -> Ca:
        if serial is None:
            return self._cas.issuing
        bare = serial.replace(":", "").lower().removeprefix("0x").lstrip("0")
        for ca in self._cas.all:
            if ca.role == "issuing" and ca.serial == bare:
                return ca
        raise NoSuchCertificate(serial)

    def _extend(self, old: Ca, renewed: Signer, moment: datetime.datetime) -> None:
        row = issuer_row(renewed, role="issuing", parent=old.parent, key_file=old.key_file)
        values = {name: row[name] for name in ("serial", "certificate", "not_after")}
        issuers = schema.issuers

        def work(transaction: Transaction) -> None:
            transaction.execute(update(issuers).where(issuers.c.id == old.id).values(**values))
            # The old certificate is good until its end, and has to be revoked with the key: it is kept as well.
            transaction.execute(insert(issuers).values(id=_next_id(), **_renewed_row(old)))
            self._say_renewed(transaction, renewed, "same", moment)

        self._store.write(work)

    def _replace(self, old: Ca, renewed: Signer, moment: datetime.datetime) -> None:
        key_file = f"issuing-key-{keys.spki_hash(renewed.key.public_key())[:16]}.pem"
        write_private(self._directory / key_file, self._cas.encrypted(renewed.key))
        row = issuer_row(renewed, role="issuing", parent=old.parent, key_file=key_file)
        issuers = schema.issuers

        def work(transaction: Transaction) -> None:
            transaction.execute(update(issuers).where(issuers.c.role == "issuing").values(current=False))
            transaction.execute(insert(issuers).values(id=_next_id(), **row))
            self._say_renewed(transaction, renewed, "new", moment)

        self._store.write(work)

    def _say_renewed(
        self, transaction: Transaction, renewed: Signer, key: str, moment: datetime.datetime
    ) -> None:
        serial = format(renewed.certificate.serial_number, "x")
        fingerprint = fingerprint_of(renewed.certificate)
        transaction.record(
            "renew-issuing", serial, actor=self._actor, at=moment, key=key, fingerprint=fingerprint
        )

    def _record(self, act: str, now: datetime.datetime | None) -> None:
        moment = now or datetime.datetime.now(datetime.UTC)
        name = self._cas.root.name
        self._store.write(lambda transaction: transaction.record(act, name, actor=self._actor, at=moment))


def _renewed_row(old: Ca) -> dict[str, object]:
    return {
        "role": "renewed",
        "parent": old.parent,
        "serial": old.serial,
        "certificate": old.certificate.public_bytes(Encoding.DER),
        "key_file": old.key_file,
        "not_after": int(old.not_after.timestamp()),
        "current": False,
        "changes": 0,
        "crl_number": 0,
    }


def _next_id() -> ScalarSelect[int]:
    # Said, and not left to the database: the first two were said as well, since one names the other.
    return select(func.max(schema.issuers.c.id) + 1).scalar_subquery()
