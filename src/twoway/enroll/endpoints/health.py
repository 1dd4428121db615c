"""`/health`, `/ready`, `/metrics`, and `/whoami`: how the service is, and what it takes the caller for."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from twoway.enroll.call import BOTH, Call, Endpoint
from twoway.errors import TwowayError


async def health(call: Call) -> Response:
    """The process runs and answers. Says nothing about the store: see `ready`."""
    return JSONResponse({"status": "ok"})


async def ready(call: Call) -> Response:
    """Whether it could issue now: 200, or 503 with the codes of what stands in the way."""
    found: list[str] = []
    try:
        await call.service.run(lambda: call.service.check_ready(call.now))
    except TwowayError as error:
        found.append(error.code)
    return JSONResponse({"ready": not found, "because": found}, 503 if found else 200)


async def metrics(call: Call) -> Response:
    return Response(call.service.metrics.exposition(), media_type=call.service.metrics.media_type)


async def whoami(call: Call) -> Response:
    """What the caller proved, and which roles that gives."""
    standings = sorted({each for caller in call.callers for each in caller.standings})
    return JSONResponse({"callers": [caller.actor for caller in call.callers], "standings": standings})


ENDPOINTS = (
    Endpoint("health", ("GET",), "/health", health, BOTH, authenticate=()),
    Endpoint("ready", ("GET",), "/ready", ready, BOTH, authenticate=()),
    Endpoint("metrics", ("GET",), "/metrics", metrics, BOTH, authenticate=()),
    Endpoint("whoami", ("GET",), "/whoami", whoami),
)
