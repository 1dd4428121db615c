"""A case: one side's chain before the other side's eyes, with everything else that is known about the two."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509

from twoway.credential import is_ca, is_self_issued
from twoway.doctor.material import Side, other
from twoway.doctor.paths import Path, climb


@dataclass(frozen=True)
class Case:
    """What `holder` presents, judged for the purpose of being that side.

    `anchors` is the judge's trust, None where it is not known: then the path is built with what the holder
    has, and nothing is said about trust. `accepted` are the names (DER) of the authorities that a judge of
    unknown trust says it accepts. `now` is the judge's clock.
    """

    holder: Side
    chain: tuple[x509.Certificate, ...]
    now: datetime
    anchors: tuple[x509.Certificate, ...] | None = None
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    hostname: str | None = None
    holder_now: datetime | None = None
    strict: bool = False
    accepted: tuple[bytes, ...] = ()
    holder_anchors: tuple[x509.Certificate, ...] = ()
    judge_chain: tuple[x509.Certificate, ...] = ()
    nearby: tuple[tuple[str, x509.Certificate], ...] = field(default=(), repr=False)
    chain_at: str = "the certificate"
    anchors_at: str = "the trust bundle"
    crls_at: str = "the revocation lists"

    @property
    def judge(self) -> Side:
        return other(self.holder)

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def wanted(self) -> str:
        """The extended key usage that the holder's certificate needs."""
        return {"client": "clientAuth", "server": "serverAuth"}[self.holder]

    @cached_property
    def path(self) -> Path:
        """As far as the judge can follow; without a known judge, as far as the holder's own files reach."""
        trusted = self.anchors if self.anchors is not None else self.holder_anchors
        return climb(self.leaf, self.chain[1:], trusted, self.now)

    @cached_property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        """What stands above the leaf in the path."""
        return self.path.certificates[1:]

    @property
    def usable_anchors(self) -> tuple[x509.Certificate, ...]:
        return tuple(anchor for anchor in self.anchors or () if is_ca(anchor))

    def is_anchor(self, certificate: x509.Certificate) -> bool:
        """Whether the fault of this certificate is one of the judge's trust file."""
        return certificate in (self.anchors or ()) and certificate not in self.chain

    def is_root(self, certificate: x509.Certificate) -> bool:
        return is_self_issued(certificate) and certificate != self.leaf
