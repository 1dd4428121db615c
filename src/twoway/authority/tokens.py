"""One-time tokens: the right to one certificate of these names, carried by whoever has the token.

A token is a JWS (RFC 7515) in compact form, signed with HMAC-SHA-256 under a key that is derived from the issuing CA's
own (RFC 5869). So only who can issue can make one, every copy of a service can read it, nothing secret lies in the
store, and reading one costs microseconds whatever is sent. The CA's key itself never signs a token.
"""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy import delete, select

from twoway.authority import schema
from twoway.authority.cas import Ca, Cas
from twoway.authority.issuance import asked_names, parsed_names
from twoway.authority.profiles import Profiles
from twoway.authority.refusals import TokenLifetime, TokenRefused, TokenSpent
from twoway.authority.store import Store
from twoway.authority.transaction import Transaction
from twoway.credential import PrivateKey, fingerprint_of
from twoway.names import BadName, Names

MAX_TOKEN = 8192  # characters; a hundred names have room
LIFETIME = datetime.timedelta(hours=1)
MAX_LIFETIME = datetime.timedelta(days=30)
LEEWAY = datetime.timedelta(minutes=1)  # between the clocks of several copies

_TYPE, _ALGORITHM = "twoway-token+jws", "HS256"


@dataclass(frozen=True, slots=True)
class Token:
    """What a token is good for. `text` is the token itself: a secret."""

    id: str
    audience: str
    """The kind of endpoint that takes it: `enroll`, `est`."""
    root: str
    """The SHA-256 fingerprint of the authority's root."""
    profile: str
    common_name: str | None
    names: Names
    days: float | None
    """The life of the certificate; None leaves it to the profile."""
    not_after: datetime.datetime
    text: str = field(default="", repr=False)


class Tokens:
    """Makes, reads and redeems the tokens of one authority."""

    def __init__(self, store: Store, cas: Cas, profiles: Profiles) -> None:
        self._store, self._cas, self._profiles = store, cas, profiles
        self._keys: dict[str, OctKey] = {}

    def make(
        self,
        profile: str,
        name: str,
        *,
        actor: str,
        now: datetime.datetime,
        audience: str = "enroll",
        lifetime: datetime.timedelta = LIFETIME,
        days: float | None = None,
        **more: Iterable[str],
    ) -> Token:
        """A new token for a certificate as `Authority.issue` would make it (`dns`, `ip`, `uri`, `email` are `more`).

        It is told to the audit log. Whether the names may be certified is judged when it is redeemed. Raises
        TokenLifetime, ProfileUnknown, BadName, NameRefused, and why the issuing CA's key cannot be read.
        """
        rules = self._profiles[profile]
        common_name, names = asked_names(name, rules, self._cas.issuing.limits, **more)
        if not datetime.timedelta() < lifetime <= MAX_LIFETIME:
            raise TokenLifetime(lifetime, MAX_LIFETIME)
        ca = self._cas.issuing
        identifier, end = secrets.token_hex(16), (now + lifetime).replace(microsecond=0)
        root = fingerprint_of(self._cas.root.certificate)
        claims = {
            "iss": root,
            "aud": audience,
            "jti": identifier,
            "iat": int(now.timestamp()),
            "exp": int(end.timestamp()),
            "profile": profile,
            "cn": common_name,
            "names": {kind: values for kind, values in names.as_dict().items() if values},
            "days": days,
        }
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": ca.key_identifier}
        text = jws.serialize_compact(header, json.dumps(claims), self._key(ca), [_ALGORITHM])

        def work(transaction: Transaction) -> None:
            told = [f"{kind}:{value}" for kind, values in names.as_dict().items() for value in values]
            transaction.record(
                "token",
                identifier,
                actor=actor,
                at=now,
                audience=audience,
                profile=profile,
                common_name=common_name,
                names=told,
                until=end.isoformat(),
            )

        self._store.write(work)
        return Token(identifier, audience, root, profile, common_name, names, days, end, text)

    def read(self, text: str, *, audience: str, now: datetime.datetime) -> Token:
        """What a token says, if this authority made it for that audience and its time is not over.

        Raises TokenRefused. Not checked: whether it was redeemed; that is `redeeming`, where it cannot change any more.
        """
        claims = self._claims(text)
        try:
            token = Token(
                _text(claims["jti"]),
                _text(claims["aud"]),
                _text(claims["iss"]),
                _text(claims["profile"]),
                None if claims["cn"] is None else _text(claims["cn"]),
                parsed_names(claims["names"]),
                None if claims["days"] is None else float(claims["days"]),
                datetime.datetime.fromtimestamp(int(claims["exp"]), datetime.UTC),
                text,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, BadName) as failure:
            raise TokenRefused("its content is not that of a token") from failure
        if token.root not in {fingerprint_of(root) for root in self._cas.bundle.certificates}:
            raise TokenRefused("another authority made it")
        if token.audience != audience:
            raise TokenRefused(f"it was made for {token.audience}, and this is {audience}")
        if now > token.not_after + LEEWAY:
            raise TokenRefused(f"its time was over on {token.not_after:%Y-%m-%d %H:%M} UTC")
        return token

    def redeeming(self, token: Token, now: datetime.datetime) -> Callable[[Transaction, str], None]:
        """The part of an issuing transaction that redeems the token, or raises TokenSpent; see Guard.within."""
        table = schema.redemptions

        def within(transaction: Transaction, serial: str) -> None:
            earlier = transaction.read(select(table.c.serial).where(table.c.token == token.id)).scalar()
            if earlier is not None:
                raise TokenSpent(token.id, earlier)
            transaction.add(
                table,
                token=token.id,
                serial=serial,
                redeemed_at=int(now.timestamp()),
                not_after=int((token.not_after + LEEWAY).timestamp()),
            )

        return within

    def forget(self, now: datetime.datetime) -> None:
        """Remove the redemptions of tokens whose time is over; the audit log keeps them."""
        table, long_ago = schema.redemptions, int((now - datetime.timedelta(days=1)).timestamp())
        self._store.write(
            lambda transaction: (
                transaction.execute(delete(table).where(table.c.not_after < long_ago)).rowcount
            )
        )

    def _claims(self, text: str) -> dict[str, Any]:
        # Bounds before anything is parsed, and a key before anything is believed.
        if len(text) > MAX_TOKEN:
            raise TokenRefused(f"it has {len(text):,} characters, more than the {MAX_TOKEN:,} that are read")
        try:
            opened = jws.deserialize_compact(text, self._find, [_ALGORITHM])
            if opened.protected.get("typ") != _TYPE:
                raise TokenRefused("it is of another type")
            claims = json.loads(opened.payload)
        except (JoseError, ValueError, RecursionError) as failure:
            raise TokenRefused("it was not made by this authority, or was changed") from failure
        if not isinstance(claims, dict):
            raise TokenRefused("its content is not that of a token")
        return claims

    def _find(self, guest: Any) -> OctKey:
        identifier = guest.headers().get("kid")
        for ca in self._cas.all:
            if ca.role == "issuing" and ca.key_identifier == identifier and ca.revoked_at is None:
                return self._key(ca)
        raise TokenRefused("the CA that made it does not issue here any more")

    def _key(self, ca: Ca) -> OctKey:
        if ca.key_identifier not in self._keys:
            secret = derived_key(self._cas.signer(ca).key, "one-time tokens, HS256")
            self._keys[ca.key_identifier] = OctKey.import_key(secret)
        return self._keys[ca.key_identifier]


def derived_key(key: PrivateKey, purpose: str) -> bytes:
    """32 octets that only who has the private key can know, different for each purpose (HKDF, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"twoway {purpose}".encode()).derive(_secret_of(key))


def _secret_of(key: PrivateKey) -> bytes:
    """The secret number of a private key; the same wherever the key is."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes(66, "big")
    if isinstance(key, rsa.RSAPrivateKey):
        return key.private_numbers().d.to_bytes(1024, "big")
    return key.private_bytes_raw()


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("expected text")
    return value
