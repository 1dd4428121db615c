"""`POST /renew`: the certificate in hand is the ground for its successor."""

from __future__ import annotations

from starlette.responses import Response

from twoway.authority.request import MAX_BYTES
from twoway.credential import chain_pem
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.caller import by_certificate
from twoway.enroll.endpoints.enrolling import MEDIA_TYPE
from twoway.enroll.gateways import by_gateway
from twoway.enroll.issuing import renew


async def successor(call: Call) -> Response:
    """The chain of the successor, for the key in the signing request: a new one, or the same.

    Names and profile are those of the certificate that was shown; a request for other names is refused.
    """
    return Response(chain_pem(await renew(call, call.body)), 201, media_type=MEDIA_TYPE)


ENDPOINTS = (
    Endpoint(
        "renew",
        ("POST",),
        "/renew",
        successor,
        authenticate=(by_gateway, by_certificate),
        body_bytes=MAX_BYTES,
    ),
)
