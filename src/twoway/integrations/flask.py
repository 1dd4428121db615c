"""Flask: `g.peer` is the proven caller, `@allow` asks what it may do.

Peers(app)
@app.post("/order/update")
@allow(uri="spiffe://acme.example/orders/**")
def update(): return {"by": g.peer.describe()}
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from twoway.errors import PeerDenied
from twoway.integrations.access import Access
from twoway.integrations.problem import Problem
from twoway.server.peer import peer as peer_of_environ
from twoway.trust import Peer, Policy

View = TypeVar("View", bound=Callable[..., Any])


class Peers:
    """The extension: before each request `g.peer` is the caller or None, and refusals become problem documents.

    With rules, a policy or conditions (as Access.of) the whole application is only for callers that they let in.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *rules: str,
        policy: Policy | str | Path | None = None,
        **conditions: Any,
    ) -> None:
        asked = bool(rules or conditions or policy is not None)
        self._access = (
            Access.of(*rules, policy=policy, what="this application", **conditions) if asked else None
        )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        app.before_request(self._before)
        app.register_error_handler(PeerDenied, _answer)

    def _before(self) -> None:
        g.peer = peer()
        if self._access is not None:
            self._access.check(g.peer)


def peer() -> Peer | None:
    """Who the caller of the current request proved to be; None without a certificate. As twoway.peer."""
    return peer_of_environ(request.environ)


def allow(
    *rules: str, policy: Policy | str | Path | None = None, **conditions: Any
) -> Callable[[View], View]:
    """A decorator for views: only callers who are allowed (by what Access.of takes) get there; `g.peer` is who.

    Others get 401 or 403 as a problem document. Write it below the route.
    """
    access = Access.of(*rules, policy=policy, **conditions)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                g.peer = access.check(peer(), what=request.path)
            except PeerDenied as error:
                return _answer(error)
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def _answer(error: PeerDenied) -> Response:
    problem = Problem.of(error)
    return Response(problem.body, problem.status, list(problem.headers))
