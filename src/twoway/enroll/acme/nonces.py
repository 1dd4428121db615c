"""Nonces: made by any copy of the service, good at every copy, each for one request (RFC 8555 §6.5).

A nonce is a time and random octets with a MAC under a key that all copies derive from the issuing CA's, so making one
costs no memory and no write. Used ones are remembered here, in a bounded set: when it is full, the oldest are
forgotten and whatever is as old as they is refused from then on. That stops a replay at the same copy. Requests that
change something spend their nonce in the store as well, in the very transaction of the change (`spending`): no copy
plays those again. What remains is that a request which only reads may be read again at another copy, by somebody who
could see it inside TLS, for as long as a nonce lives.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import delete

from twoway.authority import schema
from twoway.authority.cas import Cas
from twoway.authority.tokens import derived_key
from twoway.authority.transaction import Transaction
from twoway.enroll.acme import base64url
from twoway.enroll.acme.faults import BadNonce, Malformed

T = TypeVar("T")

LIFETIME = datetime.timedelta(hours=1)
AHEAD = datetime.timedelta(minutes=1)  # between the clocks of several copies
_TIME, _RANDOM, _MAC = 6, 12, 16


class Nonces:
    """Makes and takes the nonces of one copy. To be used from one thread."""

    def __init__(self, cas: Cas, *, remembered: int = 100_000) -> None:
        self._cas, self._room = cas, remembered
        self._keys: dict[str, bytes] = {}
        self._used: OrderedDict[str, int] = OrderedDict()
        self._forgotten_until = 0  # milliseconds since 1970

    def make(self, now: datetime.datetime) -> str:
        """A new one."""
        said = _milliseconds(now).to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
        return base64url.encode(said + self._mac(said))

    def check(self, nonce: str | None, now: datetime.datetime) -> None:
        """Raise BadNonce unless it was made here or by another copy, lately, and has not been used here."""
        if nonce is None:
            raise BadNonce("the request has no nonce")
        made = self._made(nonce)
        earliest = max(_milliseconds(now - LIFETIME), self._forgotten_until)
        if not earliest < made <= _milliseconds(now + AHEAD):
            raise BadNonce("the nonce is too old")
        if nonce in self._used:
            raise BadNonce("the nonce was used before")

    def use(self, nonce: str | None, now: datetime.datetime) -> str:
        """Take it, once. Raises BadNonce."""
        self.check(nonce, now)
        assert nonce is not None
        self._used[nonce] = self._made(nonce)
        while len(self._used) > self._room:
            _, made = self._used.popitem(last=False)
            self._forgotten_until = max(self._forgotten_until, made)
        return nonce

    def _made(self, nonce: str) -> int:
        try:
            octets = base64url.decode(nonce, "the nonce")
        except Malformed as failure:
            raise BadNonce("the nonce is none of this authority's") from failure
        said, mac = octets[: _TIME + _RANDOM], octets[_TIME + _RANDOM :]
        if len(octets) != _TIME + _RANDOM + _MAC or not hmac.compare_digest(mac, self._mac(said)):
            raise BadNonce("the nonce is none of this authority's")
        return int.from_bytes(said[:_TIME], "big")

    def _mac(self, said: bytes) -> bytes:
        ca = self._cas.issuing
        if ca.key_identifier not in self._keys:
            self._keys[ca.key_identifier] = derived_key(self._cas.signer(ca).key, "ACME nonces")
        return hmac.new(self._keys[ca.key_identifier], said, hashlib.sha256).digest()[:_MAC]


def spending(
    nonce: str, now: datetime.datetime, work: Callable[[Transaction], T]
) -> Callable[[Transaction], T]:
    """The same work, done only if no copy has done any for that nonce. Raises BadNonce from the work."""
    spend = spend_within(nonce, now)

    def once(transaction: Transaction) -> T:
        spend(transaction)
        return work(transaction)

    return once


def spend_within(nonce: str, now: datetime.datetime) -> Callable[[Transaction], None]:
    """The part of a transaction that spends the nonce; see `spending`."""
    table, moment = schema.acme_nonces, int(now.timestamp())

    def spend(transaction: Transaction) -> None:
        if transaction.ask("SELECT until FROM acme_nonces WHERE nonce = ?", nonce) is not None:
            raise BadNonce("the nonce was used before")
        if transaction.ask("SELECT until FROM acme_nonces WHERE until < ? LIMIT 1", moment) is not None:
            transaction.execute(delete(table).where(table.c.until < moment))
        until = int((now + LIFETIME + 2 * AHEAD).timestamp())
        transaction.add(table, nonce=nonce, until=until)

    return spend


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)
