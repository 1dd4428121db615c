"""Django, on ASGI and WSGI: `request.peer` is the proven caller, `@allow` asks what it may do.

    MIDDLEWARE = ["twoway.integrations.django.PeerMiddleware", …]
    TWOWAY_ALLOW = ["uri=spiffe://acme.example/**"]      # or TWOWAY_POLICY = "policy.toml"; neither: whoever is proven
    TWOWAY_OPTIONAL = True                                # callers without a certificate pass, with request.peer None

Users of Django's own are in twoway.integrations.django_users.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, TypeVar, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from twoway.errors import PeerDenied
from twoway.integrations.access import Access
from twoway.integrations.problem import Problem
from twoway.server.peer import peer as peer_of_scope
from twoway.trust import Peer, Policy

View = TypeVar("View", bound=Callable[..., Any])


def peer(request: HttpRequest) -> Peer | None:
    """Who the caller of this request proved to be; None without a certificate. As twoway.peer."""
    return peer_of_scope(getattr(request, "scope", None) or getattr(request, "environ", {}))


@sync_and_async_middleware
def PeerMiddleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:  # noqa: N802
    """Sets `request.peer`; refuses whoever the settings TWOWAY_POLICY or TWOWAY_ALLOW do not let in."""
    rules = getattr(settings, "TWOWAY_ALLOW", ())
    optional = getattr(settings, "TWOWAY_OPTIONAL", False)
    access = Access.of(*rules, policy=getattr(settings, "TWOWAY_POLICY", None), what="this application")

    def refused(request: HttpRequest) -> HttpResponse | None:
        request.peer = who = peer(request)
        if who is None and optional:
            return None
        return _refusal(access, who)

    if iscoroutinefunction(get_response):

        async def later(request: HttpRequest) -> Any:
            return refused(request) or await get_response(request)

        return later

    def now(request: HttpRequest) -> Any:
        return refused(request) or get_response(request)

    return now


def allow(
    *rules: str, policy: Policy | str | Path | None = None, **conditions: Any
) -> Callable[[View], View]:
    """A decorator for views, sync or async: only callers who are allowed (by what Access.of takes) get there.

    Others get 401 or 403 as a problem document. For a class, decorate `dispatch` with method_decorator.
    """
    access = Access.of(*rules, policy=policy, **conditions)

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def later(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                refusal = _refusal(access, peer(request), request.path)
                return refusal or await cast(Awaitable[Any], view(request, *args, **kwargs))

            return cast(View, later)

        @functools.wraps(view)
        def now(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return _refusal(access, peer(request), request.path) or view(request, *args, **kwargs)

        return cast(View, now)

    return decorate


def _refusal(access: Access, who: Peer | None, what: str | None = None) -> HttpResponse | None:
    try:
        access.check(who, what=what)
    except PeerDenied as error:
        problem = Problem.of(error)
        return HttpResponse(problem.body, status=problem.status, headers=dict(problem.headers))
    return None
