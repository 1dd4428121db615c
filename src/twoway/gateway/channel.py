"""JSON objects, one a line, over a connected socket on the loop: between a gateway's processes."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from twoway.gateway.loop import READ, WRITE, Loop

_RECEIVE = 65536
_MAX_MESSAGE = 64 << 20  # a list of all connections is the longest


class Channel:
    """Owns the socket. `told(message)` for each message; `ended()` once, when the other side has gone."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        told: Callable[[dict[str, Any]], None],
        ended: Callable[[], None],
    ) -> None:
        self._loop, self.sock, self._told, self._ended = loop, sock, told, ended
        self._incoming, self._outgoing = bytearray(), bytearray()
        sock.setblocking(False)
        loop.watch(sock.fileno(), self._on_event, READ)

    def send(self, message: dict[str, Any]) -> None:
        """Send, now or as the other side takes it. Nothing happens once it is closed."""
        if self.sock.fileno() < 0:
            return
        idle = not self._outgoing
        self._outgoing += json.dumps(message, default=str).encode() + b"\n"
        if idle:
            self._flush()

    def close(self) -> None:
        """Close without a word to `ended`."""
        if self.sock.fileno() >= 0:
            self._loop.forget(self.sock.fileno())
            self.sock.close()

    def _on_event(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if not events & ~WRITE or self.sock.fileno() < 0:
            return
        try:
            data = self.sock.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(self._incoming) > _MAX_MESSAGE:
            self._end()
            return
        self._incoming += data
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._incoming).split(b"\n")
        self._incoming[:] = rest
        for line in lines:
            self._told(json.loads(line))

    def _flush(self) -> None:
        try:
            del self._outgoing[: self.sock.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
            return
        self._loop.rewatch(self.sock.fileno(), self._on_event, READ | WRITE if self._outgoing else READ)

    def _end(self) -> None:
        if self.sock.fileno() >= 0:
            self.close()
            self._ended()
