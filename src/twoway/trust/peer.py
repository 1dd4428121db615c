"""Peer: who the other side proved to be. Frozen, and made of a verified chain only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from twoway.credential import (
    attribute_of,
    common_name,
    describe,
    display_name,
    fingerprint_of,
    key_type_of,
    names_of,
)
from twoway.credential.remembered import remembered
from twoway.names import Names, spiffe_id
from twoway.trust.verification import Revoked, VerifiedChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who the other side proved to be, and over which connection; `Peer.from_verified` makes it.

    `subject` and `issuer` are for people (most specific part first); `serial` and `fingerprint` (SHA-256) are
    lower-case hexadecimal; `chain` runs from the leaf to the anchor; times are UTC. `revocation` is "good",
    "unchecked" (no list was configured, nobody asked) or "warned" (a list or an answer is missing or stale, and that was to
    be let pass).
    """

    subject: str
    common_name: str | None
    organizations: tuple[str, ...]
    organizational_units: tuple[str, ...]
    names: Names
    spiffe_id: str | None
    serial: str
    fingerprint: str
    issuer: str
    issuer_common_name: str | None
    not_before: datetime
    not_after: datetime
    key_type: str
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    revocation: Revoked
    tls_version: str | None = None
    cipher: str | None = None
    group: str | None = None
    resumed: bool = False
    alpn: str | None = None
    address: str | None = None
    verified: VerifiedChain = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.verified, VerifiedChain):
            raise TypeError("a Peer is made by a handshake (Peer.from_verified), never by hand")

    @classmethod
    def from_verified(
        cls,
        verified: VerifiedChain,
        *,
        tls_version: str | None = None,
        cipher: str | None = None,
        group: str | None = None,
        resumed: bool = False,
        alpn: str | None = None,
        address: str | None = None,
    ) -> Peer:
        """The peer that a verified chain speaks for, with the facts of its connection."""
        facts = _facts_of(verified.leaf)
        return cls(
            subject=facts.subject,
            common_name=facts.common_name,
            organizations=facts.organizations,
            organizational_units=facts.organizational_units,
            names=facts.names,
            spiffe_id=facts.spiffe_id,
            serial=facts.serial,
            fingerprint=facts.fingerprint,
            issuer=facts.issuer,
            issuer_common_name=facts.issuer_common_name,
            not_before=facts.not_before,
            not_after=facts.not_after,
            key_type=facts.key_type,
            chain=verified.certificates,
            revocation=verified.revocation,
            tls_version=tls_version,
            cipher=cipher,
            group=group,
            resumed=resumed,
            alpn=alpn,
            address=address,
            verified=verified,
        )

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]

    def describe(self) -> str:
        """What a log line calls this peer: its SPIFFE ID, else its common name or first name."""
        return self.spiffe_id or describe(self.chain[0])

    def as_dict(self) -> dict[str, object]:
        """All facts, ready for JSON; the chain as subjects."""
        return {
            "subject": self.subject,
            "common_name": self.common_name,
            "names": self.names.as_dict(),
            "spiffe_id": self.spiffe_id,
            "serial": self.serial,
            "fingerprint": self.fingerprint,
            "issuer": self.issuer,
            "not_before": self.not_before.isoformat(),
            "not_after": self.not_after.isoformat(),
            "key_type": self.key_type,
            "chain": [display_name(certificate.subject) for certificate in self.chain],
            "revocation": self.revocation,
            "tls_version": self.tls_version,
            "cipher": self.cipher,
            "group": self.group,
            "resumed": self.resumed,
            "alpn": self.alpn,
            "address": self.address,
        }


class _Facts(NamedTuple):
    subject: str
    common_name: str | None
    organizations: tuple[str, ...]
    organizational_units: tuple[str, ...]
    names: Names
    spiffe_id: str | None
    serial: str
    fingerprint: str
    issuer: str
    issuer_common_name: str | None
    not_before: datetime
    not_after: datetime
    key_type: str


@remembered(1024)
def _facts_of(leaf: x509.Certificate) -> _Facts:
    """What a certificate says, read once."""
    names = names_of(leaf)
    return _Facts(
        subject=display_name(leaf.subject),
        common_name=common_name(leaf.subject),
        organizations=attribute_of(leaf.subject, NameOID.ORGANIZATION_NAME),
        organizational_units=attribute_of(leaf.subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        names=names,
        spiffe_id=spiffe_id(names.uri),
        serial=f"{leaf.serial_number:x}",
        fingerprint=fingerprint_of(leaf),
        issuer=display_name(leaf.issuer),
        issuer_common_name=common_name(leaf.issuer),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        key_type=key_type_of(leaf.public_key()),
    )
