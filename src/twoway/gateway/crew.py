"""The parent of the workers: opens the sockets, loads everything, keeps the workers running, and is what one asks.

    start -> workers are ready -> serving -> (the next process is ready, or a signal) -> draining -> gone

It relays nothing itself, so that it answers whatever the workers do. Forked from it, a worker begins with the
generation in force, never with an old one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from twoway.errors import ConfigError
from twoway.gateway.admin import Admin
from twoway.gateway.announcing import announce
from twoway.gateway.crew_desk import CrewDesk
from twoway.gateway.crew_pulse import Pulse
from twoway.gateway.crew_reload import CrewReload
from twoway.gateway.desk import Reply
from twoway.gateway.handover import Successor, command, say_ready
from twoway.gateway.loop import Loop
from twoway.gateway.material import Material
from twoway.gateway.metrics import MetricsPage
from twoway.gateway.notify import Notifier, Passed
from twoway.gateway.options import GatewayOptions
from twoway.gateway.running import Gateway, keep_what_is_loaded
from twoway.gateway.sockets import handed_name, remove, share_out, told_place
from twoway.gateway.worker import Worker, fork
from twoway.server.journal import Journal
from twoway.tls.reload import FileWatch

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
STEADY_SECONDS = 30.0  # a worker that lived this long was not failing at its start
_GRACE_SECONDS = 5.0
METRICS = "metrics"  # what its socket is called at a handover

Sockets = Sequence[Sequence[socket.socket]]


class WorkersFailed(ConfigError):
    """A worker ended before it had begun to serve."""

    code = "workers_failed"

    def __str__(self) -> str:
        return "a worker ended before it was ready"

    @property
    def remedy(self) -> str:
        return "its own words are in the log above"


class Crew:
    """Made of loaded materials and of listening sockets, which it owns from then on; `run` returns when all is over."""

    def __init__(
        self,
        options: GatewayOptions,
        materials: list[Material],
        sockets: Sockets,
        journal: Journal,
        notifier: Notifier,
        *,
        watch: FileWatch,
        metrics: socket.socket | None = None,
        predecessor: int | None = None,
        kept: frozenset[int] = frozenset(),
    ) -> None:
        self.options, self.materials, self.journal, self.notifier = options, materials, journal, notifier
        self.loop = Loop(
            lambda error: journal.fault("internal-error", "the parent of the workers goes on", error)
        )
        self.began = self.loop.now
        self.workers: dict[int, Worker] = {}
        self.deaths = 0
        self.draining = False
        self._sockets, self._predecessor, self._kept = sockets, predecessor, kept
        self._serving = self._handed_over = False
        self._failure: ConfigError | None = None
        self._successor: Successor | None = None
        self._delay = 0.0
        self._started = 0
        self.desk = CrewDesk(self)
        self.reload = CrewReload(self, watch)
        self._pulse = Pulse(self)
        self._admin = Admin(self.desk, self.loop, options.admin) if options.admin is not None else None
        self._metrics = (
            MetricsPage(self.desk, self.loop, options.metrics, sock=metrics)
            if options.metrics is not None
            else None
        )

    def own(self, uid: int, gid: int) -> None:
        """Give the admin socket to who this process is about to become.

        Nobody is there whose path would be taken away, so it is taken while that is allowed.
        """
        if self._admin is not None:
            self._admin.own(uid, gid)
            if self._predecessor is None:
                self._admin.take_path()

    def run(self) -> None:
        """Serve until a signal, or a successor, ends it; raises WorkersFailed when it does not come up."""
        with self._handled_signals():
            for slot in range(self.options.workers):
                self._start(slot)
            try:
                self.loop.run()
            finally:
                self._close()
        if self._failure is not None:
            raise self._failure

    # -- workers -------------------------------------------------------------------------------------

    def _start(self, slot: int) -> None:
        self._started += 1
        pid, sock = fork(lambda parent: self._work(parent, slot), self.journal, self._let_go)
        self.workers[pid] = Worker(self.loop, sock, pid, slot, self._on_event)
        self.journal.event("worker", f"started {pid}", pid=pid)

    def _let_go(self) -> None:
        """In a child: what is the parent's alone."""
        self.loop.abandon()
        for worker in self.workers.values():
            worker.close()
        self._close_pages(leave_path=True)
        if self._predecessor is not None:
            os.close(self._predecessor)
        self.loop.dispose()

    def _work(self, parent: socket.socket, slot: int) -> None:
        options = dataclasses.replace(self.options, admin=None, metrics=None, workers=1)
        gateway = Gateway(
            options, journal=self.journal, materials=self.materials, sockets=self._sockets, parent=parent,
            fetches=slot == 0, serial=self._started,
        )  # fmt: skip
        keep_what_is_loaded()
        signal.signal(signal.SIGTERM, lambda *_: gateway.stop(again=False, gentle=True))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        gateway.run()

    def _on_event(self, worker: Worker, event: str) -> None:
        if event == "ready":
            worker.ready = True
            if not self._serving and sum(one.ready for one in self.workers.values()) == self.options.workers:
                self._serve()
        elif event == "leaving":
            worker.leaving = True
            if not self.draining:
                self._start(worker.slot)
        self.share_out()

    def share_out(self) -> None:
        """Say who looks at which socket, so that no socket is looked at by nobody."""
        at_work = {
            one.slot: one for one in self.workers.values() if one.ready and not one.leaving and not one.silent
        }
        plans = [share_out(len(sockets), sorted(at_work)) for sockets in self._sockets]
        for slot, worker in at_work.items():
            worker.ask({"do": "cover", "sockets": [plan[slot] for plan in plans]})

    def _reap(self) -> None:
        for pid, worker in tuple(self.workers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self.workers[pid]
            worker.lost()
            if self.draining:
                if not self.workers:
                    self.loop.stop()
                continue
            if worker.leaving:
                continue
            self._died(worker, os.waitstatus_to_exitcode(status))

    def _died(self, worker: Worker, code: int) -> None:
        self.deaths += 1
        if not self._serving:
            self._failure = WorkersFailed()
            self._end_now()
            return
        steady = time.monotonic() - worker.began > STEADY_SECONDS
        self._delay = 0.0 if steady else min(max(FIRST_DELAY, self._delay * 2), LONGEST_DELAY)
        how = f"signal {-code}" if code < 0 else f"status {code}"
        self.journal.event(
            "worker",
            f"{worker.pid} ended with {how}; another one starts in {self._delay:g} s",
            pid=worker.pid,
        )
        self.share_out()
        self.loop.later(self._delay, lambda: None if self.draining else self._start(worker.slot))

    # -- serving -------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """All workers are ready: from here on others may know."""
        try:
            for page in (self._admin, self._metrics):
                if page is not None:
                    page.start()
        except ConfigError as error:
            self._failure = error
            self._end_now()
            return
        self._serving = True
        announce(self.journal, self.options, [sockets[0] for sockets in self._sockets])
        if self._metrics is not None:
            self.journal.event(
                "metrics", f"answered at {told_place(self._metrics.sock)}", port=self._metrics.port
            )
        self.notifier.ready(self.sentence())
        say_ready(self._predecessor)
        self._predecessor = None
        self.reload.watch()
        self._pulse.beat()

    def sentence(self) -> str:
        """The state in a line, for the service manager."""
        count = sum(one.ready for one in self.workers.values())
        generation = max((one.number for one in self.materials), default=0)
        return f"{count} worker{'' if count == 1 else 's'} at work, generation {generation}"

    # -- ending --------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Let the workers drain; a second time ends at once."""
        if self.draining:
            self._end_now()
            return
        self._drain(gentle=False)

    def _drain(self, *, gentle: bool) -> None:
        self.draining = True
        self.notifier.stopping("draining")
        for one, sockets in zip(self.options.listeners, self._sockets, strict=True):
            for sock in sockets:
                if one.listen.path and not self._handed_over and sock.fileno() not in self._kept:
                    remove(one.listen.path, sock)
                sock.close()
        for worker in self.workers.values():
            worker.ask({"do": "drain", "gentle": gentle})
        self.loop.later(self.options.drain_seconds + _GRACE_SECONDS, self._end_now)
        if not self.workers:
            self.loop.stop()

    def _end_now(self) -> None:
        self.draining = True
        for pid in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.loop.stop()

    def _close(self) -> None:
        for pid, worker in self.workers.items():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            worker.lost()
        self._close_pages(leave_path=self._handed_over)
        self.loop.dispose()

    def _close_pages(self, *, leave_path: bool) -> None:
        if self._admin is not None:
            self._admin.close(leave_path=leave_path)
        if self._metrics is not None:
            self._metrics.close()

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        calls = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload.request,
            signal.SIGUSR2: self.restart,
            signal.SIGCHLD: self._reap,
        }

        def on_signal(number: int, _: FrameType | None) -> None:
            self.loop.soon(calls[signal.Signals(number)])

        before = {number: signal.signal(number, on_signal) for number in calls}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- a successor ---------------------------------------------------------------------------------

    def restart(self, reply: Reply = lambda _: None) -> None:
        """Start the next process; when it is ready this one drains, and when it fails nothing has changed."""
        if self._successor is not None or self.draining or not self._serving:
            reply({"error": "a restart is under way already, or the gateway is ending"})
            return
        passed = [
            Passed(handed_name(one), sock, sock.fileno() in self._kept)
            for one, sockets in zip(self.options.listeners, self._sockets, strict=True)
            for sock in sockets
        ]
        if self._metrics is not None:
            passed.append(Passed(METRICS, self._metrics.sock))

        def ready(pid: int) -> None:
            self.journal.event("handed-over", f"process {pid} serves from now on", pid=pid)
            self.notifier.tell(MAINPID=str(pid))
            self._handed_over = True
            if self._metrics is not None:
                self._metrics.close()
            reply({"restart": "done", "pid": pid})
            self._drain(gentle=True)

        def failed(why: str) -> None:
            self._successor = None
            self.journal.event("restart-failed", f"this process goes on: {why}", error=why)
            self.notifier.ready(f"{self.sentence()}; the last restart failed")
            reply({"error": f"the new process did not come up, the old one goes on: {why}"})

        try:
            self._successor = Successor(
                self.loop, passed, ready, failed, command=command(), environment=os.environ
            )
        except OSError as error:
            failed(error.strerror or str(error))
