"""Several processes on one listening socket: started, watched, restarted, and ended together."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Protocol

from twoway.server.journal import Journal
from twoway.server.options import ServeOptions
from twoway.server.running import HANDLED as HELD

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
STEADY_SECONDS = 30.0  # a worker that lived this long was not failing at its start
_GRACE_SECONDS = 5.0
_WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


class Closable(Protocol):
    """Something that is listened on, or several of it."""

    def close(self) -> None: ...


class Crew(Protocol):
    """How many processes, and how long they may take to end: seconds."""

    @property
    def workers(self) -> int: ...
    @property
    def drain_seconds(self) -> float: ...


class Supervisor:
    """Keeps `count` children of this process running; each runs `work` and has an event loop of its own.

    A child is forked from a parent that has loaded the application and bound the socket, and has no threads
    and no loop. A child that dies is replaced, at once the first time, then ever more slowly.
    """

    def __init__(self, work: Callable[[], None], sock: Closable, options: Crew, journal: Journal) -> None:
        self._work, self._socket, self._count, self._journal = work, sock, options.workers, journal
        self._patience = options.drain_seconds + _GRACE_SECONDS
        self._children: dict[int, float] = {}
        self._delay = 0.0
        self._due = 0.0

    def run(self, ready: Callable[[], None]) -> None:
        """Supervise until SIGTERM or SIGINT, and until every child has ended."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            ready()
            self._loop(before)
        finally:
            self._end(signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _loop(self, mask: set[signal.Signals] | set[int]) -> None:
        while True:
            while len(self._children) < self._count and time.monotonic() >= self._due:
                self._start(mask)
            received = signal.sigtimedwait(_WATCHED, 0.5)
            number = received.si_signo if received is not None else None
            self._reap()
            if number == signal.SIGHUP:
                self._send(signal.SIGHUP)
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._drain()
                return

    def _start(self, mask: set[signal.Signals] | set[int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._children[pid] = time.monotonic()
            self._journal.event("worker", f"started {pid}", pid=pid)
            return
        status = 1
        try:
            # What comes before the child listens for signals waits until it does.
            signal.pthread_sigmask(signal.SIG_SETMASK, {*mask, *HELD})
            self._work()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException as error:  # noqa: BLE001 - a child must never return into the parent's code
            self._journal.fault("worker", f"{os.getpid()} failed", error)
            if os.environ.get("TWOWAY_DEBUG"):
                traceback.print_exc()
        finally:
            os._exit(status)

    def _reap(self) -> None:
        for pid in tuple(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            lived = time.monotonic() - self._children.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            self._delay = (
                0.0 if lived > STEADY_SECONDS else min(max(FIRST_DELAY, self._delay * 2), LONGEST_DELAY)
            )
            self._due = time.monotonic() + self._delay
            how = f"signal {-code}" if code < 0 else f"status {code}"
            self._journal.event(
                "worker", f"{pid} ended with {how}; another one starts in {self._delay:g} s", pid=pid
            )

    def _drain(self) -> None:
        self._socket.close()  # the children close theirs: from then on nobody new is taken
        self._send(signal.SIGTERM)
        end = time.monotonic() + self._patience
        while self._children and time.monotonic() < end:
            received = signal.sigtimedwait(_WATCHED, 0.2)
            if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                self._send(signal.SIGTERM)
            for pid in tuple(self._children):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._children[pid]

    def _end(self, number: signal.Signals) -> None:
        self._send(number)
        for pid in tuple(self._children):
            os.waitpid(pid, 0)
            del self._children[pid]

    def _send(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)


def supervise(
    work: Callable[[], None],
    sock: socket.socket,
    options: ServeOptions,
    journal: Journal,
    ready: Callable[[], None],
) -> None:
    """Run `work` on the listening `sock` in `options.workers` processes until a signal ends them."""
    Supervisor(work, sock, options, journal).run(ready)
