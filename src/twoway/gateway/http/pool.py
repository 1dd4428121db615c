"""Connections to targets that wait for their next request, and those that carry one."""

from __future__ import annotations

from collections.abc import Callable

from twoway.errors import TwowayError
from twoway.gateway.backend import Target
from twoway.gateway.dialing import Dialing
from twoway.gateway.ends import PlainEnd
from twoway.gateway.loop import READ, Handler, Loop
from twoway.tls import ClientContext

MOST_WAITING = 64  # for each target
WAIT_SECONDS = 15.0
# A request that must not be sent twice goes only where the target has surely not just hung up.
FRESH_SECONDS = 1.0


class Link:
    """One connection to a target. `mask` is what its socket is watched for; `waits_since` while it is in the pool."""

    __slots__ = ("context", "dialing", "end", "mask", "private", "target", "used", "waits_since", "watcher")

    def __init__(self, dialing: Dialing, end: PlainEnd, context: ClientContext | None) -> None:
        assert dialing.target is not None
        self.dialing, self.end, self.mask, self.context = dialing, end, READ, context
        self.target: Target = dialing.target
        self.used = self.private = False
        self.waits_since = 0.0
        self.watcher: Handler | None = None


class Pool:
    """The waiting connections of one listener. What a waiting target sends, or its hanging up, ends it.

    `context_of` gives the TLS context that is in force: a link made in another one is not used again.
    """

    def __init__(self, loop: Loop, context_of: Callable[[], ClientContext | None]) -> None:
        self._loop, self._context_of = loop, context_of
        self._waiting: dict[Target, list[Link]] = {}

    def take(self, target: Target, handler: Handler, *, repeatable: bool) -> Link | None:
        """The one that waits shortest, from now on watched by `handler`; None when there is none to be used."""
        waiting = self._waiting.get(target)
        now = self._loop.now
        while waiting:
            link = waiting[-1]
            if not repeatable and now - link.waits_since > FRESH_SECONDS:
                return None
            waiting.pop()
            if link.context is self._context_of() and now - link.waits_since < WAIT_SECONDS and _quiet(link):
                target.open += 1
                self._loop.hand_over(link.end.fd, handler)
                return link
            self._end(link)
        return None

    def give(self, link: Link) -> None:
        """A link that has carried a whole exchange and is open."""
        waiting = self._waiting.setdefault(link.target, [])
        link.target.open -= 1
        link.used, link.waits_since = True, self._loop.now
        if len(waiting) >= MOST_WAITING:
            self._end(waiting.pop(0))
        waiting.append(link)
        handler = link.watcher = link.watcher or self._watcher(link)
        if not link.mask:
            self._loop.watch(link.end.fd, handler, READ)
        elif link.mask != READ:
            self._loop.rewatch(link.end.fd, handler, READ)
        else:
            self._loop.hand_over(link.end.fd, handler)
        link.mask = READ

    def close(self, link: Link, *, reset: bool = False) -> None:
        """A link that was taken, or has never waited."""
        link.watcher = None  # it holds the link
        if reset:
            link.end.reset()
        self._loop.close(link.end.sock)
        link.dialing.release()

    def sweep(self) -> None:
        """End who has waited long enough."""
        now = self._loop.now
        for waiting in self._waiting.values():
            while waiting and now - waiting[0].waits_since >= WAIT_SECONDS:
                self._end(waiting.pop(0))

    def close_all(self) -> None:
        for waiting in self._waiting.values():
            while waiting:
                self._end(waiting.pop())

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _watcher(self, link: Link) -> Handler:
        def stirred(_: int) -> None:
            waiting = self._waiting.get(link.target, [])
            if link not in waiting:
                return
            if not _quiet(link):
                waiting.remove(link)
                self._end(link)

        return stirred

    def _end(self, link: Link) -> None:
        link.target.open += 1  # `release` counts it off
        self.close(link)


def _quiet(link: Link) -> bool:
    """Whether nothing has come of a target that was not asked: an answer to nobody is never given to the next."""
    try:
        return link.end.read() is None  # a ticket of TLS 1.3 is taken in on the way
    except (OSError, TwowayError):
        return False
