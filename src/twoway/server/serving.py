"""`serve`: from an application and an identity to a running server, in one call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twoway.server.application import Interface, as_asgi, find
from twoway.server.journal import Journal
from twoway.server.library_log import told_in
from twoway.server.options import ServeOptions
from twoway.server.running import Server, bind
from twoway.server.workers import supervise
from twoway.tls import LiveServer, ServerSettings
from twoway.tls.recorder import Recorder

Application = Callable[..., Any] | str


def serve(
    app: Application, *, interface: Interface = "auto", journal: Journal | None = None, **options: Any
) -> None:
    """Serve an ASGI or WSGI application to clients that prove who they are, until a signal ends it.

    `app` is the application or "module:name". `identity` (required) is an identity directory or a
    Credential; with a path everything reloads when its files change, and on SIGHUP. Further options are
    those of ServeOptions: `port` (8443), `host` (loopback), `trust`, `crl`, `policy` or `allow`/`deny`,
    `clients` ("required", "optional", "none"), `workers`. Without a policy whoever the trust proves is let in;
    an empty one lets in nobody. SIGTERM drains. Raises ConfigError before anything is bound.
    """
    chosen = ServeOptions(**options)
    journal = journal or Journal(chosen.log_format, access=chosen.access_log)
    live, application, recorder = prepare(app, interface, chosen)
    sock = bind(chosen.host, chosen.port)

    def say() -> None:
        announce(journal, chosen, live.current.settings, sock.getsockname()[1])

    def work() -> None:
        mine = _recorder(chosen)
        _run(application, chosen, _live(chosen, mine), sock, journal, recorder=mine)

    if chosen.workers > 1:
        sock.listen(chosen.backlog)
        supervise(work, sock, chosen, journal, say)
    else:
        _run(application, chosen, live, sock, journal, say, recorder)


@contextlib.asynccontextmanager
async def running(
    app: Application, *, interface: Interface = "auto", journal: Journal | None = None, **options: Any
) -> AsyncIterator[Server]:
    """The same inside a running event loop; `port=0` takes a free port, told by `server.port`."""
    chosen = ServeOptions(**{"port": 0, **options})
    journal = journal or Journal(chosen.log_format, access=chosen.access_log)
    live, application, recorder = prepare(app, interface, chosen)
    server = Server(application, chosen, live, bind(chosen.host, chosen.port), journal, recorder=recorder)
    task = asyncio.create_task(_told(server))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.001)
        yield server
    finally:
        server.should_exit = True
        await task


async def _told(server: Server) -> None:
    with told_in(server.journal):
        await server._serve()


@contextlib.contextmanager
def background(
    app: Application, *, interface: Interface = "auto", journal: Journal | None = None, **options: Any
) -> Iterator[Server]:
    """The same in a thread with an event loop of its own, for tests and scripts."""
    ready = threading.Event()
    box: dict[str, Any] = {}

    async def story() -> None:
        stop = asyncio.Event()
        box["stop"], box["loop"] = stop, asyncio.get_running_loop()
        async with running(app, interface=interface, journal=journal, **options) as server:
            box["server"] = server
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(story())
        except BaseException as error:  # noqa: BLE001 - raised again where the server was asked for
            box["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="twoway-server")
    thread.start()
    ready.wait()
    if "error" in box:
        thread.join()
        raise box["error"]
    try:
        yield box["server"]
    finally:
        with contextlib.suppress(RuntimeError):
            box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join()
        if "error" in box:
            raise box["error"]


def prepare(
    app: Application, interface: Interface, options: ServeOptions
) -> tuple[LiveServer, Any, Recorder | None]:
    """Load and try everything; nothing is bound yet."""
    recorder = _recorder(options)
    live = _live(options, recorder)
    return live, as_asgi(find(app) if isinstance(app, str) else app, interface), recorder


def _recorder(options: ServeOptions) -> Recorder | None:
    return Recorder(Path(options.record)) if options.record is not None else None


def _live(options: ServeOptions, recorder: Recorder | None) -> LiveServer:
    return LiveServer(options.settings(), recorder.prepare if recorder is not None else None)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's event loop where it is installed, asyncio's elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop  # type: ignore[no-any-return, unused-ignore]


def _run(
    application: Any,
    options: ServeOptions,
    live: LiveServer,
    sock: socket.socket,
    journal: Journal,
    ready: Callable[[], None] | None = None,
    recorder: Recorder | None = None,
) -> None:
    async def story() -> None:
        await Server(application, options, live, sock, journal, ready, recorder).serve()

    # What was loaded until now stays for good: the collector need not walk it again under load.
    gc.collect()
    gc.freeze()
    with told_in(journal), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(story())


def announce(journal: Journal, options: ServeOptions, settings: ServerSettings, port: int) -> None:
    """Say at the start who is served as whom, who is let in, and everything that is weaker than it could be."""
    credential, trust = settings.credential, settings.trust
    host = f"[{options.host}]" if ":" in options.host else options.host
    journal.event(
        "serving", f"https://{host}:{port} as {credential.describe()} ({credential.names})", port=port
    )
    left = credential.not_after - datetime.now(UTC)
    journal.event(
        "identity",
        f"valid until {credential.not_after:%Y-%m-%d %H:%M} UTC ({left.days} days), key {credential.key_type}",
    )
    if options.record is not None:
        journal.event(
            "weakened",
            f"record={options.record}: the secrets of all connections are written there, for explaining",
        )
    if settings.clients == "none":
        journal.event("weakened", "clients=none: nobody is asked for a certificate, everybody may connect")
        return
    assert trust is not None
    authorities = " or ".join(trust.display_names)
    if settings.policy.admits_anyone_proven:
        journal.event("admits", f"anyone whom {authorities} proves")
    else:
        count = len(settings.policy.rules)
        journal.event(
            "admits", f"whom {authorities} proves and {settings.policy.source} allows ({count} rules)"
        )
    if settings.clients == "optional":
        journal.event(
            "weakened", "clients=optional: callers without a certificate reach the application as nobody"
        )
    if trust.checks_revocation:
        journal.event("revocation", f"{len(trust.crls)} lists, rule {trust.crl_rule}")
        if trust.crl_rule == "warn":
            journal.event(
                "weakened", "crl_rule=warn: a missing or stale revocation list lets revoked identities in"
            )
    else:
        journal.event(
            "revocation", "not checked: no revocation list was given (crl.pem beside ca.pem, or --crl)"
        )
