"""aiohttp's server with our TLS: `request[PEER]` is the proven caller, `@allow` asks what it may do.

serve(app, identity="api", port=8443)                 # until a signal ends it
await PeerSite(runner, identity="api", port=8443).start()
"""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from twoway.errors import PeerDenied, UsageError
from twoway.integrations.access import Access
from twoway.integrations.engine import Engine
from twoway.integrations.problem import Problem
from twoway.server.journal import Journal
from twoway.server.options import ServeOptions
from twoway.server.running import bind
from twoway.server.serving import announce, loop_factory
from twoway.tls import Session
from twoway.trust import Peer, Policy

PEER: web.RequestKey[Peer | None] = web.RequestKey("twoway.peer", object)  # type: ignore[arg-type]
"""Where `peers` leaves the caller: a Peer, or None."""

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


class PeerSite(web.BaseSite):
    """A site of an aiohttp runner on which only proven callers reach the application; options are ServeOptions'.

    Raises ConfigError when it is made. `port=0` takes a free one, told by `port`. After `stop` nobody new is taken.
    """

    __slots__ = ("_engine", "_socket", "port")

    def __init__(self, runner: web.BaseRunner, *, journal: Journal | None = None, **options: Any) -> None:
        super().__init__(runner)
        chosen = ServeOptions(**options)
        server = runner.server
        assert server is not None  # BaseSite has asked

        def application(_: Session) -> asyncio.Protocol:
            return server()

        self._engine = Engine(application, chosen, journal)
        self._socket = bind(chosen.host, chosen.port)
        self.port: int = self._socket.getsockname()[1]

    @property
    def name(self) -> str:
        return f"https://{self._engine.options.host}:{self.port}"

    async def start(self) -> None:
        await super().start()
        options = self._engine.options
        listener = self._engine.start()
        self._server = await listener.loop.create_server(listener, sock=self._socket, backlog=options.backlog)
        announce(self._engine.journal, options, self._engine.live.current.settings, self.port)

    async def stop(self) -> None:
        await super().stop()
        await self._engine.stop()


def serve(app: web.Application, *, journal: Journal | None = None, **options: Any) -> None:
    """Serve an aiohttp application to callers who prove who they are, until SIGTERM or SIGINT; then drain.

    Options are ServeOptions'; raises ConfigError before anything is served.
    """

    async def story() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        runner = web.AppRunner(app, shutdown_timeout=ServeOptions(**options).drain_seconds)
        await runner.setup()
        try:
            await PeerSite(runner, journal=journal, **options).start()
            await ended.wait()
        finally:
            await runner.cleanup()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(story())


def peer(request: web.BaseRequest) -> Peer | None:
    """Who the caller of this request proved to be; None without a certificate.

    Raises UsageError where no PeerSite is below the application, or the connection is gone.
    """
    session = request.get_extra_info("twoway.session")
    if not isinstance(session, Session):
        raise UsageError(
            "this request did not come through a server of twoway, so its caller is unknown",
            "serve the application with twoway.integrations.aiohttp.serve, or on a PeerSite",
        )
    return session.peer


@web.middleware
async def peers(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
    """Sets `request[PEER]`, and turns a PeerDenied of a handler into a problem document."""
    request[PEER] = peer(request)
    try:
        return await handler(request)
    except PeerDenied as error:
        return _answer(error)


def allow(
    *rules: str, policy: Policy | str | Path | None = None, **conditions: Any
) -> Callable[[Handler], Handler]:
    """A decorator for handlers: only callers who are allowed (by what Access.of takes) get there.

    Others get 401 or 403 as a problem document. For a method of a View, the request is found on it.
    """
    access = Access.of(*rules, policy=policy, **conditions)

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def guarded(target: Any, *args: Any, **kwargs: Any) -> Any:
            request = target.request if isinstance(target, web.View) else target
            try:
                access.check(peer(request), what=request.path)
            except PeerDenied as error:
                return _answer(error)
            return await handler(target, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def _answer(error: PeerDenied) -> web.Response:
    problem = Problem.of(error)
    return web.Response(body=problem.body, status=problem.status, headers=dict(problem.headers))
