"""`POST /enroll` with a one-time token, and `POST /sign` for those who may ask for certificates of others."""

from __future__ import annotations

from starlette.responses import Response

from twoway.authority.guard import Guard
from twoway.authority.renewal import keeps_to
from twoway.authority.request import MAX_BYTES
from twoway.authority.tokens import Token
from twoway.credential import chain_pem
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.caller import token_for
from twoway.enroll.faults import BodyMalformed
from twoway.enroll.issuing import certify

# RFC 8555 §9.1: PEM certificates, each followed by the one that certifies it.
MEDIA_TYPE = "application/pem-certificate-chain"


async def enroll(call: Call) -> Response:
    """The chain for a signing request, with the names and the profile of the token.

    The request's key is taken, and nothing else: a name in it that the token does not have is refused, not dropped.
    """
    token = call.caller.facts
    assert isinstance(token, Token)
    chain = await certify(
        call,
        call.body,
        profile=token.profile,
        common_name=token.common_name,
        names=token.names,
        days=token.days,
        guard=Guard(
            asked=keeps_to(token.names, token.common_name, "the token"),
            within=call.service.tokens.redeeming(token, call.now),
        ),
    )
    return Response(chain_pem(chain), 201, media_type=MEDIA_TYPE)


async def sign(call: Call) -> Response:
    """The chain for a signing request with the names that it asks for, under `?profile=`; `?days=` may be given."""
    query = call.request.query_params
    profile, days = query.get("profile"), query.get("days")
    if profile is None:
        raise BodyMalformed("the query parameter profile", "none")
    try:
        asked = None if days is None else float(days)
    except ValueError:
        raise BodyMalformed("a number of days", repr(days)) from None
    chain = await certify(call, call.body, profile=profile, days=asked)
    return Response(chain_pem(chain), 201, media_type=MEDIA_TYPE)


ENDPOINTS = (
    Endpoint(
        "enroll", ("POST",), "/enroll", enroll, authenticate=(token_for("enroll"),), body_bytes=MAX_BYTES
    ),
    Endpoint("sign", ("POST",), "/sign", sign, body_bytes=MAX_BYTES),
)
