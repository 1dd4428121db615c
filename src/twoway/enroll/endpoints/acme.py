"""`/acme/directory` and what hangs on it: nonces, accounts, keys (RFC 8555 §7.1 to §7.3)."""

from __future__ import annotations

import functools

from starlette.responses import JSONResponse, Response

from twoway.enroll.acme import accounts, addresses, external, jws, orders, presenting
from twoway.enroll.acme.accounts import Account
from twoway.enroll.acme.admission import admitted, by_account, by_key, finish, is_open
from twoway.enroll.acme.external import ExternalKey
from twoway.enroll.acme.faults import (
    AccountClosed,
    AccountUnknown,
    ExternalAccountNeeded,
    Malformed,
    NotTheirs,
    TermsNotAgreed,
    Unproven,
)
from twoway.enroll.acme.jwk import AccountKey
from twoway.enroll.acme.problem import as_acme
from twoway.enroll.acme.rates import network_of
from twoway.enroll.acme.strict_json import load_object
from twoway.enroll.call import Call, Endpoint


async def directory(call: Call) -> Response:
    """Where everything is, and what this authority asks of its accounts."""
    start, options = addresses.base(call) + "/acme", call.service.acme.options
    meta: dict[str, object] = {
        "externalAccountRequired": options.accounts == "bound",
        "profiles": {name: f"the profile {name} of this authority" for name in options.profiles},
    }
    if options.terms is not None:
        meta["termsOfService"] = options.terms
    return JSONResponse(
        {
            "newNonce": f"{start}/new-nonce",
            "newAccount": f"{start}/new-account",
            "newOrder": f"{start}/new-order",
            "revokeCert": f"{start}/revoke-certificate",
            "keyChange": f"{start}/key-change",
            "renewalInfo": f"{start}/renewal-info",
            "meta": meta,
        }
    )


async def new_nonce(call: Call) -> Response:
    """RFC 8555 §7.2: 200 for HEAD, 204 for GET; the nonce itself comes with every answer."""
    return Response(status_code=200 if call.request.method == "HEAD" else 204)


async def new_account(call: Call) -> Response:
    """The account of a key: 201 for a new one, 200 for one that there is (RFC 8555 §7.3, §7.3.1)."""
    request, desk = admitted(call), call.service.acme
    members, store = request.members, call.service.authority.store

    def find() -> Account | None:
        with store.read() as connection:
            return accounts.by_key(connection, request.key)

    known = await call.service.run(find)
    if known is not None:
        found, is_new = known, False
    else:
        if members.get("onlyReturnExisting") is True:
            raise AccountUnknown("no account has that key")
        contact = accounts.read_contact(members.get("contact", []))
        if desk.options.terms is not None and members.get("termsOfServiceAgreed") is not True:
            raise TermsNotAgreed(f"expected an agreement to the terms at {desk.options.terms}")
        bound = await _binding(call, members.get("externalAccountBinding"), request.key)
        client = call.request.client
        desk.rates.take(
            desk.options.new_accounts, network_of(client.host if client else None), call.now.timestamp()
        )
        creating = accounts.creating(request.key, contact, bound, call.now)
        found, is_new = await desk.write(request.nonce, call.now, creating)
    if found.status != "valid":
        raise AccountClosed("the account of that key is deactivated")
    return JSONResponse(
        presenting.account(call, found),
        201 if is_new else 200,
        {"location": addresses.account(call, found.id)},
    )


async def account(call: Call) -> Response:
    """The account itself, with other contacts, or deactivated (RFC 8555 §7.3.2, §7.3.6)."""
    request, desk = admitted(call), call.service.acme
    found = _own(call)
    if request.payload:
        members = request.members
        if members.get("status") == "deactivated":
            await desk.write(request.nonce, call.now, accounts.deactivating(found, call.now))
        elif "status" in members and members["status"] != "valid":
            raise Malformed("expected the status deactivated, or none")
        elif "contact" in members:
            contact = accounts.read_contact(members["contact"])
            await desk.write(request.nonce, call.now, accounts.changing_contact(found, contact, call.now))
        found = await call.service.run(functools.partial(_read, call, found.id))
    return JSONResponse(
        presenting.account(call, found), headers={"location": addresses.account(call, found.id)}
    )


async def listed_orders(call: Call) -> Response:
    """The orders of an account, a page at a time (RFC 8555 §7.1.2.1)."""
    request, found = admitted(call), _own(call)
    request.check_only_reads()
    last = call.request.query_params.get("after")

    def read() -> tuple[str, ...]:
        with call.service.authority.store.read() as connection:
            return orders.listed(connection, found, int(call.now.timestamp()), last)

    page = await call.service.run(read)
    response = JSONResponse({"orders": [addresses.order(call, each) for each in page]})
    if len(page) == orders.PAGE:
        more = f"{addresses.account(call, found.id)}/orders?after={page[-1]}"
        response.headers.append("link", f'<{more}>;rel="next"')
    return response


async def key_change(call: Call) -> Response:
    """Another key for the account: signed by both (RFC 8555 §7.3.5)."""
    request = admitted(call)
    found = request.owner
    inner = jws.read_inner(request.payload)
    key = AccountKey.read(inner.jwk)
    inner.verify(key)
    if inner.url != addresses.here(call):
        raise Unproven("the inner JWS was signed for another address")
    members = load_object(inner.payload, "the inner payload")
    if members.get("account") != addresses.account(call, found.id):
        raise Malformed("expected the account's own address in the inner payload")
    if AccountKey.read(members.get("oldKey")).thumbprint != found.key.thumbprint:
        raise Malformed("expected the account's present key as oldKey")
    work = accounts.changing_key(found, key, lambda other: addresses.account(call, other), call.now)
    await call.service.acme.write(request.nonce, call.now, work)
    changed = await call.service.run(functools.partial(_read, call, found.id))
    return JSONResponse(presenting.account(call, changed))


def _own(call: Call) -> Account:
    """The caller's account, if it is the one in the path. Raises NotTheirs."""
    found = admitted(call).owner
    if call.request.path_params["account"] != found.id:
        raise NotTheirs("that is another account")
    return found


def _read(call: Call, identifier: str) -> Account:
    with call.service.authority.store.read() as connection:
        return accounts.by_id(connection, identifier)


async def _binding(call: Call, binding: object, key: AccountKey) -> ExternalKey | None:
    if binding is None:
        if call.service.acme.options.accounts == "bound":
            raise ExternalAccountNeeded("this authority takes accounts only with an external account binding")
        return None
    url, authority = addresses.here(call), call.service.authority
    return await call.service.run(lambda: external.check(authority, binding, key, url, call.now))


_acme = functools.partial(Endpoint, problem=as_acme, finish=finish)
_posted = functools.partial(_acme, body_bytes=jws.MAX_BYTES)

ENDPOINTS = (
    _acme("acme-directory", ("GET",), "/acme/directory", directory, authenticate=(is_open,)),
    _acme("acme-new-nonce", ("GET",), "/acme/new-nonce", new_nonce, authenticate=(is_open,)),
    _posted("acme-new-account", ("POST",), "/acme/new-account", new_account, authenticate=(is_open, by_key)),
    _posted(
        "acme-account", ("POST",), "/acme/account/{account}", account, authenticate=(is_open, by_account)
    ),
    _posted(
        "acme-orders",
        ("POST",),
        "/acme/account/{account}/orders",
        listed_orders,
        authenticate=(is_open, by_account),
    ),
    _posted("acme-key-change", ("POST",), "/acme/key-change", key_change, authenticate=(is_open, by_account)),
)
