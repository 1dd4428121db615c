"""The authority: it gives identities, takes them back, and remembers everything it did."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cryptography import x509

from twoway.authority import auditing, crl, directory, keys, whereabouts
from twoway.authority.actor import login
from twoway.authority.audit import Head, Row
from twoway.authority.auditing import AuditReport
from twoway.authority.cas import Cas
from twoway.authority.constraints import Constraints
from twoway.authority.founding import found
from twoway.authority.guard import Guard
from twoway.authority.in_use import note_fetch
from twoway.authority.issuance import Chain, Issuance, Order, asked_names, signing_order
from twoway.authority.ocsp import Responder
from twoway.authority.profiles import Profiles
from twoway.authority.publishing import Publishing
from twoway.authority.records import Record
from twoway.authority.register import Only, Register, Selector, moment_of
from twoway.authority.renewal import Renewal
from twoway.authority.revocation import revoking
from twoway.authority.root_key import RootKey
from twoway.authority.rotating import Rotating
from twoway.authority.store import Store
from twoway.authority.wishes import Wishes
from twoway.credential import Credential, PrivateKey, PublicKey, chain_pem, generate_key, key_type_of
from twoway.errors import UsageError
from twoway.names import Names

if TYPE_CHECKING:
    from twoway.authority.tokens import Tokens
    from twoway.trust import Trust

_log = logging.getLogger("twoway.authority")


class Authority:
    """A root, an issuing CA, and the memory of all they signed, in one directory.

    Safe to use from several threads; several processes may have the same authority open. Keys are read when they
    are first needed, so that what needs no key needs no passphrase either.
    """

    def __init__(
        self, path: Path, store: Store, passphrase: keys.Passphrase, root_key_file: Path | None
    ) -> None:
        self.directory = path
        self.requested_by = login()
        self.store = store
        self.cas = Cas(path, store, passphrase, root_key_file)
        self._register = Register(store)
        self.rules = Profiles(path / directory.PROFILES)
        self.issuance = Issuance(store, self.cas, self.rules, self.name, whereabouts.read(path))
        self.renewal = Renewal(self._register, self.issuance)
        self.publishing = Publishing(store, self.cas, self.requested_by)
        self.ocsp = Responder(store, self.cas, self.issuance)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str,
        passphrase: keys.Passphrase = None,
        no_passphrase: bool = False,
        key_type: str = "p256",
        root_days: float = 3650,
        issuing_days: float = 1825,
        now: datetime.datetime | None = None,
        name_constraints: Constraints | Iterable[str] | None = None,
        public_url: str | None = None,
        store: str | None = None,
    ) -> Authority:
        """A new authority in a new directory, which appears whole or not at all.

        `name` is the organisation in everything it signs. Without a passphrase the CA keys are stored unencrypted,
        and a warning says so unless `no_passphrase` says that it is meant. `name_constraints` limits what it can
        ever certify: see Constraints. `public_url` goes into every leaf as where to ask whether it is revoked. Raises
        DirectoryTaken, DirectoryUnwritable, PublicUrlUnusable, UsageError.
        """
        where = Path(path).absolute()
        secret = found(
            where,
            name=name,
            passphrase=None if no_passphrase else passphrase,
            key_type=key_type,
            root_days=root_days,
            issuing_days=issuing_days,
            constraints=Constraints.given(name_constraints),
            public_url=None if public_url is None else whereabouts.checked(public_url),
            actor=login(),
            now=moment_of(now),
            store_url=store,
        )
        if not secret and not no_passphrase:
            _log.warning(
                "the CA keys in %s are stored without a passphrase: whoever reads them can issue", where
            )
        return cls.open(where, passphrase=secret)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        passphrase: keys.Passphrase = None,
        root_key: str | os.PathLike[str] | None = None,
        lock_wait: float | None = None,
        store: str | None = None,
    ) -> Authority:
        """The authority in that directory.

        `passphrase` may be a callable, asked once when an encrypted key is first needed; `root_key` the file of a
        root's key that is offline; `store` the URL of a database instead of the directory's own. Raises NotAnAuthority, StoreUnusable, StoreTooNew, StoreLocked, StoreForeign.
        """
        where = directory.existing(Path(path).absolute())
        found = Store.open(store or directory.store_of(where), lock_wait=lock_wait)
        try:
            opened = cls(
                where, found, passphrase, Path(root_key).absolute() if root_key is not None else None
            )
            directory.check_root(where, opened.root_certificate, opened.cas.crosses)
            return opened
        except BaseException:
            found.close()
            raise

    def close(self) -> None:
        """Close the store. An authority that is forgotten without this loses nothing."""
        self.store.close()

    def __enter__(self) -> Authority:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what it is

    @property
    def name(self) -> str:
        """The organisation that the root's certificate names."""
        return self.cas.organization

    @property
    def root_certificate(self) -> x509.Certificate:
        return self.cas.root.certificate

    @property
    def issuing_certificate(self) -> x509.Certificate:
        return self.cas.issuing.certificate

    @property
    def name_constraints(self) -> Constraints:
        return self.cas.issuing.limits

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of the profiles that can be asked for."""
        return self.rules.known()

    def unlock(self) -> None:
        """Read the issuing CA's key now, so that a wrong passphrase shows now."""
        self.cas.signer(self.cas.issuing)

    # -- issuing

    def issue_server(self, name: str, **more: Unpack[Wishes]) -> Credential:
        """An identity for a server that is found by `name`; see `issue`."""
        return self.issue("server", name, **more)

    def issue_client(self, name: str, **more: Unpack[Wishes]) -> Credential:
        """An identity for a client; see `issue`."""
        return self.issue("client", name, **more)

    def issue_peer(self, name: str, **more: Unpack[Wishes]) -> Credential:
        """An identity for a service that is both server and client; see `issue`."""
        return self.issue("peer", name, **more)

    def issue(
        self,
        profile: str,
        name: str,
        *,
        dns: Iterable[str] = (),
        ip: Iterable[str] = (),
        uri: Iterable[str] = (),
        email: Iterable[str] = (),
        days: float | None = None,
        key_type: str | None = None,
        now: datetime.datetime | None = None,
        requested_by: str | None = None,
    ) -> Credential:
        """A new key and a certificate for it, durably remembered before this returns.

        The common name is `name`, which also becomes an alternative name of the kind that it looks like; the others
        are added. Without `days` it lives for the profile's time, or as long as its issuer if that is shorter.
        Raises a RequestRefused (profile, names, key type, lifetime), BadName, IssuerUnfit, or why the CA's key or
        the store cannot be used.
        """
        rules = self.rules[profile]
        limits = self.cas.issuing.limits
        common, names = asked_names(name, rules, limits, dns=dns, ip=ip, uri=uri, email=email)
        kind = key_type or ("p256" if "p256" in rules.key_types else rules.key_types[0])
        key = generate_key(kind)
        who = requested_by or self.requested_by
        order = Order(key.public_key(), common, names, profile, "issue", who, days)
        return self._handed_out(key, self.issuance.certify(lambda: order, moment_of(now)), moment_of(now))

    def sign(
        self,
        csr: bytes | str,
        *,
        profile: str,
        common_name: str | None = None,
        names: Names | None = None,
        days: float | None = None,
        now: datetime.datetime | None = None,
        requested_by: str | None = None,
        guard: Guard = Guard(),  # noqa: B008 - it is frozen
    ) -> Chain:
        """The chain (leaf, issuing CA) for a signing request in PEM or DER.

        Taken from the request are the public key, the common name and the alternative names; `common_name` and
        `names` replace those. Everything else is the profile's. Raises what `read` in request.py raises, what
        `issue` raises, and what the `guard` raises.
        """

        order = signing_order(
            csr, profile, requested_by or self.requested_by, common_name, names, days, guard
        )
        return self.issuance.certify(order, moment_of(now))

    def renew(
        self,
        what: Selector,
        *,
        new_key: bool = True,
        days: float | None = None,
        allow_expired: bool = False,
        now: datetime.datetime | None = None,
        requested_by: str | None = None,
    ) -> Credential:
        """A new certificate with the names and the profile of an old one; with a new key of the same type, or
        with the same one if `what` is the Credential that has it.

        Raises what `renew_certificate` raises, and UsageError for the same key where there is none.
        """
        if new_key:
            key = generate_key(key_type_of(self.show(what, now=now).certificate.public_key()))
        elif isinstance(what, Credential):
            key = what.private_key
        else:
            raise UsageError(
                "a renewal with the same key needs that key, and only the certificate was named",
                "give the identity directory, or renew with a new key",
            )
        chain = self.renew_certificate(
            what,
            public_key=key.public_key(),
            days=days,
            allow_expired=allow_expired,
            now=now,
            requested_by=requested_by,
        )
        return self._handed_out(key, chain, moment_of(now))

    def _handed_out(self, key: PrivateKey, chain: Chain, now: datetime.datetime) -> Credential:
        """The credential with whom to believe; during a rotation it is noted that this identity has got the bundle."""
        anchors, rotation = self.cas.bundle
        if rotation is not None:
            note_fetch(self.store, rotation, format(chain[0].serial_number, "x"), now)
        return Credential(key, chain, anchors)

    def renew_certificate(
        self,
        what: Selector,
        *,
        public_key: PublicKey | None = None,
        days: float | None = None,
        allow_expired: bool = False,
        now: datetime.datetime | None = None,
        requested_by: str | None = None,
    ) -> Chain:
        """The chain of a renewed certificate, for its own public key or for `public_key`.

        The old one is recognised byte for byte and stays valid until its end. The new one is judged by the profile
        as it is today. Without `days` it lives as long as the old one did. Raises NotIssuedHere, NoSuchCertificate,
        SelectorAmbiguous, RenewalRefused (revoked, on hold, expired), and what `issue` raises.
        """
        return self.renewal.certify(
            what,
            public_key=public_key,
            days=days,
            allow_expired=allow_expired,
            now=moment_of(now),
            actor=requested_by or self.requested_by,
        )

    # -- taking back

    def revoke(
        self,
        what: Selector,
        reason: str = "unspecified",
        *,
        every: bool = False,
        now: datetime.datetime | None = None,
        requested_by: str | None = None,
    ) -> tuple[Record, ...]:
        """Revoke a certificate, durably; the next CRL has it. What was revoked is returned as it was.

        `reason` is one of RFC 5280 §5.3.1. A name that several certificates in use have raises SelectorAmbiguous,
        or with `every` means them all. Also raises NoSuchCertificate, NotIssuedHere, ReasonUnknown, AlreadyRevoked,
        NotOnHold.
        """
        moment = moment_of(now)
        found = self._register.in_use(what, moment) if every else (self._register.one(what, moment),)
        for record in found:
            self.store.write(revoking(record, reason, actor=requested_by or self.requested_by, now=moment))
        return found

    def list(self, match: str | None = None, **only: Unpack[Only]) -> tuple[Record, ...]:
        """The certificates that fit everything given, oldest first; `match` as in `find`."""
        return self._register.list(match, **only)

    def find(self, what: Selector, *, now: datetime.datetime | None = None) -> tuple[Record, ...]:
        """Every certificate with that name, alternative name, serial or fingerprint; `*` stands for anything."""
        return self._register.find(what, now)

    def show(self, what: Selector, *, now: datetime.datetime | None = None) -> Record:
        """The one certificate that is meant: of several with a name the one in use, after a renewal the new one."""
        return self._register.one(what, now, newest=True)

    # -- telling others

    def crl_pem(self, *, now: datetime.datetime | None = None) -> bytes:
        """The CRLs of all CAs that somebody may still need, as PEM, one after the other; never stale. Raises CrlStuck."""
        return b"".join(map(crl.pem, self.crls(now=now)))

    def crls(self, *, now: datetime.datetime | None = None) -> tuple[bytes, ...]:
        """The same as DER, the issuing CA's first. They are made anew after a revocation and at half their life."""
        return self.publishing.all(moment_of(now))

    def trust(self, *, now: datetime.datetime | None = None) -> Trust:
        """Whom an identity of this authority believes: its root (two, while it changes), with the current CRLs."""
        from twoway.trust import Trust  # it brings the TLS library, which issuing has no use for

        lists = tuple(x509.load_der_x509_crl(each) for each in self.crls(now=now))
        return Trust(self.cas.bundle.certificates, lists)

    def trust_bundle_pem(self) -> bytes:
        """The root, which whoever believes this authority has to have; both while it changes, the one that signs first."""
        return chain_pem(self.cas.bundle.certificates)

    def audit(self, *, after: int = 0, limit: int | None = None) -> Iterator[Row]:
        """The audit log from the row after `after` on, as it stands."""
        return auditing.rows(self.store, after=after, limit=limit)

    def verify_audit(self, expect: Head | None = None) -> AuditReport:
        """Check the whole audit log offline; see `auditing.verify`. Raises AuditBroken with the first bad row."""
        return auditing.verify(self.store, self.root_certificate, expect)

    @property
    def tokens(self) -> Tokens:
        """One-time tokens: made by whoever runs the authority, redeemed at its service."""
        from twoway.authority.tokens import Tokens  # its library takes long to import

        return Tokens(self.store, self.cas, self.rules)

    @property
    def rotating(self) -> Rotating:
        """The change of the issuing CA or of the root, in steps."""
        return Rotating(self.directory, self.store, self.cas, self.publishing, self.requested_by)

    @property
    def root_key(self) -> RootKey:
        """What is done with the root's key: take it offline, and use it again."""
        return RootKey(self.directory, self.store, self.cas, self.publishing, self.requested_by)
