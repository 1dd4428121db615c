"""Credential: what one side presents, a private key and its chain, and whom it trusts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twoway.credential import pem
from twoway.credential.bundle import Compat, read_pkcs12, write_pkcs12
from twoway.credential.certificates import (
    certificates_from_pem,
    chain_pem,
    crls_from_pem,
    describe,
    fingerprint_of,
    names_of,
)
from twoway.credential.chain import is_self_issued, presented
from twoway.credential.faults import (
    CredentialError,
    CredentialExpired,
    CredentialNotYetValid,
    FileMissing,
    FileUnwritable,
    KeyMismatch,
    Swapped,
)
from twoway.credential.files import MAX_FILE, read, read_private, write_private, write_public
from twoway.credential.keys import Passphrase, PrivateKey, key_type_of, load_private_key, private_key_pem
from twoway.errors import UsageError
from twoway.names import Names

CERTIFICATE, KEY, ANCHORS, CRLS = "cert.pem", "key.pem", "ca.pem", "crl.pem"
_MAX_SIBLINGS = 50
_MAX_CRL_FILE = pem.MAX_BYTES


@dataclass(frozen=True, eq=False)
class Credential:
    """A private key, the chain that speaks for it (leaf first, no root), and whom this identity trusts.

    The key belongs to the leaf, and the chain is in order: the constructor checks both. Dates are checked
    by `load` and the `from_…` functions, not here. Not checked anywhere: whether an authority that somebody
    trusts has issued it.
    """

    private_key: PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.chain:
            raise UsageError("a credential needs at least its leaf certificate", "pass chain=(leaf, …)")
        object.__setattr__(self, "chain", presented(tuple(self.chain)))
        if not belongs(self.private_key, self.leaf):
            raise KeyMismatch("memory", describe(self.leaf))

    # -- facts ---------------------------------------------------------------------------------------

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def names(self) -> Names:
        return names_of(self.leaf)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.leaf)

    @property
    def not_before(self) -> datetime:
        return self.leaf.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.leaf.not_valid_after_utc

    @property
    def key_type(self) -> str:
        return key_type_of(self.private_key)

    def describe(self) -> str:
        """What log lines call this identity."""
        return describe(self.leaf)

    def __repr__(self) -> str:
        return f"<Credential {self.describe()} ({self.key_type}), until {self.not_after:%Y-%m-%d %H:%M} UTC>"

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a credential is not pickled: its private key would leave this process",
            "pass the path of the identity directory, or key_pem() where you mean it",
        )

    # -- reading -------------------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        passphrase: Passphrase = None,
        now: datetime | None = None,
        allow_expired: bool = False,
    ) -> Credential:
        """Load an identity directory (`cert.pem`, `key.pem`, `ca.pem`, `crl.pem` if there) or a PKCS#12 file.

        Raises a CredentialError that says which file, what was expected and what is there.
        """
        path = Path(path)
        if path.is_file():
            data = read(path)
            return cls.from_pkcs12(data, passphrase, where=str(path), now=now, allow_expired=allow_expired)
        if not path.is_dir():
            raise FileMissing(str(path))
        anchors = path / ANCHORS
        crls = path / CRLS
        return cls.from_files(
            path / CERTIFICATE,
            path / KEY,
            anchors if anchors.exists() else None,
            crl=crls if crls.exists() else None,
            passphrase=passphrase,
            now=now,
            allow_expired=allow_expired,
        )

    @classmethod
    def from_files(
        cls,
        cert: str | Path,
        key: str | Path,
        ca: str | Path | None = None,
        *,
        crl: str | Path | None = None,
        passphrase: Passphrase = None,
        now: datetime | None = None,
        allow_expired: bool = False,
    ) -> Credential:
        """Load from PEM files; raises as `load`. A key that does not fit names the file that would."""
        try:
            return cls.from_pem(
                read(cert),
                read_private(key),
                read(ca) if ca else None,
                crl=read(crl, limit=_MAX_CRL_FILE) if crl else None,
                passphrase=passphrase,
                now=now,
                allow_expired=allow_expired,
                where=(str(cert), str(key), str(ca), str(crl)),
            )
        except KeyMismatch as fault:
            raise KeyMismatch(str(key), fault.subject, _that_match(Path(cert), Path(key))) from None

    @classmethod
    def from_pem(
        cls,
        cert: bytes,
        key: bytes,
        ca: bytes | None = None,
        *,
        crl: bytes | None = None,
        passphrase: Passphrase = None,
        now: datetime | None = None,
        allow_expired: bool = False,
        where: tuple[str, str, str, str] = ("certificate", "private key", "trust bundle", "revocation list"),
    ) -> Credential:
        """Make a credential from PEM in memory; raises as `load`."""
        cert_at, key_at, ca_at, crl_at = where
        _check_not_swapped(cert, key, cert_at, key_at)
        certificates = certificates_from_pem(cert, where=cert_at)
        private_key = load_private_key(key, passphrase, where=key_at)
        anchors = certificates_from_pem(ca, where=ca_at) if ca is not None else ()
        crls = crls_from_pem(crl, where=crl_at) if crl is not None else ()
        chain = presented(certificates, where=cert_at)
        if not belongs(private_key, chain[0]):
            raise KeyMismatch(key_at, describe(chain[0]))
        return cls(private_key, chain, anchors, crls)._in_time(cert_at, now, allow_expired)

    @classmethod
    def from_pkcs12(
        cls,
        data: bytes,
        passphrase: Passphrase,
        *,
        where: str = "memory",
        now: datetime | None = None,
        allow_expired: bool = False,
    ) -> Credential:
        """Make a credential from PKCS#12; a self-signed certificate at its end becomes the anchor."""
        key, certificates = read_pkcs12(data, passphrase, where=where)
        chain = presented(certificates, where=where)
        if not belongs(key, chain[0]):
            raise KeyMismatch(where, describe(chain[0]))
        return cls(key, chain, certificates[len(chain) :])._in_time(where, now, allow_expired)

    def _in_time(self, where: str, now: datetime | None, allow_expired: bool) -> Credential:
        now = now or datetime.now(UTC)
        if now > self.not_after and not allow_expired:
            raise CredentialExpired(where, self.describe(), self.not_after, now)
        if now < self.not_before:
            raise CredentialNotYetValid(where, self.describe(), self.not_before, now)
        return self

    # -- writing -------------------------------------------------------------------------------------

    def certificate_pem(self) -> bytes:
        """The chain as PEM, leaf first."""
        return chain_pem(self.chain)

    def key_pem(self, passphrase: Passphrase = None) -> bytes:
        """The private key as PKCS#8 PEM: a secret."""
        return private_key_pem(self.private_key, passphrase)

    def save(self, directory: str | Path, *, passphrase: Passphrase = None) -> Path:
        """Write an identity directory (made if need be, for its owner only) and return its path.

        Each file is replaced atomically, the key first: a reader between the two renames sees a pair that
        does not match and tries again. Raises FileUnwritable.
        """
        directory = Path(directory)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FileUnwritable(str(directory), error.strerror or type(error).__name__) from None
        if self.anchors:
            write_public(directory / ANCHORS, chain_pem(self.anchors))
        if self.crls:
            write_public(directory / CRLS, b"".join(crl.public_bytes(Encoding.PEM) for crl in self.crls))
        write_private(directory / KEY, self.key_pem(passphrase))
        write_public(directory / CERTIFICATE, self.certificate_pem())
        return directory

    def to_pkcs12(
        self, passphrase: Passphrase, *, compat: Compat = "modern", friendly_name: str | None = None
    ) -> bytes:
        """The identity as one PKCS#12 file, with its root if it trusts that; `compat` as in `write_pkcs12`."""
        root = (
            each for each in self.anchors if each.subject == self.chain[-1].issuer and is_self_issued(each)
        )
        return write_pkcs12(
            self.private_key,
            (*self.chain, *root),
            passphrase,
            compat=compat,
            friendly_name=friendly_name or self.describe(),
        )


def belongs(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """Whether a private key is the one of a certificate."""
    return _spki(key.public_key()) == _spki(certificate.public_key())


def _spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]


def _check_not_swapped(cert: bytes, key: bytes, cert_at: str, key_at: str) -> None:
    def holds_key(data: bytes) -> bool:
        return b"PRIVATE KEY-----" in data

    def holds_certificate(data: bytes) -> bool:
        return b"CERTIFICATE-----" in data

    if holds_key(cert) and not holds_certificate(cert) and holds_certificate(key) and not holds_key(key):
        raise Swapped(cert_at, key_at)


def _that_match(cert: Path, key: Path) -> tuple[str, ...]:
    """Which files beside a mismatched pair would fit the other one of it; reads at most 50 small files."""
    found: list[str] = []
    try:
        leaf = certificates_from_pem(read(cert))[0]
        siblings = sorted({*cert.parent.iterdir(), *key.parent.iterdir()})[:_MAX_SIBLINGS]
    except (CredentialError, OSError):
        return ()
    for path in siblings:
        try:
            if path in (cert, key) or not path.is_file() or path.stat().st_size > MAX_FILE:
                continue
            if belongs(load_private_key(read(path), where=str(path)), leaf):
                found.append(str(path))
        except (CredentialError, OSError):
            continue  # no key, or it has just gone
    return tuple(found)
