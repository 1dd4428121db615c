"""One server process: uvicorn's life cycle on our listener, with reload and drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from twoway.errors import ConfigError
from twoway.server.journal import Journal, with_access_log
from twoway.server.options import ServeOptions
from twoway.server.pace import Pace
from twoway.server.protocols import PeerHttpProtocol, PeerWebSocketProtocol
from twoway.server.upkeep import Upkeep
from twoway.tls import Listener, LiveServer, Refusal, Session
from twoway.tls.aio import TlsConnection
from twoway.tls.recorder import Recorder

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class CannotListen(ConfigError):
    """The address cannot be listened on."""

    code = "cannot_listen"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host, self.port, self.reason = host, port, reason

    def __str__(self) -> str:
        return f"cannot listen on {self.host} port {self.port}: {self.reason}"

    @property
    def remedy(self) -> str:
        if self.reason.lower().startswith("permission"):
            return "ports below 1024 need privileges: choose a higher one, such as 8443"
        return "choose another port, or stop what listens there"


class StartFailed(ConfigError):
    """The application said no when it was started."""

    code = "start_failed"

    def __str__(self) -> str:
        return "the application failed in its start-up (lifespan)"

    @property
    def remedy(self) -> str:
        return "its own traceback is in the log above"


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet; raises CannotListen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(host, port, error.strerror or str(error)) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise CannotListen(host, port, error.strerror or str(error)) from None
    sock.set_inheritable(True)
    return sock


class Server(uvicorn.Server):
    """uvicorn's server, except that the connections are ours.

    Made from a live generation that has passed its trial; `port` is known as soon as it is made.
    """

    def __init__(
        self,
        application: Any,
        options: ServeOptions,
        live: LiveServer,
        sock: socket.socket,
        journal: Journal,
        ready: Callable[[], None] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._recorder = recorder
        self.options, self.live, self.journal, self.sock = options, live, journal, sock
        self.port: int = sock.getsockname()[1]
        self.listener: Listener | None = None
        self._ready = ready
        self.servers: list[Any] = []
        self._watching: asyncio.Task[None] | None = None
        self._upkeep = Upkeep(live, options, journal)
        self._pace = Pace(options.request_seconds, options.stall_seconds)
        config = uvicorn.Config(
            with_access_log(application, journal) if journal.access else application,
            http=PeerHttpProtocol,
            ws=PeerWebSocketProtocol,
            interface="asgi3",
            lifespan="auto",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # a header never says who called
            server_header=False,
            timeout_keep_alive=options.keep_alive_seconds,
            timeout_graceful_shutdown=int(options.drain_seconds),
            limit_concurrency=options.concurrency,
            backlog=options.backlog,
            workers=1,
        )
        super().__init__(config)

    # -- life ----------------------------------------------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise StartFailed
        loop = asyncio.get_running_loop()
        recorder = self._recorder
        self.listener = Listener(
            self.live,
            self._protocol,
            refused=self._refused if recorder is not None else self.journal.refused,
            limits=self.options.limits,
            loop=loop,
            connection=recorder.connection if recorder is not None else TlsConnection,
        )
        self.servers = [await loop.create_server(self.listener, sock=self.sock, backlog=self.options.backlog)]
        self._watching = loop.create_task(self._upkeep.run(self.listener, self.drop_slow))
        self.started = True
        if self._ready is not None:
            self._ready()

    def _refused(self, refusal: Refusal) -> None:
        assert self._recorder is not None
        self._recorder.refused(refusal)
        self.journal.refused(refusal)

    def _protocol(self, _session: Session) -> asyncio.Protocol:
        return PeerHttpProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.journal.event(
            "draining", f"no new connections; up to {self.options.drain_seconds:g} s for the running ones"
        )
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        for server in self.servers:
            server.close()
        if self.listener is not None:
            self.listener.abort_handshakes()
        try:
            await super().shutdown(sockets)
        finally:
            if self.listener is not None:
                for connection in tuple(self.listener.connections):
                    connection.abort()
        self.journal.event("stopped", "all connections have ended")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT drain, a second one ends at once, SIGHUP reloads; nothing is raised afterwards."""
        loop = asyncio.get_running_loop()
        try:
            for number in HANDLED:
                loop.add_signal_handler(number, self._on_signal, number)
        except (RuntimeError, ValueError):  # not in the main thread: whoever runs us stops us
            yield
            return
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        try:
            yield
        finally:
            for number in HANDLED:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._upkeep.asked.set()
        elif self.should_exit:
            self.force_exit = True
        else:
            self.should_exit = True

    def drop_slow(self, now: float) -> None:
        """Close the connections whose clients have kept us waiting too long; `now` is the loop's time."""
        for connection, what, seconds in self._pace.too_slow(tuple(self.server_state.connections), now):
            self.journal.event("dropped", f"{connection.describe()} did not {what} within {seconds:g} s")
            connection.give_up(what)

    # -- reload --------------------------------------------------------------------------------------

    def request_reload(self) -> None:
        """Load everything anew now, without waiting for a file to change. For the loop's own thread."""
        self._upkeep.asked.set()
