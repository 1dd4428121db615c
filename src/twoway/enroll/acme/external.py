"""Keys for external account binding: who may have an account, and for which names (RFC 8555 §7.3.4).

The store has a row for each key and never the HMAC key itself: that is derived from the issuing CA's private key and
the row's identifier, so every copy can compute it and reading the database gives nobody an account.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select, update

from twoway.authority import Authority, schema
from twoway.authority.cas import Ca
from twoway.authority.profiles import NameRules
from twoway.authority.tokens import derived_key
from twoway.authority.transaction import Transaction
from twoway.enroll.acme import base64url, jws
from twoway.enroll.acme.faults import ExternalAccountRefused, Malformed
from twoway.enroll.acme.jwk import AccountKey
from twoway.enroll.acme.strict_json import load_object
from twoway.errors import UsageError

LIFETIME = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ExternalKey:
    """One key: `id` is what clients call the key identifier, `secret` the HMAC key, both as text."""

    id: str
    label: str
    names: NameRules | None
    """What the account may ask for; None is no limit besides the profile's."""
    not_after: datetime.datetime
    secret: str = field(default="", repr=False)


def make(
    authority: Authority,
    label: str,
    *,
    names: NameRules | None,
    lifetime: datetime.timedelta,
    now: datetime.datetime,
) -> ExternalKey:
    """A new key, for one account; it has to be bound within `lifetime`. It is told to the audit log.

    Raises UsageError, and why the issuing CA's key cannot be read.
    """
    if not label.strip() or not label.isprintable() or len(label) > 128:
        raise UsageError(f"{label!r} names nobody", "give a name of up to 128 characters that can be printed")
    if not datetime.timedelta() < lifetime <= datetime.timedelta(days=3650):
        raise UsageError(f"{lifetime} is no lifetime for a key", "give one of up to ten years, such as 30d")
    ca = authority.cas.issuing
    identifier, end = base64url.encode(secrets.token_bytes(16)), (now + lifetime).replace(microsecond=0)
    secret = _secret(authority, ca, identifier)
    while identifier.startswith("-") or base64url.encode(secret).startswith("-"):
        # Both are typed behind an option, and a client would take this one for the next option.
        identifier = base64url.encode(secrets.token_bytes(16))
        secret = _secret(authority, ca, identifier)

    def work(transaction: Transaction) -> None:
        transaction.add(
            schema.acme_external_keys,
            id=identifier,
            label=label,
            issuer=ca.key_identifier,
            names=None if names is None else names.model_dump_json(),
            made_at=int(now.timestamp()),
            not_after=int(end.timestamp()),
            account=None,
        )
        told = {} if names is None else {"names": names.model_dump(exclude_defaults=True)}
        transaction.record(
            "acme-key",
            identifier,
            actor=authority.requested_by,
            at=now,
            label=label,
            until=end.isoformat(),
            **told,
        )

    authority.store.write(work)
    return ExternalKey(identifier, label, names, end, base64url.encode(secret))


def check(
    authority: Authority, binding: object, key: AccountKey, url: str, now: datetime.datetime
) -> ExternalKey:
    """The key that an account's key is bound to. Blocks. Raises ExternalAccountRefused, Malformed, AlgorithmRefused.

    Not checked: whether it was bound already; that is `binding_within`, where it cannot change any more.
    """
    signed = jws.read_binding(binding)
    if signed.url != url:
        raise ExternalAccountRefused("the binding was made for another address")
    table = schema.acme_external_keys
    with authority.store.read() as connection:
        row = connection.execute(select(table).where(table.c.id == signed.kid)).first()
    ca = next((each for each in authority.cas.all if row and each.key_identifier == row.issuer), None)
    if row is None or ca is None or ca.revoked_at is not None:
        raise ExternalAccountRefused("no such key identifier")
    signed.verify_mac(_secret(authority, ca, row.id))
    # RFC 8555 §7.3.4: the payload is the account's key, the same as in the outer header.
    try:
        inner = AccountKey.read(load_object(signed.payload, "the binding's payload"))
    except Malformed as failure:
        raise ExternalAccountRefused(str(failure)) from failure
    if inner.thumbprint != key.thumbprint:
        raise ExternalAccountRefused("the binding is for another account key")
    if int(now.timestamp()) > row.not_after:
        raise ExternalAccountRefused("the time to bind that key is over")
    return ExternalKey(row.id, row.label, rules_of(row.names), _moment(row.not_after))


def binding_within(external: ExternalKey, account: str) -> Callable[[Transaction], None]:
    """The part of a transaction that binds the key to an account. Raises ExternalAccountRefused from it."""
    table = schema.acme_external_keys

    def bind(transaction: Transaction) -> None:
        bound = transaction.read(select(table.c.account).where(table.c.id == external.id)).scalar()
        if bound is not None:
            raise ExternalAccountRefused("that key is bound to an account already")
        transaction.execute(update(table).where(table.c.id == external.id).values(account=account))

    return bind


def rules_of(text: str | None) -> NameRules | None:
    """The names that are stored with a key or an account."""
    return None if text is None else NameRules.model_validate(json.loads(text))


def _secret(authority: Authority, ca: Ca, identifier: str) -> bytes:
    key = derived_key(authority.cas.signer(ca).key, "ACME external account binding")
    return hmac.new(key, identifier.encode(), hashlib.sha256).digest()


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
