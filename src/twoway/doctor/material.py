"""Material: what is known about one side, without a network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509

from twoway.credential import Credential, PrivateKey
from twoway.doctor.finding import Finding
from twoway.wire.handshake import CertificateRequest

Side = Literal["client", "server"]


def other(side: Side) -> Side:
    """The other one of the two."""
    return "server" if side == "client" else "client"


@dataclass(frozen=True, slots=True)
class Places:
    """What a person would call each part: the path of a file, or where else it came from."""

    chain: str = "the certificate file"
    key: str = "the key file"
    anchors: str = "the trust bundle"
    crls: str = "the revocation lists"


@dataclass(frozen=True, slots=True)
class Material:
    """What is known about one side: its identity, whom it trusts, and what it has seen of the other; frozen.

    `chain` is as the file has it. `anchors` is None where nothing is known of this side's trust, and empty
    where it is known to trust nobody. `hostname` is the name by which the server is called. `presented` is
    the chain that the other side showed, `request` the server's CertificateRequest. `now` is this side's
    clock (by default the clock of this machine), `other_now` the other side's, as an HTTP Date tells it.
    `strict` says that whoever judges this side's certificate is known to verify strictly. `nearby` are
    certificates that lie beside the identity; `faults` is what loading found.
    """

    side: Side
    chain: tuple[x509.Certificate, ...] = ()
    key: PrivateKey | None = field(default=None, repr=False)
    anchors: tuple[x509.Certificate, ...] | None = None
    crls: tuple[x509.CertificateRevocationList, ...] = field(default=(), repr=False)
    hostname: str | None = None
    presented: tuple[x509.Certificate, ...] = ()
    request: CertificateRequest | None = None
    now: datetime | None = None
    other_now: datetime | None = None
    strict: bool = False
    nearby: tuple[tuple[str, x509.Certificate], ...] = field(default=(), repr=False)
    faults: tuple[Finding, ...] = ()
    places: Places = Places()

    @classmethod
    def of(cls, side: Side, credential: Credential) -> Material:
        """What an identity in memory tells; more is added with `but`."""
        return cls(
            side,
            credential.chain,
            credential.private_key,
            credential.anchors or None,
            credential.crls,
        )

    def but(self, **changes: object) -> Material:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def clock(self) -> datetime:
        """This side's time, in UTC."""
        return (self.now or datetime.now(UTC)).astimezone(UTC)
