"""Where connections come in: accepts on the listening sockets of one listener, and waits when no descriptor is left."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from twoway.gateway.loop import READ, Loop

BACK_OFF = 0.1
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Took = Callable[[socket.socket, object], None]


class Door:
    """All sockets of a listener are known here; those that are `covered` are accepted on.

    Other workers cover the others. When one is gone, its sockets are covered by those who are left, so that
    nobody waits at a socket that nobody looks at.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], loop: Loop, took: Took, full: Callable[[OSError], None]
    ) -> None:
        self.sockets = tuple(sockets)
        self._loop, self._took, self._full = loop, took, full
        self._covered: set[int] = set()
        self._open = self._resting = self.is_closed = False

    def open(self, covered: Iterable[int] | None = None) -> None:
        """Accept from now on, on the sockets with these numbers; on all of them when none are named."""
        self._open = True
        self.cover(range(len(self.sockets)) if covered is None else covered)

    def cover(self, numbers: Iterable[int]) -> None:
        """Accept on these sockets and on no others; nothing happens once the door is closed."""
        wanted = {number for number in numbers if 0 <= number < len(self.sockets)}
        if not self._open:
            return
        before, self._covered = self._covered, wanted
        if self._resting:
            return
        for number in before - wanted:
            self._loop.forget(self.sockets[number].fileno())
        for number in sorted(wanted - before):
            self._watch(number)

    def close(self) -> None:
        """Take nobody new."""
        self._open, self.is_closed = False, True
        for sock in self.sockets:
            if sock.fileno() >= 0:
                self._loop.close(sock)

    def _watch(self, number: int) -> None:
        sock = self.sockets[number]
        self._loop.watch(sock.fileno(), partial(self._on_accept, sock), READ, exclusive=True)

    def _on_accept(self, sock: socket.socket, _: int) -> None:
        try:
            connected, address = sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            self._rest(error)
            return
        connected.setblocking(False)
        self._took(connected, address)

    def _rest(self, error: OSError) -> None:
        """No descriptor is left: wait until some connections have ended."""
        self._resting = True
        for number in self._covered:
            self._loop.forget(self.sockets[number].fileno())
        self._loop.later(BACK_OFF, self._again)
        self._full(error)

    def _again(self) -> None:
        self._resting = False
        if self._open:
            for number in sorted(self._covered):
                self._watch(number)
