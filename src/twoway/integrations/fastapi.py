"""FastAPI: the caller as a dependency, refusals that say why, and `mutualTLS` in the OpenAPI document.

app = FastAPI()
install(app)

@app.post("/order/update")
def update(peer: Annotated[Peer, Depends(allow(uri="spiffe://acme.example/orders/**"))]): ...
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocketException
from fastapi.openapi.models import HTTPBase
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase
from starlette.responses import Response

from twoway.errors import PeerDenied
from twoway.integrations.access import Access
from twoway.integrations.oauth import check_bound
from twoway.integrations.problem import MEDIA_TYPE, Problem
from twoway.integrations.starlette import as_response, peer
from twoway.trust import Peer, Policy

SCHEME = "mutualTLS"
DESCRIPTION = "A client certificate, shown and proven in the TLS handshake (2-way SSL)."


class AccessRefused(HTTPException):
    """The refusal as FastAPI knows it; `install` has it answered as a problem document."""

    def __init__(self, problem: Problem) -> None:
        headers = {name: value for name, value in problem.headers if name != "content-type"}
        super().__init__(problem.status, problem.as_dict(), headers)
        self.problem = problem


class ClientCertificate(SecurityBase):
    """The dependency behind `allow`: gives the Peer, or raises AccessRefused; a WebSocket is closed with 1008."""

    def __init__(self, access: Access) -> None:
        self._access = access
        # OpenAPI 3.1 §4.8.27 has `mutualTLS`, FastAPI's own models do not: `install` writes it into the document.
        self.model = HTTPBase(scheme="clientcertificate", description=DESCRIPTION)
        self.scheme_name = SCHEME

    async def __call__(self, connection: HTTPConnection) -> Peer:
        try:
            return self._access.check(peer(connection), what=connection.url.path)
        except PeerDenied as error:
            problem = Problem.of(error)
            if connection.scope["type"] == "websocket":
                raise WebSocketException(1008, problem.code) from error
            raise AccessRefused(problem) from error


def allow(*rules: str, policy: Policy | str | Path | None = None, **conditions: Any) -> ClientCertificate:
    """A dependency that gives the caller's Peer when it is allowed, by what Access.of takes; without any, when proven.

    Otherwise the request ends with 401 (no certificate) or 403 (the rules), and says why.
    """
    return ClientCertificate(Access.of(*rules, policy=policy, **conditions))


def bound(claims: Callable[..., Any]) -> Callable[..., Any]:
    """A dependency that gives the claims of an access token that is bound to the caller's certificate (RFC 8705).

    `claims` is your own dependency: it verifies the token and gives its claims. A token that is bound to another
    certificate, or to none, ends the request with 401 and invalid_token.
    """

    async def bound_claims(connection: HTTPConnection, found: Any = Depends(claims)) -> Any:  # noqa: B008
        try:
            check_bound(found, peer(connection))
        except PeerDenied as error:
            raise AccessRefused(Problem.of(error)) from error
        return found

    return bound_claims


Caller = Annotated[Peer, Depends(allow())]
"""Whoever is proven: `def update(caller: Caller)`."""


def install(app: FastAPI) -> None:
    """Have refusals answered as problem documents (RFC 9457), and the OpenAPI document say `mutualTLS`, 401 and 403."""
    app.add_exception_handler(AccessRefused, _answer)
    app.add_exception_handler(PeerDenied, _answer)
    original = app.openapi

    def openapi() -> dict[str, Any]:
        return _told(original())

    app.openapi = openapi  # type: ignore[method-assign]


async def _answer(_: Request, error: Exception) -> Response:
    if isinstance(error, AccessRefused):
        return as_response(error.problem)
    assert isinstance(error, PeerDenied)
    return as_response(Problem.of(error))


def _told(document: dict[str, Any]) -> dict[str, Any]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    if SCHEME not in schemes:
        return document
    schemes[SCHEME] = {"type": "mutualTLS", "description": DESCRIPTION}
    for operations in document["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict) and any(SCHEME in one for one in operation.get("security", ())):
                responses = operation.setdefault("responses", {})
                responses.setdefault("401", _response("No client certificate was shown"))
                responses.setdefault(
                    "403", _response("The caller is not allowed; the document names the rule")
                )
    return document


def _response(description: str) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in ("type", "title", "detail", "code", "remedy")}
    schema = {"type": "object", "properties": {**properties, "status": {"type": "integer"}}}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}
