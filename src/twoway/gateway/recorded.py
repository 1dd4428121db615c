"""A connection that is recorded for `twoway explain`: off by default, bounded, and it holds the secrets."""

from __future__ import annotations

import socket
from typing import Any

from twoway.tls.context import EngineContext
from twoway.tls.recorder import Recorder
from twoway.tls.recording import Recording
from twoway.tls.socketed import SocketSession


class RecordedSession(SocketSession):
    """Its ciphertext goes through memory, where it is seen, until the recording is full; then as any other's."""

    __slots__ = ("_ends", "_recorder", "_recording")

    def __init__(
        self, context: EngineContext, sock: socket.socket, recorder: Recorder, *, address: str | None = None
    ) -> None:
        self._recorder: Recorder | None = recorder
        self._recording = Recording("server", limit=recorder.limit)
        client, server = sock.getpeername(), sock.getsockname()
        self._ends = (client[:2], server[:2]) if isinstance(client, tuple) and client else None
        super().__init__(context, sock.fileno(), address=address)

    def receive(self, data: bytes) -> None:
        self._recording.received(data)
        super().receive(data)

    def outgoing(self) -> bytes:
        data = super().outgoing()
        self._recording.sent(data)
        return data

    def take_socket(self) -> bool:
        return self._recording.full and super().take_socket()

    def keep(self, *, broke: bool) -> None:
        """Write what was recorded, once; a client without an address (of a UNIX socket) leaves no file."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None and self._ends is not None:
            ends: Any = self._ends
            recorder.keep(self._recording, *ends, broke=broke)
