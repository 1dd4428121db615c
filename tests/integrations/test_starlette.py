"""Starlette on the real server: request.user, scopes, @allow, middleware, WebSocket."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.integrations.conftest import Callers, serving
from twoway.errors import UsageError
from twoway.integrations.starlette import PeerBackend, PeerMiddleware, allow
from twoway.trust import Policy

WEBSOCKET = {
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def who(request: Request) -> JSONResponse:
    user = request.user
    return JSONResponse(
        {"by": user.display_name, "known": user.is_authenticated, "scopes": request.auth.scopes}
    )


@requires("orders:write")
async def write(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.user.identity)


@allow(cn="orders")
async def guarded(request: Request) -> PlainTextResponse:
    return PlainTextResponse("in")


@allow(cn="orders")
def guarded_and_sync(request: Request) -> PlainTextResponse:
    return PlainTextResponse("in")


@allow(cn="orders")
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def application() -> Starlette:
    scopes = {"orders:write": Policy.from_rules(["cn=orders"])}
    return Starlette(
        routes=[
            Route("/who", who),
            Route("/write", write),
            Route("/guarded", guarded),
            Route("/sync", guarded_and_sync),
            WebSocketRoute("/talk", talk),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=PeerBackend(scopes))],
    )


def test_the_user_is_the_proven_caller_with_the_scopes_of_its_policies(callers: Callers):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port).json == {
            "by": "orders",
            "known": True,
            "scopes": ["authenticated", "orders:write"],
        }
        assert callers.ask(port, who="reports").json["scopes"] == ["authenticated"]
        assert callers.ask(port, who=None).json == {"by": "", "known": False, "scopes": []}


def test_requires_lets_in_whom_the_policy_of_the_scope_allows(callers: Callers):
    with serving(callers.pki, application()) as port:
        assert len(callers.ask(port, "/write").body) == 64  # a fingerprint: the certificate has no SPIFFE ID
        assert callers.ask(port, "/write", "reports").status == 403


@pytest.mark.parametrize("path", ["/guarded", "/sync"])
def test_allow_refuses_others_and_says_why(callers: Callers, path: str):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port, path).body == b"in"
        refused = callers.ask(port, path, "reports")
        assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
        assert "reports proved who it is and is not let in: no allow rule matches" in refused.json["detail"]
        nobody = callers.ask(port, path, None)
        assert (nobody.status, nobody.json["code"]) == (401, "nobody_proven")
        assert nobody.headers["www-authenticate"].startswith("ClientCertificate")


def test_a_websocket_is_refused_before_it_is_accepted(callers: Callers):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port, "/talk", headers=WEBSOCKET).status == 101
        assert callers.ask(port, "/talk", "reports", headers=WEBSOCKET).status == 403


def test_a_header_never_says_who_called(callers: Callers):
    forged = {
        "client-cert": ":AAAA:",
        "ssl-client-s-dn": "CN=orders",
        "x-forwarded-client-cert": "By=a;Hash=b",
    }
    with serving(callers.pki, application()) as port:
        assert callers.ask(port, "/guarded", None, headers=forged).status == 401


def test_the_middleware_guards_the_whole_application_and_leaves_the_peer_in_the_state(callers: Callers):
    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.peer.describe())

    app = Starlette(
        routes=[Route("/who", told), WebSocketRoute("/talk", talk)],
        middleware=[Middleware(PeerMiddleware, "cn=orders")],
    )
    with serving(callers.pki, app) as port:
        assert callers.ask(port).body == b"orders"
        assert callers.ask(port, who="reports").status == 403
        assert callers.ask(port, who=None).status == 401
        assert callers.ask(port, "/talk", "reports", headers=WEBSOCKET).status == 403


def test_the_optional_middleware_refuses_nobody(callers: Callers):
    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(request.state.peer))

    app = Starlette(routes=[Route("/who", told)], middleware=[Middleware(PeerMiddleware, optional=True)])
    with serving(callers.pki, app) as port:
        assert callers.ask(port, who=None).body == b"None"


def test_on_another_server_nobody_is_proven_and_nothing_is_answered():
    """Fail closed: a scope without our extension is no caller without a certificate, but a wrong set-up."""
    request = Request({"type": "http", "path": "/", "headers": [], "server": ("localhost", 80)})
    with pytest.raises(UsageError, match="did not come through a server of twoway"):
        asyncio.run(guarded(request))


def test_an_endpoint_without_a_request_says_so():
    @allow()
    async def nothing() -> None: ...

    with pytest.raises(UsageError, match="nothing was called without a request"):
        asyncio.run(nothing())
