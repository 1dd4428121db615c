"""Carries bytes between two ends in both directions: half-close, back-pressure, bounded memory.

Each direction holds at most one buffer of 64 KiB, and only while its sink does not take it; meanwhile its
source is not read. Nothing is carried before both ends are proven or plain: a relay is made of ready ends.
"""

from __future__ import annotations

from collections.abc import Callable

from twoway.errors import TwowayError
from twoway.gateway.ends import Data, PlainEnd
from twoway.gateway.loop import BROKEN, READ, WRITE, Loop

_TURNS = 8  # buffers that one direction may carry before the others have their turn


class Flow:
    """One direction. `pending` is what the sink has not taken yet; `ended`: the source has sent its end."""

    __slots__ = ("carried", "ended", "finished", "pending", "sink", "source")

    def __init__(self, source: PlainEnd, sink: PlainEnd) -> None:
        self.source, self.sink = source, sink
        self.pending: bytes | None = None
        self.ended = self.finished = False
        self.carried = 0

    def pump(self) -> None:
        """Carry what is there; raises OSError and TwowayError when an end breaks."""
        sink = self.sink
        if self.pending is not None and not self._drain():
            return
        if self.ended:
            return
        source = self.source
        turns = 0
        while turns < _TURNS or source.holds():  # what an end holds itself, no event will tell of
            turns += 1
            data = source.read()
            if data is None:
                return
            size = len(data)
            if not size:
                self.ended = True
                self._finish()
                return
            taken = sink.write(data)
            self.carried += taken
            if taken < size:
                self.pending = bytes(data[taken:])
                return
            if size < 1024 and not source.holds():
                return

    def _drain(self) -> bool:
        pending = self.pending
        assert pending is not None
        if pending:
            taken = self.sink.write(pending)
            self.carried += taken
            if taken < len(pending):
                if taken:
                    self.pending = pending[taken:]
                return False
        self.pending = None
        if self.ended and not self.finished:
            self._finish()
        return self.pending is None

    def _finish(self) -> None:
        if self.sink.finish():
            self.finished = True
        else:
            self.pending = b""  # nothing but the end itself has still to be sent


Done = Callable[["Relay", BaseException | None], None]


class Relay:
    """Joins `front` and `back` until both directions have ended or one has broken; then calls `done` once.

    Closes both sockets. After a failure the sockets are reset rather than ended, so that neither side takes
    half of a message for the whole.
    """

    __slots__ = ("_back_mask", "_done", "_front_mask", "_loop", "active", "back", "down", "front", "up")

    def __init__(
        self, loop: Loop, front: PlainEnd, back: PlainEnd, done: Done, *, front_mask: int, back_mask: int
    ) -> None:
        self._loop, self.front, self.back = loop, front, back
        self.up, self.down = Flow(front, back), Flow(back, front)
        self._done: Done | None = done
        self.active = loop.now
        # Masks as registered; 0 for a descriptor that is not watched.
        self._front_mask, self._back_mask = front_mask, back_mask

    def start(self, first: Data = b"") -> None:
        """Begin, with bytes of our own in front of what goes to the back."""
        if first:
            self.up.pending = bytes(first)
        if self._front_mask:
            self._loop.hand_over(self.front.fd, self._on_front)
        if self._back_mask:
            self._loop.hand_over(self.back.fd, self._on_back)
        self._turn(self.up, self.down, self.front, READ)

    def leave(self, *, gentle: bool = False) -> None:
        """Nothing: whether a relay may end only its two ends know."""

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes of the front that the back has taken, and the other way round."""
        return self.up.carried, self.down.carried

    def end(self, fault: BaseException | None = None) -> None:
        """End now; with a fault both sides see a failure."""
        done, self._done = self._done, None
        if done is None:
            return
        if fault is not None:
            self.front.reset()
            self.back.reset()
        self._loop.close(self.front.sock)
        self._loop.close(self.back.sock)
        done(self, fault)

    def _on_front(self, events: int) -> None:
        self._turn(self.up, self.down, self.front, events)

    def _on_back(self, events: int) -> None:
        self._turn(self.down, self.up, self.back, events)

    def _turn(self, outward: Flow, inward: Flow, end: PlainEnd, events: int) -> None:
        """`end` is ready: `outward` flows from it, `inward` to it."""
        if self._done is None:
            return
        self.active = self._loop.now
        try:
            if events & WRITE:
                end.stuck = not end.flush()
                if inward.pending is not None:
                    inward.pump()
                outward.pump()
            elif events & (READ | BROKEN):
                outward.pump()
                if events & BROKEN and outward.ended and not outward.finished:
                    raise ConnectionResetError(104, "the other side has gone")
        except (OSError, TwowayError) as fault:
            self.end(fault)
            return
        if self.up.finished and self.down.finished:
            self.end()
            return
        if events & BROKEN and not events & READ and (outward.pending is not None or outward.ended):
            # Reported on and on whatever is asked for: watch it again when there is something to do.
            self._unwatch(end)
        self._settle()

    def _settle(self) -> None:
        """Ask for exactly those events that something can be done about."""
        up, down = self.up, self.down
        front = (0 if up.ended or up.pending is not None else READ) | (
            WRITE if down.pending is not None else 0
        )
        back = (0 if down.ended or down.pending is not None else READ) | (
            WRITE if up.pending is not None else 0
        )
        if self.front.stuck:
            front = WRITE
        if self.back.stuck:
            back = WRITE
        if front != self._front_mask:
            self._front_mask = self._watch(self.front, self._on_front, self._front_mask, front)
        if back != self._back_mask:
            self._back_mask = self._watch(self.back, self._on_back, self._back_mask, back)

    def _watch(self, end: PlainEnd, handler: Callable[[int], None], before: int, mask: int) -> int:
        if not mask:
            self._loop.forget(end.fd)
        elif before:
            self._loop.rewatch(end.fd, handler, mask)
        else:
            self._loop.watch(end.fd, handler, mask)
        return mask

    def _unwatch(self, end: PlainEnd) -> None:
        self._loop.forget(end.fd)
        if end is self.front:
            self._front_mask = 0
        else:
            self._back_mask = 0
