"""OAuth certificate-bound access tokens (RFC 8705 §3): a token counts only from whom it was issued to.

check_bound(claims, peer)      # claims of a token that you have verified, or of its introspection
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes

from twoway.errors import PeerDenied
from twoway.trust import Peer


class TokenNotBound(PeerDenied):
    """An access token that does not belong to the certificate of this connection."""

    code = "token_not_bound"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the access token does not count on this connection: {self.problem}"

    @property
    def remedy(self) -> str:
        return "get a token with the certificate that you call with (RFC 8705); after a renewal, a new one"


def thumbprint(peer: Peer) -> str:
    """The `x5t#S256` of a peer's certificate: base64url of the SHA-256 of its DER, without padding (RFC 8705 §3.1)."""
    return base64.urlsafe_b64encode(peer.leaf.fingerprint(hashes.SHA256())).rstrip(b"=").decode("ascii")


def check_bound(claims: Mapping[str, object], peer: Peer | None) -> None:
    """The token is bound to this peer's certificate by `cnf.x5t#S256`; raises TokenNotBound.

    A token without a binding is refused, too. Not checked: the token itself; `claims` are those of one that was.
    """
    confirmation = claims.get("cnf")
    said = confirmation.get("x5t#S256") if isinstance(confirmation, Mapping) else None
    if not isinstance(said, str):
        raise TokenNotBound("it is bound to no certificate (it has no cnf with x5t#S256)")
    if peer is None:
        raise TokenNotBound("it is bound to a certificate, and the caller has shown none")
    expected = thumbprint(peer)
    if not hmac.compare_digest(said.encode("utf-8", "replace"), expected.encode()):
        raise TokenNotBound(f"it is bound to another certificate than the one shown, x5t#S256 {expected}")
