"""Who signed: from certificates that came with a message to a Peer, or to the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from twoway.message.purpose import check_may_sign, role_of
from twoway.trust import Peer, Trust, verify
from twoway.trust.verification import Purpose


@dataclass(frozen=True, slots=True)
class Verified:
    """Content whose every signature holds, and who made them; None where the content was given apart."""

    content: bytes | None
    signers: tuple[Peer, ...]

    @property
    def signer(self) -> Peer:
        """The first of them, who is mostly the only one."""
        return self.signers[0]


def verified_signer(
    chain: Sequence[x509.Certificate],
    trust: Trust,
    *,
    purpose: Purpose | None = None,
    hostname: str | None = None,
    now: datetime | None = None,
) -> Peer:
    """Who a presented chain (leaf first) proves its holder to be, if it may sign messages.

    `purpose` is "client" or "server"; None takes what the certificate is for, of these two. Raises a
    PeerUntrusted, or KeyUsageForbids. Not checked here: any signature on a message.
    """
    verified = verify(chain, trust, purpose=purpose or role_of(chain[0]), hostname=hostname, now=now)
    check_may_sign(verified.leaf)
    return Peer.from_verified(verified)
