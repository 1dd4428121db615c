"""From an opened authority to a running service: two ports, and what it does by itself meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from twoway.authority import Authority
from twoway.enroll.keeping import Keeper, keep
from twoway.enroll.options import ServiceOptions
from twoway.enroll.own_identity import OwnIdentity, OwnServeOptions
from twoway.enroll.plain import plain_listener
from twoway.enroll.routes import application
from twoway.enroll.service import Service
from twoway.server import Journal, Server
from twoway.server.running import bind
from twoway.server.serving import loop_factory
from twoway.tls import LiveServer


class Running:
    """A service that listens. `port` and `public_port` are those it got."""

    def __init__(self, service: Service, server: Server, own: OwnIdentity) -> None:
        self.service, self.server, self.own = service, server, own
        self.port = server.port
        self.public_port: int | None = None


def serve(authority: Authority, options: ServiceOptions, journal: Journal | None = None) -> None:
    """Serve until a signal ends it; SIGTERM drains. Raises ConfigError before anything is bound."""
    journal = journal or Journal(options.log_format, access=options.access_log)

    async def story() -> None:
        async with running(authority, options, journal, signals=True):
            pass

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(story())


@contextlib.asynccontextmanager
async def running(
    authority: Authority,
    options: ServiceOptions,
    journal: Journal | None = None,
    *,
    signals: bool = False,
    make: Callable[..., Service] = Service,
) -> AsyncIterator[Running]:
    """The service inside a running event loop. With `signals` the block is left when a signal ends the service."""
    journal = journal or Journal(options.log_format, access=options.access_log)
    authority.unlock()
    service = make(authority, options, journal)
    sock = bind(options.listen.host, options.listen.port)
    own = OwnIdentity(authority, options.own_names, options.own_days, service.now())
    server = _server(service, own, sock, journal)
    found = Running(service, server, own)
    keeper = Keeper(found)
    keeper.turn()  # nobody finds a list missing
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(service.close)
        if options.public_listen is not None:
            plain = plain_listener(application(service, "plain"), options.public_listen, journal)
            found.public_port = await stack.enter_async_context(plain)
        task = asyncio.create_task(server.serve() if signals else server._serve())
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.001)
        _announce(found, options, journal)
        keeping = asyncio.create_task(keep(keeper, found))
        try:
            yield found
            if signals:
                await task
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            server.should_exit = True
            await task
            await service.acme.close()


def _server(service: Service, own: OwnIdentity, sock: socket.socket, journal: Journal) -> Server:
    options = service.options
    serve_options = OwnServeOptions(
        own=own,
        identity=own.current,
        clients="optional",
        host=options.listen.host,
        port=options.listen.port,
        limits=options.limits,
        drain_seconds=options.drain_seconds,
        keep_alive_seconds=options.keep_alive_seconds,
        access_log=options.access_log,
        log_format=options.log_format,
    )
    live = LiveServer(serve_options.settings())
    return Server(application(service, "tls"), serve_options, live, sock, journal)


def _announce(running: Running, options: ServiceOptions, journal: Journal) -> None:
    authority, leaf = running.service.authority, running.own.current.leaf
    journal.event(
        "serving",
        f"the authority {authority.name} at https://{options.own_names[0]}:{running.port}, "
        f"certificate until {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        port=running.port,
    )
    if running.public_port is not None:
        journal.event(
            "serving",
            f"CRLs and roots at http://{options.own_names[0]}:{running.public_port}",
            port=running.public_port,
        )
    for weakening in options.acme.weakenings():
        journal.event("weakened", f"ACME for tests only: {weakening}")
    from twoway.credential import fingerprint_of

    journal.event("root", f"fingerprint {fingerprint_of(authority.root_certificate)}")
