"""Who signed an ACME request: the authenticators, and what every answer to one has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from twoway.authority.faults import AuthorityError
from twoway.enroll.access import Standing
from twoway.enroll.acme import accounts, addresses, jws
from twoway.enroll.acme.accounts import Account
from twoway.enroll.acme.faults import AccountClosed, Malformed, MediaTypeWrong, Misdirected, Missing, Unproven
from twoway.enroll.acme.jwk import AccountKey
from twoway.enroll.acme.jws import Signed
from twoway.enroll.acme.rates import network_of
from twoway.enroll.acme.strict_json import load_object
from twoway.enroll.call import Call
from twoway.enroll.caller import Caller

MEDIA_TYPE = "application/jose+json"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A signed request that holds: by which key, of which account, and what it says."""

    key: AccountKey
    account: Account | None
    nonce: str
    payload: bytes

    @property
    def owner(self) -> Account:
        """The account, at endpoints that only accounts get to."""
        assert self.account is not None
        return self.account

    @property
    def members(self) -> dict[str, Any]:
        """The payload's JSON object. Raises Malformed."""
        return load_object(self.payload, "the payload")

    def check_only_reads(self) -> None:
        """RFC 8555 §6.3: POST-as-GET has an empty payload. Raises Malformed."""
        if self.payload:
            raise Malformed("expected an empty payload: this resource is only read (POST-as-GET)")


async def is_open(call: Call) -> Caller | None:
    """First of all: whether there is ACME here, and whether that address has asked too often. Finds no caller."""
    desk = call.service.acme
    if desk.options.accounts == "off":
        raise Missing("this authority does not speak ACME")
    client = call.request.client
    desk.rates.take(desk.options.requests, network_of(client.host if client else None), call.now.timestamp())
    return None


async def by_account(call: Call) -> Caller | None:
    """A request signed with the key of an account that is open, which its `kid` names."""
    signed = _signed(call)
    return None if signed is None else await _of_account(call, signed)


async def by_key(call: Call) -> Caller | None:
    """A request signed with the key in its own header: newAccount."""
    signed = _signed(call)
    return None if signed is None else _of_key(call, signed)


async def by_account_or_key(call: Call) -> Caller | None:
    """Either: revokeCert."""
    signed = _signed(call)
    if signed is None:
        return None
    return _of_key(call, signed) if signed.jwk is not None else await _of_account(call, signed)


def _signed(call: Call) -> Signed | None:
    """The request taken apart: for this address, with a nonce that may be used. Its signature is not yet checked."""
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not call.body and not media_type:
        return None
    if media_type != MEDIA_TYPE:
        raise MediaTypeWrong(f"expected {MEDIA_TYPE}, got {media_type[:64]!r}")
    signed = jws.read(call.body)
    call.service.acme.nonces.check(signed.nonce, call.now)
    # RFC 8555 §6.4.1: an exact match, octet for octet.
    expected = addresses.here(call)
    if signed.url != expected:
        raise Unproven(f"the request was signed for another address: expected {expected}")
    return signed


async def _of_account(call: Call, signed: Signed) -> Caller:
    if signed.kid is None:
        raise Malformed("expected kid, the address of the account, instead of jwk")
    identifier = addresses.account_in(call, signed.kid)

    def read() -> Account:
        with call.service.authority.store.read() as connection:
            return accounts.by_id(connection, identifier)

    account = await call.service.run(read)
    signed.verify(account.key)
    if account.status != "valid":
        raise AccountClosed("the account is deactivated")
    nonce = call.service.acme.nonces.use(signed.nonce, call.now)
    how = f"account key {account.key.thumbprint}"
    facts = Admitted(account.key, account, nonce, signed.payload)
    return Caller(frozenset({Standing.ACME_ACCOUNT}), account.actor, how, facts=facts)


def _of_key(call: Call, signed: Signed) -> Caller:
    if signed.jwk is None:
        raise Malformed("expected jwk, the key itself, instead of kid")
    key = AccountKey.read(signed.jwk)
    signed.verify(key)
    nonce = call.service.acme.nonces.use(signed.nonce, call.now)
    facts = Admitted(key, None, nonce, signed.payload)
    return Caller(frozenset({Standing.ACME_KEY}), "acme", f"key {key.thumbprint}", facts=facts)


def admitted(call: Call) -> Admitted:
    """What the authenticator found."""
    facts = call.caller.facts
    assert isinstance(facts, Admitted)
    return facts


def finish(call: Call, response: Response) -> None:
    """A fresh nonce for the next request (RFC 8555 §6.5), and the way to the directory (§7.1)."""
    if call.service.acme.options.accounts == "off":
        return
    try:
        response.headers["replay-nonce"] = call.service.acme.nonces.make(call.now)
        response.headers.append("link", f'<{addresses.base(call)}/acme/directory>;rel="index"')
    except (AuthorityError, Misdirected):
        return  # the CA's key cannot be read, or we are not who is asked: the answer says so already
    response.headers.setdefault("cache-control", "no-store")
