"""Starlette: `request.user` is the proven caller, `@requires` and `@allow` ask what it may do.

Middleware(AuthenticationMiddleware, backend=PeerBackend())
@allow(uri="spiffe://acme.example/orders/**")
async def update(request): ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from twoway.errors import PeerDenied, UsageError
from twoway.integrations.access import Access
from twoway.integrations.asgi import PeerMiddleware as PeerMiddleware
from twoway.integrations.problem import Problem
from twoway.server.peer import peer as peer_of_scope
from twoway.trust import Peer, Policy

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
AUTHENTICATED = "authenticated"


class PeerUser(BaseUser):
    """The caller as Starlette's `request.user`; `peer` has everything that was proven."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return self.peer.describe()

    @property
    def identity(self) -> str:
        """The SPIFFE ID, else the SHA-256 of the certificate: a common name need not be unique."""
        return self.peer.spiffe_id or self.peer.fingerprint


class PeerBackend(AuthenticationBackend):
    """Tells AuthenticationMiddleware who calls; a caller without a certificate is UnauthenticatedUser.

    Each of `scopes` is a name and the policy of those who have it; whoever is proven has "authenticated".
    """

    def __init__(self, scopes: Mapping[str, Policy | str | Path] | None = None) -> None:
        self._scopes = {
            name: Access.of(policy=policy, what=name).policy for name, policy in (scopes or {}).items()
        }

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        who = peer(conn)
        if who is None:
            return None
        granted = [name for name, policy in self._scopes.items() if policy.decide(who)]
        return AuthCredentials([AUTHENTICATED, *granted]), PeerUser(who)


def peer(connection: HTTPConnection) -> Peer | None:
    """Who the caller of this request or WebSocket proved to be; None without a certificate. As twoway.peer."""
    return peer_of_scope(connection.scope)


def allow(
    *rules: str, policy: Policy | str | Path | None = None, **conditions: Any
) -> Callable[[Endpoint], Endpoint]:
    """A decorator for endpoints (`request` or `websocket` among the parameters): only callers who are allowed get there.

    Takes what Access.of takes. Others get 401 or 403 as a problem document, or a closed WebSocket.
    """
    access = Access.of(*rules, policy=policy, **conditions)

    def decorate(endpoint: Endpoint) -> Endpoint:
        what = endpoint.__name__

        @functools.wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            connection = _connection(args, kwargs, what)
            try:
                access.check(peer(connection), what=connection.url.path)
            except PeerDenied as error:
                problem = Problem.of(error)
                if isinstance(connection, WebSocket):
                    await connection.close(1008, problem.code)
                    return None
                return as_response(problem)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def as_response(problem: Problem) -> Response:
    return Response(problem.body, problem.status, dict(problem.headers))


def _connection(args: tuple[Any, ...], kwargs: dict[str, Any], what: str) -> HTTPConnection:
    for value in (*args, *kwargs.values()):
        if isinstance(value, HTTPConnection):
            return value
    raise UsageError(f"{what} was called without a request", "give it a parameter `request` (or `websocket`)")
