"""`/ocsp`: whether a certificate of this authority is revoked (RFC 6960 appendix A), by POST and by GET."""

from __future__ import annotations

import base64
import binascii

from starlette.responses import Response

from twoway.authority.ocsp.answer import MEDIA_TYPE, Answer, Failure, failure
from twoway.authority.ocsp.asked import MAX_BYTES
from twoway.enroll.call import BOTH, Call, Endpoint
from twoway.enroll.problem import Problem

_SHARED_SECONDS = 60  # how long a cache between us and the client may believe an answer without a nonce


async def posted(call: Call) -> Response:
    return await _answered(call, call.body)


async def in_the_path(call: Call) -> Response:
    """RFC 6960 appendix A.1: the request in base64, percent-encoded, behind the responder's address."""
    text = call.request.path_params["request"]
    try:
        asked = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        asked = b""
    return await _answered(call, asked)


async def _answered(call: Call, asked: bytes) -> Response:
    service, now = call.service, call.now
    responder = service.authority.ocsp
    # From a file an answer that is kept costs less than to hand the question to a thread.
    answer = responder.kept(asked, now) if service.authority.store.at_hand else None
    if answer is None:
        answer = await service.run(lambda: responder.answer(asked, now))
    call.service.metrics.ocsp_answers.labels("signed" if answer.until is None else "kept").inc()
    return _response(answer)


def _response(answer: Answer) -> Response:
    # RFC 5019 §6.2 lets caches keep an answer for as long as it says; after a revocation that would be too long.
    control = f"public, max-age={_SHARED_SECONDS}" if answer.until is not None else "no-store"
    return Response(answer.der, media_type=MEDIA_TYPE, headers={"cache-control": control})


def _refused(problem: Problem) -> Response:
    """An OCSP client reads OCSP responses: "try later" for what is ours and passes, else "malformed"."""
    why = Failure.TRY_LATER if problem.status in (408, 429, 503) else Failure.INTERNAL_ERROR
    why = Failure.MALFORMED_REQUEST if problem.status == 413 else why
    return Response(failure(why), media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})


ENDPOINTS = (
    Endpoint("ocsp", ("POST",), "/ocsp", posted, BOTH, (), body_bytes=MAX_BYTES, problem=_refused),
    Endpoint("ocsp", ("GET",), "/ocsp/{request:path}", in_the_path, BOTH, (), problem=_refused),
)
