"""All endpoints, and the application that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twoway.enroll.access import ACCESS
from twoway.enroll.acme.problem import as_acme
from twoway.enroll.call import Endpoint, Port
from twoway.enroll.endpoints import (
    acme,
    acme_orders,
    acme_revoking,
    enrolling,
    est,
    health,
    ocsp,
    publishing,
    renewing,
    revoking,
)
from twoway.enroll.faults import NotFound
from twoway.enroll.gate import guarded
from twoway.enroll.problem import Problem, as_response

if TYPE_CHECKING:
    from twoway.enroll.service import Service

ENDPOINTS: tuple[Endpoint, ...] = (
    *health.ENDPOINTS,
    *publishing.ENDPOINTS,
    *ocsp.ENDPOINTS,
    *enrolling.ENDPOINTS,
    *renewing.ENDPOINTS,
    *acme.ENDPOINTS,
    *acme_orders.ENDPOINTS,
    *acme_revoking.ENDPOINTS,
    *est.ENDPOINTS,
    *revoking.ENDPOINTS,
)


def application(service: Service, port: Port) -> Starlette:
    """The ASGI application of one port. An endpoint that access.py does not know stops the start."""
    unknown = [endpoint.name for endpoint in ENDPOINTS if endpoint.name not in ACCESS]
    if unknown:
        raise LookupError(f"access.py does not say who may call {', '.join(unknown)}")

    async def elsewhere(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        problem = Problem.of(NotFound(f"{request.method} {request.url.path}"), "-")
        form = as_acme if request.url.path.startswith("/acme/") else as_response
        response = form(Problem(status, problem.code, problem.detail, problem.remedy, problem.instance))
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)  # a 405 names the methods that there are
        return response

    routes = [
        Route(endpoint.path, guarded(service, endpoint), methods=list(endpoint.methods), name=endpoint.name)
        for endpoint in ENDPOINTS
        if port in endpoint.ports
    ]
    made = Starlette(routes=routes, exception_handlers={HTTPException: elsewhere})
    # A redirect would name whatever host the caller gave, before anybody has asked who calls.
    made.router.redirect_slashes = False
    return made
