"""Who calls: what was proven, by which credential, in the words of the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twoway.authority import Record
from twoway.authority.refusals import NotIssuedHere, TokenRefused
from twoway.enroll.access import Standing
from twoway.enroll.faults import CredentialRefused
from twoway.server import peer
from twoway.trust import Peer

if TYPE_CHECKING:
    from twoway.enroll.call import Call


@dataclass(frozen=True, slots=True)
class Caller:
    """One credential that was presented and holds; only an authenticator makes one."""

    standings: frozenset[Standing]
    name: str
    how: str
    """What proved it, in a few words: `certificate 3f2a…`, `token 9c…`."""
    record: Record | None = None
    """The certificate of this authority that was presented."""
    facts: Any = field(default=None, repr=False)
    """What the authenticator knows besides: the token, the account."""

    @property
    def actor(self) -> str:
        """Who and how, for the audit log."""
        return f"{self.name} ({self.how})"


NOBODY = Caller(frozenset({Standing.NOBODY}), "nobody", "no credential")

Authenticator = Callable[["Call"], Awaitable[Caller | None]]
"""Looks for one kind of credential in a call: who it proves, None where there is none of that kind.

Raises CredentialRefused for one that is there and does not hold.
"""


async def by_certificate(call: Call) -> Caller | None:
    """The client certificate of the connection.

    TLS has proven the key and the chain. Here it is recognised byte for byte as one that this authority issued, and
    the store is asked whether it is revoked: now, without waiting for the next CRL.
    """
    who = peer(call.request.scope)
    if who is None:
        return None
    return await identified(call, who)


async def identified(call: Call, who: Peer, by: str = "") -> Caller:
    """The caller that a verified peer is here: an identity, and whatever roles it has. Raises CredentialRefused."""
    service, now = call.service, call.now
    try:
        found = service.known.at_hand(who, now)
        if found is None:
            found = await service.run(lambda: service.known.look_up(who, now))
    except NotIssuedHere:
        raise CredentialRefused("certificate", f"this authority did not issue {who.fingerprint}") from None
    record, state = found
    if state != "valid" or service.is_issuer_revoked(record):
        told = state if state != "valid" else "issued by a CA that is revoked"
        raise CredentialRefused("certificate", f"{record.subject} ({record.serial}) is {told}")
    standings = frozenset({Standing.IDENTITY, *service.roles.of(who)})
    how = f"certificate {record.serial}" + (f" {by}" if by else "")
    return Caller(standings, record.common_name or str(record.names), how, record)


def token_for(audience: str) -> Authenticator:
    """The authenticator that looks for `Authorization: Bearer TOKEN` with a one-time token for this audience.

    A token for another audience, of another authority, or past its time is refused here. Whether it was redeemed
    already is asked in the issuing transaction: pass `service.tokens.redeeming(token, now)` as `Guard.within`.
    """

    async def by_token(call: Call) -> Caller | None:
        scheme, _, text = call.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            token = call.service.tokens.read(text.strip(), audience=audience, now=call.now)
        except TokenRefused as refused:
            raise CredentialRefused("token", refused.why) from refused
        name = token.common_name or str(token.names)
        return Caller(frozenset({Standing.TOKEN}), name, f"token {token.id}", facts=token)

    return by_token
