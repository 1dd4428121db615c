"""Orders: the names that an account wants in one certificate, from the wish to the certificate (RFC 8555 §7.1.3)."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema
from twoway.authority.transaction import Transaction
from twoway.enroll.acme import authorizations, identifiers
from twoway.enroll.acme.accounts import Account, check_open, identifier
from twoway.enroll.acme.faults import (
    AlreadyReplaced,
    Malformed,
    Missing,
    NotTheirs,
    OrderNotReady,
    RateLimited,
)
from twoway.enroll.acme.identifiers import Identifier
from twoway.enroll.acme.states import ORDER, after, seen

PAGE = 100
_TABLE = schema.acme_orders
_WAITING = ("pending", "ready")


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `status` is as of the moment that it was read for."""

    id: str
    account: str
    status: str
    expires: int
    identifiers: tuple[Identifier, ...]
    profile: str
    replaces: str | None
    serial: str | None
    """Of the certificate, once it is valid."""
    error: Mapping[str, object] | None
    authorizations: tuple[str, ...]


def by_id(connection: Connection, order: str, account: Account, moment: int) -> Order:
    """Raises Missing, and NotTheirs for one of another account."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == order)).first()
    if row is None:
        raise Missing("there is no such order")
    return _owned(connection, row, account, moment, "order")


def by_serial(connection: Connection, serial: str, account: Account, moment: int) -> Order:
    """The order that a certificate came from. Raises Missing, and NotTheirs for one of another account."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.serial == serial)).first()
    if row is None:
        raise Missing("there is no such certificate")
    return _owned(connection, row, account, moment, "certificate")


def listed(connection: Connection, account: Account, moment: int, after_id: str | None) -> tuple[str, ...]:
    """The account's orders that are not over, newest first: a page, after the order `after_id` (RFC 8555 §7.1.2.1)."""
    columns = _TABLE.c
    query = select(columns.id).where(
        columns.account == account.id,
        columns.status != "invalid",
        or_(columns.status == "valid", columns.expires >= moment),
    )
    if after_id is not None:
        last = connection.execute(
            select(columns.created_at).where(columns.id == after_id, columns.account == account.id)
        ).scalar()
        if last is None:
            raise Missing("there is no such page")
        older = and_(columns.created_at == last, columns.id > after_id)
        query = query.where(or_(columns.created_at < last, older))
    return tuple(
        connection.execute(query.order_by(columns.created_at.desc(), columns.id).limit(PAGE)).scalars()
    )


def creating(
    account: Account,
    wanted: Sequence[Identifier],
    profile: str,
    replaces: str | None,
    *,
    expires: datetime.datetime,
    most: int,
    now: datetime.datetime,
) -> Callable[[Transaction], str]:
    """The work that makes an order with its authorizations; gives its identifier.

    Raises from it AccountClosed, RateLimited when `most` of the account's orders wait already, and for `replaces`
    Malformed, NotTheirs and AlreadyReplaced.
    """

    def work(transaction: Transaction) -> str:
        moment, end = int(now.timestamp()), int(expires.timestamp())
        check_open(transaction, account.id)
        _check_room(transaction, account, most, moment)
        if replaces is not None:
            _check_replaces(transaction, account, replaces, wanted, moment)
        made = identifier()
        transaction.add(
            _TABLE,
            id=made,
            account=account.id,
            status="pending",
            expires=end,
            identifiers=identifiers.as_text(wanted),
            profile=profile,
            created_at=moment,
            replaces=replaces,
            serial=None,
            error=None,
        )
        authorizations.adding(transaction, made, account, wanted, end)
        names = [f"{each.kind}:{each.value}" for each in wanted]
        told = {"replaces": replaces} if replaces else {}
        transaction.record(
            "acme-order", made, actor=account.actor, at=now, profile=profile, names=names, **told
        )
        return made

    return work


def check_ready(order: Order) -> None:
    """Raise OrderNotReady for an order that cannot be finalized as it is."""
    if order.status != "ready":
        raise OrderNotReady(f"expected an order that is ready, and this one is {order.status}")


def issuing_within(order: Order, now: datetime.datetime) -> Callable[[Transaction, str], None]:
    """The part of an issuing transaction that makes the order valid: see Guard.within. Raises OrderNotReady from it.

    However often an order is finalized at once, and at however many copies, one certificate comes of it.
    """

    def within(transaction: Transaction, serial: str) -> None:
        check_open(transaction, order.account)
        row = transaction.read(select(_TABLE).where(_TABLE.c.id == order.id)).one()
        state = seen(ORDER, row.status, row.expires, int(now.timestamp()))
        if state != "ready":
            raise OrderNotReady(f"expected an order that is ready, and this one is {state}")
        values = {"status": after(ORDER, state, "issued"), "serial": serial}
        transaction.execute(update(_TABLE).where(_TABLE.c.id == order.id).values(**values))

    return within


def has_proven(connection: Connection, account: Account, names: Sequence[Identifier], moment: int) -> bool:
    """Whether the account has authorizations that hold for all of these names (RFC 8555 §7.6)."""
    table = schema.acme_authorizations.c
    for each in names:
        query = select(table.id).where(
            table.account == account.id,
            table.value == each.value.removeprefix("*."),
            table.kind == each.kind,
            table.wildcard == each.is_wildcard,
            table.status == "valid",
            table.expires >= moment,
        )
        if connection.execute(query).first() is None:
            return False
    return bool(names)


def _check_room(transaction: Transaction, account: Account, most: int, moment: int) -> None:
    columns = _TABLE.c
    query = select(func.count().label("waiting"), func.min(columns.expires).label("first_end")).where(
        columns.account == account.id, columns.status.in_(_WAITING), columns.expires >= moment
    )
    row = transaction.read(query).one()
    waiting, first_end = row.waiting, row.first_end
    if waiting >= most:
        raise RateLimited(
            f"orders of this account that wait: {waiting}", max(1, min(3600, first_end - moment))
        )


def _check_replaces(
    transaction: Transaction, account: Account, serial: str, wanted: Sequence[Identifier], moment: int
) -> None:
    row = transaction.read(select(_TABLE).where(_TABLE.c.serial == serial)).first()
    if row is None:
        raise Malformed("no order had the certificate that is to be replaced")
    if row.account != account.id:
        raise NotTheirs("the certificate that is to be replaced belongs to another account")
    if not set(identifiers.stored(row.identifiers)) & set(wanted):
        raise Malformed("the certificate that is to be replaced has none of these names")
    columns = _TABLE.c
    query = select(columns.id).where(
        columns.replaces == serial,
        or_(columns.status == "valid", and_(columns.status.in_(_WAITING), columns.expires >= moment)),
    )
    if transaction.read(query).first() is not None:
        raise AlreadyReplaced("another order replaces that certificate")


def _owned(connection: Connection, row: Row[Any], account: Account, moment: int, what: str) -> Order:
    if row.account != account.id:
        raise NotTheirs(f"the {what} belongs to another account")
    return Order(
        row.id,
        row.account,
        seen(ORDER, row.status, row.expires, moment),
        row.expires,
        identifiers.stored(row.identifiers),
        row.profile,
        row.replaces,
        row.serial,
        None if row.error is None else json.loads(row.error),
        authorizations.of_order(connection, row.id),
    )
