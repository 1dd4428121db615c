"""Trust: whom we believe, and what must be known about revocation. Fails closed when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from twoway.credential import (
    FileMissing,
    certificates_from_pem,
    crls_from_pem,
    describe,
    display_name,
    is_ca,
    read,
)
from twoway.errors import UsageError
from twoway.trust.faults import AnchorNotAuthority, NoAnchors
from twoway.trust.revocation import CrlRule, CrlScope, Revocation
from twoway.trust.revocation_faults import RevocationUnknown

MAX_CRL_FILE = 64 * 1024 * 1024
_BUNDLE = "ca.pem"
_CRLS = "crl.pem"


@dataclass(frozen=True)
class Trust:
    """The authorities that are believed, with their revocation lists; immutable.

    `anchors` are roots or issuing CAs, at least one, every one a CA: anything else raises NoAnchors or
    AnchorNotAuthority. The system's roots are never added. Without any `crls` revocation is not checked, and
    a Peer says so; with one, every certificate below the anchor needs a current list of its issuer
    (`crl_scope="leaf"`: only the leaf), and a missing or stale one refuses, or only warns where
    `crl_rule="warn"`. `crl_expected` has revocation checked even while there is no list at all: each is missing.
    """

    anchors: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...] = field(default=(), repr=False)
    crl_rule: CrlRule = "refuse"
    crl_scope: CrlScope = "chain"
    crl_expected: bool = False
    revocation: Revocation | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "anchors", tuple(dict.fromkeys(self.anchors)))
        object.__setattr__(self, "crls", tuple(self.crls))
        if not self.anchors:
            raise NoAnchors
        for anchor in self.anchors:
            if not is_ca(anchor):
                raise AnchorNotAuthority(describe(anchor))
        if self.crl_rule not in ("refuse", "warn"):
            raise UsageError(f"no such rule for revocation lists: {self.crl_rule}", "choose refuse or warn")
        if self.crl_scope not in ("chain", "leaf"):
            raise UsageError(f"no such scope of revocation: {self.crl_scope}", "choose chain or leaf")
        if self.crls or self.crl_expected:
            object.__setattr__(self, "revocation", Revocation(self.crls, self.crl_rule, self.crl_scope))

    @classmethod
    def load(
        cls,
        path: str | Path | Sequence[str | Path],
        *,
        crls: str | Path | Sequence[str | Path] = (),
        crl_rule: CrlRule = "refuse",
        crl_scope: CrlScope = "chain",
        crl_expected: bool = False,
    ) -> Trust:
        """Load PEM bundles (or identity directories, whose ca.pem and crl.pem count) and revocation lists.

        Raises a CredentialError for a file that is missing, unreadable, empty or holds no certificate, and
        AnchorNotAuthority for one that holds a leaf.
        """
        anchors: list[x509.Certificate] = []
        lists = [Path(one) for one in _several(crls)]
        for one in _several(path):
            place = Path(one)
            if place.is_dir():
                beside = place / _CRLS
                if not lists and beside.exists():
                    lists.append(beside)
                place = place / _BUNDLE
            found = certificates_from_pem(read(place), where=str(place))
            for certificate in found:
                if not is_ca(certificate):
                    raise AnchorNotAuthority(describe(certificate), str(place))
            anchors.extend(found)
        return cls(tuple(anchors), load_crls(lists), crl_rule, crl_scope, crl_expected)

    @classmethod
    def from_pem(cls, anchors: bytes, *, crls: bytes | None = None, crl_rule: CrlRule = "refuse") -> Trust:
        """Make trust from PEM in memory; raises as `load`."""
        lists = crls_from_pem(crls) if crls else ()
        return cls(certificates_from_pem(anchors), lists, crl_rule)

    @property
    def names(self) -> tuple[x509.Name, ...]:
        """The anchors' subjects, as a server advertises them."""
        return tuple(dict.fromkeys(anchor.subject for anchor in self.anchors))

    @property
    def display_names(self) -> tuple[str, ...]:
        return tuple(display_name(name) for name in self.names)

    def check_revocation(
        self, chain: Sequence[x509.Certificate], now: datetime
    ) -> tuple[RevocationUnknown, ...]:
        """Judge a verified chain (leaf to anchor); raises CertificateRevoked or a RevocationUnknown."""
        return self.revocation.check(chain, now) if self.revocation is not None else ()

    @property
    def checks_revocation(self) -> bool:
        return self.revocation is not None


def load_crls(paths: Sequence[str | Path]) -> tuple[x509.CertificateRevocationList, ...]:
    """All revocation lists of some files (PEM or DER), in order; raises a CredentialError."""
    return tuple(
        crl for path in paths for crl in crls_from_pem(read(path, limit=MAX_CRL_FILE), where=str(path))
    )


def _several(paths: str | Path | Sequence[str | Path]) -> tuple[str | Path, ...]:
    if isinstance(paths, (str, Path)):
        return (paths,)
    if not isinstance(paths, Sequence):
        raise FileMissing(str(paths))
    return tuple(paths)
