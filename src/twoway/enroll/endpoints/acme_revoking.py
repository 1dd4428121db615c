"""ACME's revokeCert: by the account that the certificate is of, or by the certificate's own key (RFC 8555 §7.6)."""

from __future__ import annotations

from cryptography import x509
from starlette.responses import Response

from twoway.authority import Record
from twoway.authority.crl import REASONS
from twoway.authority.revocation import revoking
from twoway.enroll.acme import base64url, jws, orders
from twoway.enroll.acme.admission import Admitted, admitted, by_account_or_key, finish, is_open
from twoway.enroll.acme.faults import Malformed, Missing, NotTheirs, ReasonRefused
from twoway.enroll.acme.identifiers import Identifier
from twoway.enroll.acme.problem import as_acme
from twoway.enroll.call import Call, Endpoint

MAX_CERTIFICATE = 32 * 1024
# What somebody outside may know of his certificate. The others are for those who run the authority.
_REASONS = {number: name for name, number in REASONS.items() if number in (0, 1, 3, 4, 5)}


async def revoke(call: Call) -> Response:
    """Whoever may is asked first, then whether it is revoked already: strangers learn nothing."""
    request, service = admitted(call), call.service
    members = request.members
    certificate = _certificate(members.get("certificate"))
    reason = _reason(members.get("reason"))

    def find() -> Record:
        record = service.authority.find(certificate, now=call.now)[0]
        _check_may(call, request, record)
        return record

    record = await service.run(find)
    work = revoking(record, reason, actor=call.caller.actor, now=call.now)
    await service.acme.write(request.nonce, call.now, work)
    return Response(status_code=200)


def _check_may(call: Call, request: Admitted, record: Record) -> None:
    if request.account is None:
        if not request.key.is_key(record.certificate.public_key()):
            raise NotTheirs("the request is not signed with the certificate's key")
        return
    names = record.names
    listed = [Identifier("dns", each) for each in names.dns] + [Identifier("ip", each) for each in names.ip]
    moment = int(call.now.timestamp())
    with call.service.authority.store.read() as connection:
        try:
            orders.by_serial(connection, record.serial, request.account, moment)
        except (Missing, NotTheirs):
            # RFC 8555 §7.6: or an account that holds authorizations for all the names in it.
            others = bool(names.uri or names.email)
            if others or not orders.has_proven(connection, request.account, listed, moment):
                raise NotTheirs(
                    "the account did not order that certificate, nor prove all its names"
                ) from None


def _certificate(text: object) -> x509.Certificate:
    if isinstance(text, str) and len(text) > MAX_CERTIFICATE * 4 // 3:
        raise Malformed("the certificate is longer than any of ours")
    try:
        return x509.load_der_x509_certificate(base64url.decode(text, "certificate"))
    except ValueError as failure:
        raise Malformed("certificate is not DER of a certificate") from failure


def _reason(number: object) -> str:
    if number is None:
        return "unspecified"
    if type(number) is not int or number not in _REASONS:
        raise ReasonRefused(f"expected one of {', '.join(map(str, _REASONS))}, got {str(number)[:20]}")
    return _REASONS[number]


ENDPOINTS = (
    Endpoint(
        "acme-revoke",
        ("POST",),
        "/acme/revoke-certificate",
        revoke,
        authenticate=(is_open, by_account_or_key),
        body_bytes=jws.MAX_BYTES,
        problem=as_acme,
        finish=finish,
    ),
)
