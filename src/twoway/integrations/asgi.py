"""Middleware for any ASGI application: only callers whom an Access lets in reach it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from twoway.errors import PeerDenied
from twoway.integrations.access import Access
from twoway.integrations.problem import Problem
from twoway.server.peer import peer
from twoway.trust import Policy

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class PeerMiddleware:
    """Judges every request and WebSocket, and leaves the caller in `scope["state"]["peer"]`.

    `rules`, `policy` and conditions are those of Access.of; none of them lets in whoever is proven. With
    `optional=True` nobody is refused here: the caller may be None. Refusals are problem documents; a WebSocket is
    refused before it is accepted. Raises UsageError where no server of twoway is below.
    """

    def __init__(
        self,
        app: Any,
        *rules: str,
        policy: Policy | str | Path | None = None,
        optional: bool = False,
        **conditions: Any,
    ) -> None:
        self._app, self._optional = app, optional
        self._access = Access.of(*rules, policy=policy, what="this application", **conditions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        who = peer(scope)
        if not self._optional:
            try:
                self._access.check(who)
            except PeerDenied as error:
                await refuse(scope, receive, send, Problem.of(error))
                return
        # Frameworks share one state between requests unless each has a dict of its own.
        await self._app({**scope, "state": {**scope.get("state", {}), "peer": who}}, receive, send)


async def refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    """Answer with the problem; close a WebSocket that is not accepted yet."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
        return
    body = problem.body
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in problem.headers]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
