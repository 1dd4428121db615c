"""A worker process as its parent sees it: forked, asked, and missed when it is gone."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from twoway.gateway.channel import Channel
from twoway.gateway.desk import Reply
from twoway.gateway.loop import Loop, Timer
from twoway.server.journal import Journal

PATIENCE = 8.0  # for an answer: a reload may try for two seconds before it says no


class Worker:
    """Asks over a socket pair; a request that is not answered in time, or ever, is answered with an error."""

    def __init__(
        self, loop: Loop, sock: socket.socket, pid: int, slot: int, told: Callable[[Worker, str], None]
    ) -> None:
        self.pid, self.slot, self.began = pid, slot, time.monotonic()
        self.ready = self.leaving = self.silent = False
        self._loop, self._told = loop, told
        self._ids = itertools.count()
        self._waiting: dict[int, tuple[Reply, Timer]] = {}
        self._channel = Channel(loop, sock, self._on_message, self.lost)

    def ask(self, request: dict[str, Any], reply: Reply = lambda _: None) -> None:
        """Ask it something; `reply` is called once."""
        number = next(self._ids)
        limit = self._loop.later(
            PATIENCE, lambda: self._settle(number, self._silent("has not answered in time"))
        )
        self._waiting[number] = reply, limit
        self._channel.send({**request, "id": number})

    def lost(self) -> None:
        """It will not answer any more."""
        self._channel.close()
        for number in tuple(self._waiting):
            self._settle(number, self._silent("is gone"))

    def close(self) -> None:
        """Close our end, and tell nobody."""
        self._channel.close()

    def _silent(self, what: str) -> dict[str, Any]:
        return {"error": f"worker {self.pid} {what}"}

    def _settle(self, number: int, answer: dict[str, Any]) -> None:
        reply, limit = self._waiting.pop(number, (None, None))
        if reply is not None and limit is not None:
            limit.cancel()
            reply(answer)

    def _on_message(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._told(self, message["event"])
        else:
            self._settle(message["id"], message["answer"])


def fork(
    work: Callable[[socket.socket], None], journal: Journal, reset: Callable[[], None]
) -> tuple[int, socket.socket]:
    """Run `work(its end of a socket pair)` in a child: its process id and our end.

    `reset` lets go, in the child, of what is the parent's alone. The child never returns.
    """
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    held = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    pid = os.fork()
    if pid:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid, ours
    status = 1
    try:
        ours.close()
        reset()
        # A signal to the whole group is the parent's affair; one to this process alone is a wish to be replaced.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work(theirs)
        status = 0
    except BaseException as error:  # noqa: BLE001 - a child must never return into the parent's code
        journal.fault("worker", f"{os.getpid()} failed", error)
        if os.environ.get("TWOWAY_DEBUG"):
            traceback.print_exc()
    finally:
        os._exit(status)
