"""ACME's orders: names, proofs, and the certificate (RFC 8555 §7.4, §7.5)."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable

from starlette.responses import JSONResponse, Response

from twoway.authority import Record
from twoway.authority.guard import Guard
from twoway.authority.request import MAX_BYTES, Request
from twoway.authority.transaction import Transaction
from twoway.credential import chain_pem
from twoway.enroll.acme import (
    addresses,
    authorizations,
    base64url,
    identifiers,
    jws,
    orders,
    presenting,
    renewal_info,
)
from twoway.enroll.acme.accounts import Account
from twoway.enroll.acme.admission import Admitted, admitted, by_account, finish, is_open
from twoway.enroll.acme.authorizations import Authorization, Challenge
from twoway.enroll.acme.faults import Malformed, Missing, ProfileRefused, RequestMismatch
from twoway.enroll.acme.nonces import spend_within
from twoway.enroll.acme.orders import Order
from twoway.enroll.acme.problem import as_acme
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.endpoints.enrolling import MEDIA_TYPE
from twoway.enroll.issuing import certify


async def new_order(call: Call) -> Response:
    """An order, if its names are ones that would be certified in the end (RFC 8555 §7.4)."""
    request, service = admitted(call), call.service
    desk, members, owner = service.acme, request.members, request.owner
    if members.get("notBefore") is not None or members.get("notAfter") is not None:
        raise Malformed("notBefore and notAfter are the profile's to say here")
    profile = members.get("profile", desk.options.profiles[0])
    if profile not in desk.options.profiles:
        raise ProfileRefused(f"expected one of {', '.join(desk.options.profiles)}, got {str(profile)[:64]!r}")
    wanted = identifiers.parse(members.get("identifiers"))
    authority = service.authority
    identifiers.judge(wanted, authority.rules[profile], authority.cas.issuing.limits, owner.names)
    replaces = members.get("replaces")
    serial = None if replaces is None else renewal_info.serial_in(replaces, _issuers(call))
    desk.rates.take(desk.options.new_orders, owner.id, call.now.timestamp())
    creating = orders.creating(
        owner,
        wanted,
        profile,
        serial,
        expires=call.now + datetime.timedelta(hours=desk.options.order_hours),
        most=desk.options.open_orders,
        now=call.now,
    )
    made = await desk.write(request.nonce, call.now, creating)
    return await _order(call, made, 201)


async def order(call: Call) -> Response:
    admitted(call).check_only_reads()
    return await _order(call, call.request.path_params["order"])


async def finalize(call: Call) -> Response:
    """The certificate for an order whose names are proven; one for each order, however often it is asked for."""
    request, owner = admitted(call), admitted(call).owner
    csr = base64url.decode(_short(request.members.get("csr")), "csr")
    found = await _read_order(call, call.request.path_params["order"], owner)
    orders.check_ready(found)
    spend, issue = spend_within(request.nonce, call.now), orders.issuing_within(found, call.now)

    def asked(csr: Request) -> None:
        identifiers.exactly(found.identifiers, csr)
        if request.key.is_key(csr.public_key):
            # RFC 8555 §11.1: the account's key is for the account alone.
            raise RequestMismatch("the signing request is for the account's own key")

    def within(transaction: Transaction, serial: str) -> None:
        spend(transaction)
        issue(transaction, serial)

    await certify(
        call,
        csr,
        profile=found.profile,
        names=identifiers.as_names(found.identifiers),
        guard=Guard(asked=asked, judge=_still_allowed(call, found, owner), within=within),
    )
    return await _order(call, found.id)


async def authorization(call: Call) -> Response:
    """What has to be proven, and how; or given up with the status `deactivated` (RFC 8555 §7.5.2)."""
    request = admitted(call)
    found = await _read_authorization(call, call.request.path_params["authorization"], request.owner)
    if request.payload:
        if request.members.get("status") != "deactivated":
            raise Malformed("expected the status deactivated, or an empty payload")
        work = authorizations.deactivating(found, call.now)
        await call.service.acme.write(request.nonce, call.now, work)
        found = await _read_authorization(call, found.id, request.owner)
    stalled = [each for each in found.challenges if each.has_stalled(int(call.now.timestamp()))]
    if found.status == "pending" and stalled and not request.payload:
        await call.service.acme.look_for(stalled[0], found, request.owner, call.now, request.nonce)
    return JSONResponse(presenting.authorization(call, found), headers=_patience(found.challenges))


async def challenge(call: Call) -> Response:
    """With a payload: the proof is there, look for it (RFC 8555 §7.5.1). Without: how it is."""
    request = admitted(call)
    found, of = await _read_challenge(call, request)
    if request.payload:
        _ = request.members  # `{}`; older clients say more, which counts for nothing
        desk = call.service.acme
        if found.status == "pending":
            name = f"{request.owner.id} {of.identifier.value}"
            desk.rates.check(desk.options.failures, name, call.now.timestamp())
        await desk.look_for(found, of, request.owner, call.now, request.nonce)
        found, of = await _read_challenge(call, request)
    response = JSONResponse(presenting.challenge(call, found), headers=_patience((found,)))
    response.headers.append("link", f'<{addresses.authorization(call, of.id)}>;rel="up"')
    return response


async def certificate(call: Call) -> Response:
    """The chain: the leaf and the issuing CA (RFC 8555 §7.4.2)."""
    request = admitted(call)
    request.check_only_reads()
    serial, service = call.request.path_params["serial"], call.service

    def read() -> bytes:
        with service.authority.store.read() as connection:
            orders.by_serial(connection, serial, request.owner, int(call.now.timestamp()))
        record = _record(call, serial)
        ca = next(each for each in service.authority.cas.all if each.id == record.issuer)
        return chain_pem((record.certificate, ca.certificate))

    return Response(await service.run(read), media_type=MEDIA_TYPE)


async def renewal(call: Call) -> Response:
    """When to renew a certificate (RFC 9773 §4.2); for everybody, since it says nothing that is not known."""
    serial = renewal_info.serial_in(call.request.path_params["certificate"], _issuers(call))
    record = await call.service.run(lambda: _record(call, serial))
    window = renewal_info.window(record, call.now, call.service.is_issuer_revoked(record))
    return JSONResponse({"suggestedWindow": window}, headers={"retry-after": str(renewal_info.RETRY_AFTER)})


def _record(call: Call, serial: str) -> Record:
    found = call.service.authority.find(int(serial, 16), now=call.now)
    for record in found:
        if record.serial == serial:
            return record
    raise Missing("there is no such certificate")


def _issuers(call: Call) -> frozenset[str]:
    return frozenset(ca.key_identifier for ca in call.service.authority.cas.all)


def _still_allowed(call: Call, found: Order, owner: Account) -> Callable[[object], None]:
    """The account's own limits once more, on what is about to be signed; profile and CA are judged there anyway."""

    def judge(_: object) -> None:
        authority = call.service.authority
        rules = authority.rules[found.profile]
        identifiers.judge(found.identifiers, rules, authority.cas.issuing.limits, owner.names)

    return judge


def _short(text: object) -> object:
    if isinstance(text, str) and len(text) > MAX_BYTES * 4 // 3 + 4:
        raise RequestMismatch(f"a signing request has at most {MAX_BYTES:,} octets")
    return text


def _patience(challenges: tuple[Challenge, ...]) -> dict[str, str] | None:
    """When to ask again (RFC 8555 §7.5.1)."""
    return {"retry-after": "1"} if any(each.status == "processing" for each in challenges) else None


async def _order(call: Call, identifier: str, status: int = 200) -> Response:
    found = await _read_order(call, identifier, admitted(call).owner)
    headers = {"location": addresses.order(call, found.id)}
    return JSONResponse(presenting.order(call, found), status, headers)


async def _read_order(call: Call, identifier: str, owner: Account) -> Order:
    def read() -> Order:
        with call.service.authority.store.read() as connection:
            return orders.by_id(connection, identifier, owner, int(call.now.timestamp()))

    return await call.service.run(read)


async def _read_authorization(call: Call, identifier: str, owner: Account) -> Authorization:
    def read() -> Authorization:
        with call.service.authority.store.read() as connection:
            return authorizations.by_id(connection, identifier, owner, int(call.now.timestamp()))

    return await call.service.run(read)


async def _read_challenge(call: Call, request: Admitted) -> tuple[Challenge, Authorization]:
    identifier, moment = call.request.path_params["challenge"], int(call.now.timestamp())

    def read() -> tuple[Challenge, Authorization]:
        with call.service.authority.store.read() as connection:
            return authorizations.by_challenge(connection, identifier, request.owner, moment)

    return await call.service.run(read)


_acme = functools.partial(Endpoint, problem=as_acme, finish=finish)
_owned = functools.partial(_acme, authenticate=(is_open, by_account), body_bytes=jws.MAX_BYTES)

ENDPOINTS = (
    _owned("acme-new-order", ("POST",), "/acme/new-order", new_order),
    _owned("acme-order", ("POST",), "/acme/order/{order}", order),
    _owned("acme-finalize", ("POST",), "/acme/order/{order}/finalize", finalize),
    _owned("acme-authorization", ("POST",), "/acme/authorization/{authorization}", authorization),
    _owned("acme-challenge", ("POST",), "/acme/challenge/{challenge}", challenge),
    _owned("acme-certificate", ("POST",), "/acme/certificate/{serial}", certificate),
    _acme(
        "acme-renewal-info", ("GET",), "/acme/renewal-info/{certificate}", renewal, authenticate=(is_open,)
    ),
)
