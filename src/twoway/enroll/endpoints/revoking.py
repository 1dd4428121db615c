"""`POST /revoke`: one's own certificate, or for operators and admins anybody's."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse, Response

from twoway.authority.refusals import NoSuchCertificate
from twoway.enroll.access import Standing
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.faults import BodyMalformed, NotPermitted

_FORM = '{"certificate": NAME, SERIAL or FINGERPRINT, "reason": REASON}'


async def revoke(call: Call) -> Response:
    """Revoke it, durably; what was revoked comes back. Without `certificate` it is the one that the caller shows."""
    wanted, reason = _asked(call.body)
    service, own = call.service, call.caller.record
    assert own is not None
    if call.admitted_as is Standing.IDENTITY:
        # Whether another certificate exists is not told to whoever may not revoke it.
        if wanted is not None and wanted not in (own.serial, own.fingerprint):
            raise NotPermitted(
                "revoking another's certificate", (Standing.IDENTITY,), (Standing.OPERATOR, Standing.ADMIN)
            )
        wanted = own.serial
    what = wanted or own.serial
    done = await service.run(
        lambda: service.authority.revoke(what, reason, now=call.now, requested_by=call.caller.actor)
    )
    if not done:
        raise NoSuchCertificate(what)
    return JSONResponse({"revoked": [record.serial for record in done], "reason": reason})


def _asked(body: bytes) -> tuple[str | None, str]:
    try:
        asked = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BodyMalformed(_FORM, "no JSON") from None
    if not isinstance(asked, dict) or asked.keys() - {"certificate", "reason"}:
        raise BodyMalformed(_FORM, "another object")
    certificate, reason = asked.get("certificate"), asked.get("reason", "unspecified")
    if not isinstance(reason, str) or not (
        certificate is None or (isinstance(certificate, str) and certificate)
    ):
        raise BodyMalformed(_FORM, "values that are no text")
    return certificate, reason


ENDPOINTS = (Endpoint("revoke", ("POST",), "/revoke", revoke, body_bytes=4096),)
