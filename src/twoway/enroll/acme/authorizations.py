"""Authorizations and their challenges: one name that one account has to prove (RFC 8555 §7.1.4, §8)."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema
from twoway.authority.transaction import Transaction
from twoway.enroll.acme import base64url
from twoway.enroll.acme.accounts import Account, check_open, identifier
from twoway.enroll.acme.faults import Missing, NotTheirs
from twoway.enroll.acme.identifiers import Identifier
from twoway.enroll.acme.states import AUTHORIZATION, CHALLENGE, ORDER, NotNow, after, seen

_AUTHORIZATIONS, _CHALLENGES, _ORDERS = (
    schema.acme_authorizations,
    schema.acme_challenges,
    schema.acme_orders,
)
AGAIN_SECONDS = 60
"""After so long a proof that is still being looked for is looked for again: whoever did it may have died."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove a name."""

    id: str
    authorization: str
    type: str
    token: str
    status: str
    begun_at: int | None
    validated_at: int | None
    error: Mapping[str, object] | None

    def has_stalled(self, moment: int) -> bool:
        return self.status == "processing" and moment - (self.begun_at or 0) > AGAIN_SECONDS


@dataclass(frozen=True, slots=True)
class Authorization:
    """The right of an account to one name, within one order. `status` is as of the moment that it was read for."""

    id: str
    order: str
    account: str
    identifier: Identifier
    """Without the `*.` of a wildcard."""
    wildcard: bool
    status: str
    expires: int
    challenges: tuple[Challenge, ...]


def adding(
    transaction: Transaction, order: str, account: Account, wanted: Iterable[Identifier], expires: int
) -> None:
    """Add the authorizations of a new order, with the challenges that each kind of name can be proven by."""
    for each in wanted:
        made = identifier()
        transaction.add(
            _AUTHORIZATIONS,
            id=made,
            for_order=order,
            account=account.id,
            kind=each.kind,
            value=each.value.removeprefix("*."),
            wildcard=each.is_wildcard,
            status="pending",
            expires=expires,
        )
        for kind in challenges_for(each):
            transaction.add(
                _CHALLENGES,
                id=identifier(),
                authorization=made,
                type=kind,
                token=base64url.encode(secrets.token_bytes(32)),  # RFC 8555 §11.3: at least 128 bits
                status="pending",
                begun_at=None,
                validated_at=None,
                error=None,
            )


def challenges_for(wanted: Identifier) -> tuple[str, ...]:
    """How a name can be proven: a wildcard by DNS alone, an address (RFC 8738 §7) by anything but DNS."""
    if wanted.is_wildcard:
        return ("dns-01",)
    if wanted.kind == "ip":
        return ("http-01", "tls-alpn-01")
    return ("http-01", "dns-01", "tls-alpn-01")


def by_id(connection: Connection, authorization: str, account: Account, moment: int) -> Authorization:
    """Raises Missing, and NotTheirs for one of another account."""
    row = connection.execute(select(_AUTHORIZATIONS).where(_AUTHORIZATIONS.c.id == authorization)).first()
    if row is None:
        raise Missing("there is no such authorization")
    if row.account != account.id:
        raise NotTheirs("the authorization belongs to another account")
    query = select(_CHALLENGES).where(_CHALLENGES.c.authorization == authorization)
    order = ("http-01", "dns-01", "tls-alpn-01")
    found = sorted(map(_challenge, connection.execute(query)), key=lambda each: order.index(each.type))
    return Authorization(
        row.id,
        row.for_order,
        row.account,
        Identifier(row.kind, row.value),
        bool(row.wildcard),
        seen(AUTHORIZATION, row.status, row.expires, moment),
        row.expires,
        tuple(found),
    )


def by_challenge(
    connection: Connection, challenge: str, account: Account, moment: int
) -> tuple[Challenge, Authorization]:
    """A challenge and what it belongs to. Raises Missing, and NotTheirs for one of another account."""
    query = select(_CHALLENGES.c.authorization).where(_CHALLENGES.c.id == challenge)
    authorization = connection.execute(query).scalar()
    if authorization is None:
        raise Missing("there is no such challenge")
    found = by_id(connection, authorization, account, moment)
    return next(each for each in found.challenges if each.id == challenge), found


def of_order(connection: Connection, order: str) -> tuple[str, ...]:
    """The identifiers of an order's authorizations."""
    query = select(_AUTHORIZATIONS.c.id).where(_AUTHORIZATIONS.c.for_order == order)
    return tuple(connection.execute(query.order_by(_AUTHORIZATIONS.c.id)).scalars())


def beginning(
    challenge: Challenge, authorization: Authorization, now: datetime.datetime
) -> Callable[[Transaction], bool]:
    """The work with which a proof begins to be looked for; False where somebody does already, or has."""

    def work(transaction: Transaction) -> bool:
        check_open(transaction, authorization.account)
        moment = int(now.timestamp())
        found = transaction.read(
            select(_AUTHORIZATIONS).where(_AUTHORIZATIONS.c.id == authorization.id)
        ).one()
        state = seen(AUTHORIZATION, found.status, found.expires, moment)
        latest = _challenge(
            transaction.read(select(_CHALLENGES).where(_CHALLENGES.c.id == challenge.id)).one()
        )
        if latest.status in ("valid", "invalid") or (
            latest.status == "processing" and not latest.has_stalled(moment)
        ):
            return False
        if state != "pending":
            raise NotNow(f"the authorization is {state}, and only a pending one is proven")
        _change(transaction, challenge.id, status=after(CHALLENGE, latest.status, "begun"), begun_at=moment)
        return True

    return work


def concluding(
    challenge: Challenge,
    authorization: Authorization,
    error: Mapping[str, object] | None,
    now: datetime.datetime,
    how: str,
) -> Callable[[Transaction], bool]:
    """The work that writes down whether the proof was there; False where that was decided meanwhile.

    Challenge, authorization and order change together. What was deactivated or expired meanwhile stays so.
    """
    event = "proven" if error is None else "failed"

    def work(transaction: Transaction) -> bool:
        moment = int(now.timestamp())
        latest = _challenge(
            transaction.read(select(_CHALLENGES).where(_CHALLENGES.c.id == challenge.id)).one()
        )
        if latest.status != "processing":
            return False
        _change(
            transaction,
            challenge.id,
            status=after(CHALLENGE, latest.status, event),
            validated_at=moment if error is None else None,
            error=None if error is None else json.dumps(error),
        )
        found = transaction.read(
            select(_AUTHORIZATIONS).where(_AUTHORIZATIONS.c.id == authorization.id)
        ).one()
        open_account = transaction.ask("SELECT status FROM acme_accounts WHERE id = ?", found.account)
        if seen(AUTHORIZATION, found.status, found.expires, moment) != "pending" or open_account != (
            "valid",
        ):
            return True
        _set(transaction, authorization.id, after(AUTHORIZATION, found.status, event))
        _follow(transaction, authorization.order, moment, error)
        if error is None:
            named = ("*." if found.wildcard else "") + found.value
            transaction.record(
                "acme-proof",
                authorization.id,
                actor=f"acme:{found.account}",
                at=now,
                name=f"{found.kind}:{named}",
                by=challenge.type,
                seen=how,
            )
        return True

    return work


def deactivating(authorization: Authorization, now: datetime.datetime) -> Callable[[Transaction], None]:
    """The work with which an account gives up a name (RFC 8555 §7.5.2); an order that needs it is invalid."""

    def work(transaction: Transaction) -> None:
        check_open(transaction, authorization.account)
        moment = int(now.timestamp())
        found = transaction.read(
            select(_AUTHORIZATIONS).where(_AUTHORIZATIONS.c.id == authorization.id)
        ).one()
        state = seen(AUTHORIZATION, found.status, found.expires, moment)
        _set(transaction, authorization.id, after(AUTHORIZATION, state, "deactivated"))
        _follow(transaction, authorization.order, moment, None)

    return work


def _follow(transaction: Transaction, order: str, moment: int, error: Mapping[str, object] | None) -> None:
    """What an order becomes by what its authorizations have become."""
    found = transaction.read(select(_ORDERS).where(_ORDERS.c.id == order)).one()
    state = seen(ORDER, found.status, found.expires, moment)
    if state not in ("pending", "ready"):
        return
    query = select(_AUTHORIZATIONS.c.status).where(_AUTHORIZATIONS.c.for_order == order)
    states = set(transaction.read(query).scalars())
    values: dict[str, object] = {}
    if states == {"valid"}:
        values = {"status": after(ORDER, state, "all authorized")}
    elif states - {"valid", "pending"}:
        values = {"status": after(ORDER, state, "an authorization ended")}
        if error is not None:
            values["error"] = json.dumps(error)
    if values:
        transaction.execute(update(_ORDERS).where(_ORDERS.c.id == order).values(**values))


def _set(transaction: Transaction, authorization: str, status: str) -> None:
    changed = update(_AUTHORIZATIONS).where(_AUTHORIZATIONS.c.id == authorization)
    transaction.execute(changed.values(status=status))


def _change(transaction: Transaction, challenge: str, **values: object) -> None:
    transaction.execute(update(_CHALLENGES).where(_CHALLENGES.c.id == challenge).values(**values))


def _challenge(row: Row[Any]) -> Challenge:
    error = None if row.error is None else json.loads(row.error)
    return Challenge(
        row.id, row.authorization, row.type, row.token, row.status, row.begun_at, row.validated_at, error
    )
