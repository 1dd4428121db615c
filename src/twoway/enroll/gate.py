"""What every request goes through, in this order: bounds, body, who calls, may they, the endpoint, the answer."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from twoway.enroll.access import Standing, decide
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.caller import NOBODY
from twoway.enroll.faults import BodyTooLarge, BodyTooSlow
from twoway.enroll.problem import Problem
from twoway.errors import TwowayError

if TYPE_CHECKING:
    from twoway.enroll.service import Service


def guarded(service: Service, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint as a Starlette route has it. No exception leaves it, and nobody gets past it unjudged."""

    async def handle(request: Request) -> Response:
        began = time.perf_counter()
        call = Call(service, endpoint, request, service.now(), id=secrets.token_hex(6))
        try:
            await _admit(call)
            response = await endpoint.answer(call)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody is there to read it
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem document
            response = endpoint.problem(_told(call, error))
        response.headers["x-request-id"] = call.id
        endpoint.finish(call, response)
        service.metrics.answered(endpoint.name, response.status_code, time.perf_counter() - began)
        return response

    return handle


async def _admit(call: Call) -> None:
    """Read the body within its bounds, find out who calls, and decide."""
    endpoint = call.endpoint
    if endpoint.body_bytes:
        call.body = await _body(call.request, endpoint)
    found = [await authenticate(call) for authenticate in endpoint.authenticate]
    call.callers = tuple(caller for caller in found if caller is not None) or (NOBODY,)
    everything = frozenset[Standing]().union(*(caller.standings for caller in call.callers))
    call.admitted_as = decide(endpoint.name, everything | NOBODY.standings)
    call.caller = next(
        (caller for caller in call.callers if call.admitted_as in caller.standings), call.callers[0]
    )


async def _body(request: Request, endpoint: Endpoint) -> bytes:
    """The whole body. What is announced as too large is refused before a byte of it is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > endpoint.body_bytes:
        raise BodyTooLarge(endpoint.name, endpoint.body_bytes)
    parts, size = [], 0
    try:
        async with asyncio.timeout(endpoint.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > endpoint.body_bytes:
                    raise BodyTooLarge(endpoint.name, endpoint.body_bytes)
                parts.append(part)
    except TimeoutError:
        raise BodyTooSlow(endpoint.name, endpoint.body_seconds) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _told(call: Call, error: Exception) -> Problem:
    """What the caller is told, and the same with all its facts in the log."""
    problem = Problem.of(error, call.id)
    service, caller = call.service, call.caller
    service.metrics.refused(call.endpoint.name, problem.code)
    service.journal.event(
        "refused-call" if isinstance(error, TwowayError) and problem.status < 500 else "failed-call",
        f"{call.endpoint.name} {call.id} of {' and '.join(each.actor for each in call.callers) or caller.actor}: "
        f"{problem.status} {problem.code}: {error if isinstance(error, TwowayError) else repr(error)}",
        id=call.id,
        endpoint=call.endpoint.name,
        address=call.request.client.host if call.request.client else None,
        callers=[each.actor for each in call.callers],
        status=problem.status,
        code=problem.code,
        remedy=error.remedy
        if isinstance(error, TwowayError)
        else "this is a fault of twoway: please report it",
    )
    if not isinstance(error, TwowayError):
        service.report(error)
    return problem
