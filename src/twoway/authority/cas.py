"""The authority's own CAs: a root, the issuing CA that signs now, those before them, and those that are to come."""

from __future__ import annotations

import datetime
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from sqlalchemy.engine import Row

from twoway.authority import keys, schema
from twoway.authority.constraints import Constraints
from twoway.authority.faults import CaKeyMismatch, KeyFileMissing, NotAnAuthority, RootKeyOffline
from twoway.authority.rotation import Rotation
from twoway.authority.signing import Signer
from twoway.authority.store import Store
from twoway.credential import PrivateKey, display_name


@dataclass(frozen=True, slots=True)
class Ca:
    """One CA as the store knows it. A CA is its key: renewed with the same key it stays the same CA."""

    id: int
    role: str
    parent: int
    certificate: x509.Certificate
    key_file: str
    current: bool
    revoked_at: int | None
    reason: str | None
    limits: Constraints
    serial: str
    not_before: datetime.datetime
    not_after: datetime.datetime

    @property
    def name(self) -> str:
        return display_name(self.certificate.subject)

    @property
    def key_identifier(self) -> str:
        """The SubjectKeyIdentifier, in hex: the name of this CA that its renewal with the same key does not change."""
        extension = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return extension.value.digest.hex()


class Bundle(NamedTuple):
    """The roots that are to be believed, the one that signs now first; and the rotation for which there are two."""

    certificates: tuple[x509.Certificate, ...]
    rotation: Rotation | None


class Cas:
    """The CAs of one authority, with their keys as they are needed."""

    def __init__(
        self, directory: Path, store: Store, passphrase: keys.Passphrase, root_key: Path | None
    ) -> None:
        self._directory = directory
        self._store = store
        self._passphrase = passphrase
        self._root_key = root_key
        self._lock = threading.Lock()
        self._signers: dict[int, Signer] = {}
        self.reload()

    def reload(self) -> None:
        """Read the CAs again: another process may have renewed or changed one."""
        with self._store.read() as connection:
            rows = connection.execute(select(schema.issuers).order_by(schema.issuers.c.id)).all()
            rotation = Rotation.under_way(connection)
        self.all = tuple(_ca(row) for row in rows)
        # A key that was read stays read, for as long as it is that of the same certificate: opening it takes a while.
        known = {ca.id: ca.certificate for ca in self.all}
        self._signers = {
            number: signer
            for number, signer in self._signers.items()
            if signer.certificate == known.get(number)
        }
        roots = [ca for ca in self.all if ca.role == "root" and ca.current]
        issuing = [ca for ca in self.all if ca.role == "issuing" and ca.current]
        if not roots or not issuing:
            raise NotAnAuthority(str(self._directory), "a root or an issuing CA in its store")
        self.root, self.issuing = roots[-1], issuing[-1]
        others = rotation.roots if rotation else frozenset()
        self.believed = (
            self.root,
            *(ca for ca in self.all if ca.id in others and ca.id != self.root.id),
        )
        self.bundle = Bundle(tuple(ca.certificate for ca in self.believed), rotation)
        self.presented = (self.issuing.certificate, *self._crossed())

    @property
    def crosses(self) -> tuple[x509.Certificate, ...]:
        """Roots certified by one another's keys: NewWithOld and OldWithNew of every change (RFC 4210 §4.4)."""
        return tuple(ca.certificate for ca in self.all if ca.role == "cross")

    def by_id(self, number: int) -> Ca:
        return next(ca for ca in self.all if ca.id == number)

    def _crossed(self) -> tuple[x509.Certificate, ...]:
        """What goes behind the issuing CA while its root is new: that root, as the old one certifies it."""
        rotation = self.bundle.rotation
        if rotation is None or rotation.kind != "root" or rotation.step != "issue":
            return ()
        key = self.root.certificate.public_key()
        return tuple(
            ca.certificate
            for ca in self.all
            if ca.role == "cross" and ca.parent == rotation.old_root and ca.certificate.public_key() == key
        )

    @property
    def organization(self) -> str:
        """The authority's name: the O of its root."""
        return str(self.root.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)

    def publishing(self, now: datetime.datetime) -> tuple[Ca, ...]:
        """Those whose CRL somebody may still need: the issuing CAs that have not ended, then the roots.

        A root that is no longer believed is among them while its key is in the directory.
        """
        issuing = [ca for ca in self.all if ca.role == "issuing" and ca.not_after > now]
        parents = {ca.parent for ca in issuing}
        former = [ca for ca in self.all if ca.role == "root" and ca not in self.believed and ca.id in parents]
        return (*sorted(issuing, key=lambda ca: not ca.current), *self.believed, *former)

    def signer(self, ca: Ca, act: str = "sign") -> Signer:
        """The CA with its key. `act` says what for, for the error that the root's key is offline.

        Raises RootKeyOffline, KeyFileMissing, PassphraseNeeded, WrongCaPassphrase, CaKeyMismatch.
        """
        with self._lock:
            if ca.id not in self._signers:
                path = self.root_key_path(ca) if ca.role == "root" else self._directory / ca.key_file
                try:
                    key = self._key(path, ca)
                except FileNotFoundError:
                    if ca.role == "root":
                        raise RootKeyOffline(str(path), act) from None
                    raise KeyFileMissing(str(path)) from None
                self._signers[ca.id] = Signer(ca.certificate, key)
            return self._signers[ca.id]

    def _key(self, path: Path, ca: Ca) -> PrivateKey:
        own = self._directory / ca.key_file
        try:
            return self.load(path, ca)
        except CaKeyMismatch:
            if path == own or not own.exists():
                raise
            return self.load(own, ca)  # the file that was named is the key of another of the roots

    def load(self, path: Path, ca: Ca) -> PrivateKey:
        """The key in that file, if it is that CA's. Raises what `keys.load` raises."""
        secret = None if self._passphrase is None else self._secret
        return keys.load(path, secret, ca.certificate)

    def encrypted(self, key: PrivateKey) -> bytes:
        """A new CA key as PEM, under the passphrase that the others are under; without one where they have none.

        Raises KeyFileMissing when the issuing CA's is not here to tell.
        """
        beside = self._directory / self.issuing.key_file
        try:
            is_encrypted = b"ENCRYPTED" in beside.read_bytes()
        except FileNotFoundError:
            raise KeyFileMissing(str(beside)) from None
        return keys.encrypted_pem(key, self._secret() if is_encrypted else b"")

    def root_key_path(self, root: Ca) -> Path:
        """Where that root's key is: in the file that was named for it, else in the directory."""
        return self._root_key or self._directory / root.key_file

    def _secret(self) -> bytes:
        # A callable is asked at most once, and only when an encrypted key is met.
        self._passphrase = keys.resolve(self._passphrase)
        return self._passphrase


def _ca(row: Row[Any]) -> Ca:
    certificate = x509.load_der_x509_certificate(row.certificate)
    return Ca(
        row.id,
        row.role,
        row.parent,
        certificate,
        row.key_file,
        row.current,
        row.revoked_at,
        row.reason,
        Constraints.of(certificate),
        row.serial,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )
