"""The time after our last word: the client reads it to its end, and what it still sends is thrown away."""

from __future__ import annotations

import socket
from collections.abc import Callable

from twoway.gateway.loop import Loop

SECONDS = 1.0
_MOST = 1 << 20


class Lingering:
    """Calls `done` when the client has ended too, or after a second. A socket that is closed with unread bytes
    would take back what it has sent (RFC 9112 §9.6)."""

    __slots__ = ("_done", "_seen", "_sock", "_timer")

    def __init__(self, loop: Loop, sock: socket.socket, done: Callable[[], None]) -> None:
        self._sock, self._done, self._seen = sock, done, 0
        self._timer = loop.later(SECONDS, done)

    def cancel(self) -> None:
        self._timer.cancel()
        self._done = _nobody

    def on_front(self, _: int) -> None:
        """The client's socket is ready."""
        try:
            while self._seen < _MOST:
                data = self._sock.recv(65536)
                if not data:
                    break
                self._seen += len(data)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._done()


def _nobody() -> None:
    """Nobody waits for the end any more."""
