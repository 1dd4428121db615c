"""A gateway as a process: bind, serve, reload by generation, drain, and several workers on one port."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from twoway.errors import TwowayError
from twoway.gateway.admin import Admin
from twoway.gateway.frontend import Frontend
from twoway.gateway.loop import Loop
from twoway.gateway.material import Material
from twoway.gateway.metrics import MetricsPage
from twoway.gateway.options import GatewayOptions, ListenerOptions
from twoway.gateway.upkeep import Upkeep
from twoway.server.journal import Journal
from twoway.server.running import SETTLE_SECONDS, WATCH_SECONDS, CannotListen
from twoway.server.workers import Supervisor
from twoway.tls.reload import FileWatch

_RETRY_SECONDS = 0.1
_DRAIN_LOOK = 0.05


def bind(options: ListenerOptions, *, share: bool = False) -> socket.socket:
    """A bound, non-blocking socket that does not listen yet; raises CannotListen. `share`: SO_REUSEPORT."""
    address = options.listen
    family, place = address.resolve()
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_UNIX:
            _remove_stale(str(place))
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
            if share:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if options.tls_in:
                # Who says nothing is the kernel's until the limit: it costs not even a descriptor.
                seconds = max(1, int(options.bounds.handshake_seconds))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
        before = os.umask(0o077)
        try:
            sock.bind(place)
        finally:
            os.umask(before)
    except OSError as error:
        sock.close()
        raise CannotListen(address.path or address.host, address.port, error.strerror or str(error)) from None
    return sock


def _remove_stale(path: str) -> None:
    """A UNIX socket that nobody listens on any more is in the way; anything else is left alone."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError:
        return


class Gateway:
    """All listeners of one process at work. `ports` are known as soon as it is made.

    Made of options whose files load: raises ConfigError before anything listens. `run` returns after `stop`,
    when the running connections have ended or `drain_seconds` are over.
    """

    def __init__(
        self,
        options: GatewayOptions,
        *,
        journal: Journal | None = None,
        materials: list[Material] | None = None,
        sockets: list[socket.socket] | None = None,
    ) -> None:
        self.options = options
        self.journal = journal or Journal(options.log_format, access=options.access_log)
        self.loop = Loop(self._failed)
        self.began = time.monotonic()
        with contextlib.ExitStack() as undo:
            undo.callback(self.loop.dispose)
            materials = materials or [Material(one) for one in options.listeners]
            if sockets is None:
                sockets = []
                for one in options.listeners:
                    sock = bind(one)
                    undo.callback(sock.close)
                    sockets.append(sock)
            self.frontends = [
                Frontend(one, material, sock, self.loop, self.journal)
                for one, material, sock in zip(options.listeners, materials, sockets, strict=True)
            ]
            self.admin = Admin(self, options.admin) if options.admin is not None else None
            if self.admin is not None:
                undo.callback(self.admin.close)
            self.metrics = MetricsPage(self, options.metrics) if options.metrics is not None else None
            undo.pop_all()
        self._upkeep = Upkeep(self.frontends, self.journal)
        self._watch = FileWatch(path for one in options.listeners for path in one.watched())
        self._reload_asked = threading.Event()
        self._leaving = threading.Event()
        self.draining = False

    @property
    def ports(self) -> list[int]:
        """The TCP port of each listener; 0 for a UNIX socket."""
        return [_port(frontend.sock) for frontend in self.frontends]

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serve until `stop`; signals are handled by `handled_signals`, or by whoever runs us."""
        for frontend in self.frontends:
            frontend.sock.listen(self.options.backlog)
            frontend.start()
        if self.admin is not None:
            self.admin.start()
        if self.metrics is not None:
            self.metrics.start()
        watcher = threading.Thread(target=self._watch_files, name="twoway-reload", daemon=True)
        watcher.start()
        self._upkeep.start()
        if ready is not None:
            self.loop.soon(ready)
        try:
            self.loop.run()
        finally:
            self._leaving.set()
            self._reload_asked.set()
            self._upkeep.stop()
            watcher.join()
            self._close()

    def _close(self) -> None:
        for frontend in self.frontends:
            for connection in tuple(frontend.connections):
                connection.cut(TwowayError())
            if frontend.sock.fileno() >= 0:
                frontend.stop()
            if frontend.options.listen.path:
                Path(frontend.options.listen.path).unlink(missing_ok=True)
        if self.admin is not None:
            self.admin.close()
        if self.metrics is not None:
            self.metrics.close()
        self.loop.dispose()

    # -- ending --------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take nobody new and end when the running connections have; for every thread. Twice: end now."""
        self.loop.soon(self._drain)

    def _drain(self) -> None:
        if self.draining:
            self.loop.stop()
            return
        self.draining = True
        open_ = sum(len(frontend.connections) for frontend in self.frontends)
        self.journal.event(
            "draining", f"no new connections; up to {self.options.drain_seconds:g} s for {open_} running ones"
        )
        for frontend in self.frontends:
            frontend.stop()
            for connection in tuple(frontend.connections):
                if connection.relay is None and connection.stage != "refused":
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

    def request_reload(self) -> None:
        """Load everything anew now, without waiting for a file to change; for every thread."""
        self._reload_asked.set()

    def _watch_files(self) -> None:
        while not self._leaving.is_set():
            asked = self._reload_asked.wait(WATCH_SECONDS)
            if self._leaving.is_set():
                return
            self._reload_asked.clear()
            if self._watch.changed() or asked:
                for frontend in self.frontends:
                    self._reload(frontend)

    def _reload(self, frontend: Frontend) -> None:
        """In the watching thread: key and certificate are replaced one after the other, so try for two seconds."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                frontend.material.reload()
                self.loop.soon(lambda: self._reloaded(frontend))
                return
            except TwowayError as error:
                if time.monotonic() < end and not self._leaving.is_set():
                    time.sleep(_RETRY_SECONDS)
                    continue
                self._not_reloaded(frontend, error)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, what serves keeps serving
                self._not_reloaded(frontend, error)
                return

    def _reloaded(self, frontend: Frontend) -> None:
        cut = frontend.reauthorize()
        frontend.tally.reloads += 1
        frontend.tally.last_reload_error = ""
        number = frontend.material.number
        self.journal.event(
            "reloaded", f"{frontend.name}: generation {number} serves; {cut} connections were cut",
            listener=frontend.name, generation=number, cut=cut,
        )  # fmt: skip

    def _not_reloaded(self, frontend: Frontend, error: BaseException) -> None:
        frontend.tally.reloads_failed += 1
        frontend.tally.last_reload_error = str(error)
        self.journal.fault("reload-failed", f"{frontend.name}: the old configuration keeps serving", error)

    def _failed(self, error: BaseException) -> None:
        self.journal.fault("internal-error", "a connection ends by a fault of ours", error)


def _port(sock: socket.socket) -> int:
    name = sock.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def raise_descriptor_limit() -> int:
    """Allow as many open files as the system lets us: the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft


def run(options: GatewayOptions, *, journal: Journal | None = None) -> None:
    """Run a gateway until a signal ends it; raises ConfigError before anything listens."""
    journal = journal or Journal(options.log_format, access=options.access_log)
    raise_descriptor_limit()
    materials = [Material(one) for one in options.listeners]
    if options.workers == 1:
        gateway = Gateway(options, journal=journal, materials=materials)
        with gateway.handled_signals():
            keep_what_is_loaded()
            gateway.run(lambda: announce(journal, gateway.frontends))
        return
    reserved = [bind(one, share=True) for one in options.listeners]

    def work() -> None:
        mine = [_own(one, sock) for one, sock in zip(options.listeners, reserved, strict=True)]
        gateway = Gateway(options, journal=journal, materials=materials, sockets=mine)
        with gateway.handled_signals():
            keep_what_is_loaded()
            gateway.run(lambda: announce(journal, gateway.frontends))

    try:
        Supervisor(work, _Sockets(reserved), options, journal).run(lambda: None)
    finally:
        for one in options.listeners:
            if one.listen.path:
                Path(one.listen.path).unlink(missing_ok=True)


def keep_what_is_loaded() -> None:
    """Spare the collector what stays for good: it need not walk it again under load."""
    gc.collect()
    gc.freeze()


def _own(options: ListenerOptions, reserved: socket.socket) -> socket.socket:
    """A worker's own socket on the port that the parent has reserved: nothing shared, nothing contended for."""
    if reserved.family == socket.AF_UNIX:
        return reserved
    sock = socket.socket(reserved.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    for level, name, value in (
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (
            socket.IPPROTO_TCP,
            socket.TCP_DEFER_ACCEPT,
            int(options.bounds.handshake_seconds) if options.tls_in else 0,
        ),
    ):
        sock.setsockopt(level, name, value)
    sock.bind(reserved.getsockname())
    reserved.close()
    return sock


class _Sockets:
    """Several listening sockets, closed as one."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


def announce(journal: Journal, frontends: list[Frontend]) -> None:
    """Say where and for whom each listener works, and every weakening."""
    for frontend in frontends:
        options = frontend.options
        place = options.listen if options.listen.path else f"{options.listen.host}:{_port(frontend.sock)}"
        targets = ", ".join(str(target) for target in options.targets)
        way = "mutual TLS in" if options.tls_in else "plain in"
        out = "mutual TLS out" if options.tls_out else "plain out"
        journal.event(
            "listening", f"{place} ({way}) to {targets} ({out})",
            listener=frontend.name, port=_port(frontend.sock), kind=options.kind,
        )  # fmt: skip
        for weakening in _weakenings(options):
            journal.event("weakened", f"{place}: {weakening}")


def _weakenings(options: ListenerOptions) -> Iterator[str]:
    if options.unsafe_plain:
        yield "the plain side may leave this machine (--unsafe-plain)"
    if options.tls_in and options.clients != "required":
        yield f"client certificates are {'optional' if options.clients == 'optional' else 'not asked for'}"
    if options.allow_anyone_proven:
        yield "whoever the authority has given an identity may pass (--allow-anyone-proven)"
    if options.crl_rule == "warn":
        yield "a missing or stale revocation list lets clients pass (--crl-rule warn)"
