"""`/roots.pem` and `/crl/…`: what everybody who is to believe this authority has to have."""

from __future__ import annotations

from starlette.responses import Response

from twoway.enroll.call import BOTH, Call, Endpoint
from twoway.enroll.faults import NotFound


async def roots(call: Call) -> Response:
    """The roots as PEM. Over plain HTTP nobody vouches for them: compare the fingerprint."""
    return Response(call.service.authority.trust_bundle_pem(), media_type="application/pem-certificate-chain")


async def crl(call: Call) -> Response:
    """One CA's current CRL as DER: `issuing.crl`, `root.crl`, or by the CA's key identifier in hex."""
    name = call.request.path_params["name"].removesuffix(".crl")
    found = call.service.lists.current(name, call.now)
    if found is None:
        raise NotFound(f"CRL {name!r}")
    # RFC 5280 §4.2.1.13 and RFC 2585 §4.2: DER, as application/pkix-crl.
    return Response(found, media_type="application/pkix-crl", headers={"cache-control": "public, max-age=60"})


ENDPOINTS = (
    Endpoint("roots", ("GET",), "/roots.pem", roots, BOTH, authenticate=()),
    Endpoint("crl", ("GET",), "/crl/{name}", crl, BOTH, authenticate=()),
)
