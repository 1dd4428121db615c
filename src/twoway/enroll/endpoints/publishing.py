"""`/roots.pem`, `/crls.pem` and `/crl/…`: what everybody who is to believe this authority has to have."""

from __future__ import annotations

from starlette.responses import Response

from twoway.authority.in_use import note_fetch
from twoway.credential import chain_pem
from twoway.enroll.call import BOTH, Call, Endpoint
from twoway.enroll.faults import NotFound


async def roots(call: Call) -> Response:
    """The roots as PEM, the one that signs now first. Over plain HTTP nobody vouches for them: compare the fingerprint.

    While the root or the issuing CA is being changed, it is noted which identities were given them.
    """
    service, record = call.service, call.caller.record
    bundle = service.authority.cas.bundle
    if bundle.rotation is not None and record is not None:
        rotation, serial = bundle.rotation, record.serial
        await service.run(lambda: note_fetch(service.authority.store, rotation, serial, call.now))
    return Response(chain_pem(bundle.certificates), media_type="application/pem-certificate-chain")


async def crls(call: Call) -> Response:
    """The current CRLs of all CAs of which a certificate may be in use, as PEM."""
    return Response(call.service.lists.everything(call.now), media_type="application/x-pem-file")


async def crl(call: Call) -> Response:
    """One CA's current CRL as DER: `issuing.crl`, `root.crl`, or by the CA's key identifier in hex."""
    name = call.request.path_params["name"].removesuffix(".crl")
    found = call.service.lists.current(name, call.now)
    if found is None:
        raise NotFound(f"CRL {name!r}")
    # RFC 5280 §4.2.1.13 and RFC 2585 §4.2: DER, as application/pkix-crl.
    return Response(found, media_type="application/pkix-crl", headers={"cache-control": "public, max-age=60"})


ENDPOINTS = (
    Endpoint("roots", ("GET",), "/roots.pem", roots, BOTH),
    Endpoint("crls", ("GET",), "/crls.pem", crls, BOTH, authenticate=()),
    Endpoint("crl", ("GET",), "/crl/{name}", crl, BOTH, authenticate=()),
)
