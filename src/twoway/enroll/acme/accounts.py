"""Accounts: a key, who may be written to, and what may be asked for (RFC 8555 §7.3)."""

from __future__ import annotations

import datetime
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema
from twoway.authority.profiles import NameRules
from twoway.authority.transaction import Transaction
from twoway.enroll.acme import base64url
from twoway.enroll.acme.external import ExternalKey, binding_within, rules_of
from twoway.enroll.acme.faults import (
    AccountClosed,
    AccountUnknown,
    ContactInvalid,
    ContactUnsupported,
    KeyTaken,
    Malformed,
)
from twoway.enroll.acme.jwk import AccountKey, remembered
from twoway.enroll.acme.states import ACCOUNT, after

MAX_CONTACTS = 10
_TABLE = schema.acme_accounts
# Without "hfields" and with one address only (RFC 8555 §7.3).
_MAILTO = re.compile(r"mailto:[^\s@,?]{1,64}@[A-Za-z0-9.-]{1,255}")


@dataclass(frozen=True, slots=True)
class Account:
    """One account, as the store has it."""

    id: str
    key: AccountKey
    status: str
    contact: tuple[str, ...]
    external_key: str | None
    names: NameRules | None
    """What it may ask for; None is no limit besides the profile's."""

    @property
    def actor(self) -> str:
        """Who it is in the audit log."""
        return f"acme:{self.id}"


def identifier() -> str:
    """A new name for a resource: 128 random bits, so that nobody comes across those of others."""
    return base64url.encode(secrets.token_bytes(16))


def by_id(connection: Connection, account: str) -> Account:
    """Raises AccountUnknown."""
    return _one(connection.execute(select(_TABLE).where(_TABLE.c.id == account)).first())


def by_key(connection: Connection, key: AccountKey) -> Account | None:
    """The account of that key, in whatever state."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.thumbprint == key.thumbprint)).first()
    return None if row is None else _one(row)


def creating(
    key: AccountKey, contact: tuple[str, ...], external: ExternalKey | None, now: datetime.datetime
) -> Callable[[Transaction], tuple[Account, bool]]:
    """The work that makes the account of a key, or finds it: with whether it is new (RFC 8555 §7.3.1)."""
    bound, names = (None, None) if external is None else (external.id, external.names)
    made = Account(identifier(), key, "valid", contact, bound, names)

    def work(transaction: Transaction) -> tuple[Account, bool]:
        row = transaction.read(select(_TABLE).where(_TABLE.c.thumbprint == key.thumbprint)).first()
        if row is not None:
            return _one(row), False
        if external is not None:
            binding_within(external, made.id)(transaction)
        transaction.add(
            _TABLE,
            id=made.id,
            thumbprint=key.thumbprint,
            key=key.as_text(),
            status=made.status,
            contact=json.dumps(contact),
            external_key=made.external_key,
            names=None if made.names is None else made.names.model_dump_json(),
            created_at=int(now.timestamp()),
        )
        told = {"external_key": external.id, "label": external.label} if external else {}
        transaction.record(
            "acme-account",
            made.id,
            actor=made.actor,
            at=now,
            key=key.thumbprint,
            contact=list(contact),
            **told,
        )
        return made, True

    return work


def changing_contact(
    account: Account, contact: tuple[str, ...], now: datetime.datetime
) -> Callable[[Transaction], None]:
    """The work that gives an account other contacts."""

    def work(transaction: Transaction) -> None:
        check_open(transaction, account.id)
        _change(transaction, account, contact=json.dumps(contact))
        transaction.record("acme-contact", account.id, actor=account.actor, at=now, contact=list(contact))

    return work


def deactivating(account: Account, now: datetime.datetime) -> Callable[[Transaction], None]:
    """The work that ends an account; what it has ordered can never be finished (RFC 8555 §7.3.6)."""

    def work(transaction: Transaction) -> None:
        check_open(transaction, account.id)
        _change(transaction, account, status=after(ACCOUNT, account.status, "deactivated by its owner"))
        transaction.record("acme-deactivate", account.id, actor=account.actor, at=now)

    return work


def changing_key(
    account: Account, key: AccountKey, location: Callable[[str], str], now: datetime.datetime
) -> Callable[[Transaction], None]:
    """The work that gives an account another key (RFC 8555 §7.3.5). Raises KeyTaken from it.

    `location` makes the address of the account that has the key already.
    """

    def work(transaction: Transaction) -> None:
        check_open(transaction, account.id)
        now_has = transaction.read(select(_TABLE.c.thumbprint).where(_TABLE.c.id == account.id)).scalar()
        if now_has != account.key.thumbprint:
            raise Malformed("the account's key was changed meanwhile")
        other = transaction.read(select(_TABLE.c.id).where(_TABLE.c.thumbprint == key.thumbprint)).scalar()
        if other is not None:
            raise KeyTaken("an account has that key already", location(other))
        _change(transaction, account, thumbprint=key.thumbprint, key=key.as_text())
        transaction.record(
            "acme-key-change",
            account.id,
            actor=account.actor,
            at=now,
            old=account.key.thumbprint,
            new=key.thumbprint,
        )

    return work


def check_open(transaction: Transaction, account: str) -> None:
    """Raise AccountClosed if it was deactivated since its request was admitted."""
    found = transaction.ask("SELECT status FROM acme_accounts WHERE id = ?", account)
    if found != ("valid",):
        raise AccountClosed("the account is deactivated")


def read_contact(asked: object) -> tuple[str, ...]:
    """The contacts of a newAccount or an update. Raises Malformed, ContactUnsupported and ContactInvalid."""
    if not isinstance(asked, list) or len(asked) > MAX_CONTACTS:
        raise Malformed(f"expected a list of at most {MAX_CONTACTS} contacts")
    for each in asked:
        if not isinstance(each, str):
            raise Malformed("a contact is text")
        if not each.lower().startswith("mailto:"):
            raise ContactUnsupported(
                f"expected a mailto: address, got one of {each.partition(':')[0][:20]!r}"
            )
        if not _MAILTO.fullmatch(each):
            raise ContactInvalid("expected mailto: and one address without header fields")
    return tuple(asked)


def _change(transaction: Transaction, account: Account, **values: object) -> None:
    transaction.execute(update(_TABLE).where(_TABLE.c.id == account.id).values(**values))


def _one(row: Row[Any] | None) -> Account:
    if row is None:
        raise AccountUnknown("there is no such account")
    return Account(
        row.id,
        remembered(row.key),
        row.status,
        tuple(json.loads(row.contact)),
        row.external_key,
        rules_of(row.names),
    )
