"""An epoll loop with timers: the gateway's own, because a relay's CPU is mostly what lies between two reads."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from threading import RLock

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP
_EXCLUSIVE = select.EPOLLEXCLUSIVE
_BATCH = 256

Handler = Callable[[int], None]
Failed = Callable[[BaseException], None]


class Timer:
    """Something that is called later, unless `cancel` comes first."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self._call = None

    def fire(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Loop:
    """One thread, one epoll, handlers by descriptor. `now` is the monotonic time of the current turn, in seconds.

    Sockets are closed at the end of a turn: until then no descriptor number is used again, so that an event
    of the old connection never reaches a new one. An error in a handler is given to `failed` and ends nothing.
    """

    def __init__(self, failed: Failed) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._closing: list[socket.socket] = []
        self._from_elsewhere: deque[Callable[[], None]] = deque()
        self._failed = failed
        self._running = False
        self._lock = RLock()  # a signal handler may interrupt its holder
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.now = time.monotonic()
        self.watch(self._wake, self._woken, READ)

    def watch(self, fd: int, handler: Handler, events: int, *, exclusive: bool = False) -> None:
        """Call `handler(events)` whenever the descriptor is ready."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events | (_EXCLUSIVE if exclusive else 0))

    def rewatch(self, fd: int, handler: Handler, events: int) -> None:
        """Another handler, or other events, for a watched descriptor."""
        self._handlers[fd] = handler
        self._epoll.modify(fd, events)

    def hand_over(self, fd: int, handler: Handler) -> None:
        """Another handler for the same events."""
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Watch a descriptor no longer; nothing happens when it is not watched."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def close(self, sock: socket.socket) -> None:
        """Forget a socket and close it at the end of this turn."""
        self.forget(sock.fileno())
        self._closing.append(sock)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once, after so many seconds."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), timer))
        return timer

    def soon(self, call: Callable[[], None]) -> None:
        """Call in the loop's own thread; for every thread and for signal handlers. Nothing once it is disposed of."""
        self._from_elsewhere.append(call)
        with self._lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        """Go on until `stop`."""
        self._running = True
        poll, handlers, closing = self._epoll.poll, self._handlers, self._closing
        while self._running:
            ready = poll(self._patience(), _BATCH)
            self.now = time.monotonic()
            for fd, events in ready:
                handler = handlers.get(fd)
                if handler is not None:
                    try:
                        handler(events)
                    except Exception as error:  # noqa: BLE001 - one connection's fault is not the others'
                        self._failed(error)
            if closing:
                self._close_all()
            timers = self._timers
            while timers and timers[0][0] <= self.now:
                self._guarded(heapq.heappop(timers)[2].fire)
        self._close_all()

    def stop(self) -> None:
        self._running = False

    def abandon(self) -> None:
        """In a forked child: from now on nothing that is forgotten here is forgotten in the parent too."""
        self._epoll.close()

    def dispose(self) -> None:
        """Close what the loop itself has opened."""
        self._close_all()
        self._epoll.close()
        with self._lock:
            wake, self._wake = self._wake, -1
        os.close(wake)

    def _patience(self) -> float:
        if not self._timers:
            return -1
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _woken(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._from_elsewhere:
            self._guarded(self._from_elsewhere.popleft())

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - as in `run`
            self._failed(error)

    def _close_all(self) -> None:
        for sock in self._closing:
            sock.close()
        self._closing.clear()
