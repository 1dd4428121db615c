"""One gateway process at work: its listeners on one loop, reload by generation, drain."""

from __future__ import annotations

import contextlib
import gc
import itertools
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from twoway.errors import TwowayError
from twoway.gateway.admin import Admin
from twoway.gateway.channel import Channel
from twoway.gateway.desk import GatewayDesk
from twoway.gateway.frontend import Frontend
from twoway.gateway.loop import Loop
from twoway.gateway.material import Material
from twoway.gateway.metrics import MetricsPage
from twoway.gateway.options import GatewayOptions
from twoway.gateway.reloading import Reloader
from twoway.gateway.sockets import bind, port_of, remove
from twoway.gateway.upkeep import Upkeep
from twoway.server.journal import Journal

_DRAIN_LOOK = 0.05


class Gateway:
    """All listeners of one process. `ports` are known as soon as it is made.

    Made of options whose files load: raises ConfigError before anything listens. `run` returns after `stop`,
    when the running connections have ended or `drain_seconds` are over. With a `parent`, the other end of a
    socket pair, it is the worker number `serial` (see crew.py): it accepts only on the sockets that it is told to cover,
    and loads anew only when it is told to. One of them `fetches` what authorities publish, for all.
    """

    def __init__(
        self,
        options: GatewayOptions,
        *,
        journal: Journal | None = None,
        materials: list[Material] | None = None,
        sockets: Sequence[Sequence[socket.socket]] | None = None,
        parent: socket.socket | None = None,
        fetches: bool = True,
        serial: int = 0,
    ) -> None:
        self.options = options
        self.journal = journal or Journal(options.log_format, access=options.access_log)
        self.loop = Loop(self._failed)
        self.began = time.monotonic()
        self.desk = GatewayDesk(self)
        self.draining = False
        self._parent: Channel | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(self.loop.dispose)
            materials = materials or [Material(one) for one in options.listeners]
            if sockets is None:
                made = []
                for one in options.listeners:
                    sock = bind(one)
                    undo.callback(sock.close)
                    made.append([sock])
                sockets = made
            self.frontends = [
                Frontend(one, material, mine, self.loop, self.journal, _numbers(serial) if parent else None)
                for one, material, mine in zip(options.listeners, materials, sockets, strict=True)
            ]
            self.admin = Admin(self.desk, self.loop, options.admin) if options.admin is not None else None
            if self.admin is not None:
                undo.callback(self.admin.close)
            self.metrics = (
                MetricsPage(self.desk, self.loop, options.metrics) if options.metrics is not None else None
            )
            undo.pop_all()
        if parent is not None:
            self._parent = Channel(self.loop, parent, self._told, self.stop)
        self._upkeep = Upkeep(self.frontends, self.journal, fetches=fetches)
        self._reloader = Reloader(self.frontends, self.loop, self.journal, watch=parent is None)

    @property
    def ports(self) -> list[int]:
        """The TCP port of each listener; 0 for a UNIX socket."""
        return [port_of(frontend.sock) for frontend in self.frontends]

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serve until `stop`; signals are handled by `handled_signals`, or by whoever runs us."""
        for frontend in self.frontends:
            if self._parent is None:
                frontend.sock.listen(self.options.backlog)
            frontend.start(None if self._parent is None else ())
        for page in (self.admin, self.metrics):
            if page is not None:
                page.start()
        self._reloader.start()
        self._upkeep.start()
        if ready is not None:
            self.loop.soon(ready)
        if self._parent is not None:
            self.loop.soon(lambda: self._say("ready"))
        try:
            self.loop.run()
        finally:
            self._upkeep.stop()
            self._reloader.stop()
            self._close()

    def _close(self) -> None:
        for frontend in self.frontends:
            for connection in tuple(frontend.connections):
                connection.cut(TwowayError())
            if frontend.options.listen.path and self._parent is None:
                remove(frontend.options.listen.path, frontend.sock)
            frontend.stop()
            if frontend.pool is not None:
                frontend.pool.close()
            if frontend.http is not None:
                frontend.http.close()
        for page in (self.admin, self.metrics, self._parent):
            if page is not None:
                page.close()
        self.loop.dispose()

    # -- the parent of several workers -----------------------------------------------------------------

    def _told(self, message: dict[str, Any]) -> None:
        """A request of the parent: its answer carries the same id."""
        channel, number = self._parent, message["id"]
        assert channel is not None
        self.desk.ask(message, lambda answer: channel.send({"id": number, "answer": answer}))

    def _say(self, event: str) -> None:
        if self._parent is not None:
            self._parent.send({"event": event})

    # -- ending --------------------------------------------------------------------------------------

    def stop(self, *, again: bool = True, gentle: bool = False) -> None:
        """Take nobody new and end when the running connections have; for every thread.

        A second time ends now, unless not `again`. `gentle`: somebody else takes over, so that who is in the middle
        of a handshake is led to its end here.
        """
        self.loop.soon(lambda: self._drain(again, gentle))

    def _drain(self, again: bool, gentle: bool) -> None:
        if self.draining:
            if again:
                self.loop.stop()
            return
        self.draining = True
        self._say("leaving")
        open_ = sum(len(frontend.connections) for frontend in self.frontends)
        self.journal.event(
            "draining", f"no new connections; up to {self.options.drain_seconds:g} s for {open_} running ones"
        )
        for frontend in self.frontends:
            if frontend.options.listen.path and self._parent is None:
                remove(frontend.options.listen.path, frontend.sock)
            frontend.stop()
            for connection in tuple(frontend.connections):
                if connection.relay is not None:
                    connection.relay.leave(gentle=gentle)
                elif not gentle and connection.stage != "refused":
                    connection.drop()
        end = self.loop.now + self.options.drain_seconds

        def look() -> None:
            left = sum(len(frontend.connections) for frontend in self.frontends)
            if not left or self.loop.now >= end:
                self.journal.event(
                    "stopped", f"{left} connections were cut" if left else "all connections have ended"
                )
                self.loop.stop()
            else:
                self.loop.later(_DRAIN_LOOK, look)

        look()

    @contextlib.contextmanager
    def handled_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT drain, a second one ends at once, SIGHUP reloads. For the main thread."""

        def on_signal(number: int, _: FrameType | None) -> None:
            if number == signal.SIGHUP:
                self.request_reload()
            else:
                self.stop()

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- reload --------------------------------------------------------------------------------------

    def request_reload(
        self, reply: Callable[[dict[str, Any]], None] | None = None, *, only: Sequence[int] | None = None
    ) -> None:
        """Load everything anew now, or only the listeners with these numbers; for every thread.

        `reply` is called in the loop's thread, with how it went.
        """
        self._upkeep.hurry()  # whoever asks may know of a revocation
        self._reloader.request(reply, only=only)

    def _failed(self, error: BaseException) -> None:
        self.journal.fault("internal-error", "a connection ends by a fault of ours", error)


def keep_what_is_loaded() -> None:
    """Spare the collector what stays for good: it need not walk it again under load."""
    gc.collect()
    gc.freeze()


def _numbers(serial: int) -> Iterator[int]:
    """Numbers that no other worker gives to its connections: the last three digits are the worker's."""
    return itertools.count(1000 + serial % 1000, 1000)


def raise_descriptor_limit() -> int:
    """Allow as many open files as the system lets us: the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft
