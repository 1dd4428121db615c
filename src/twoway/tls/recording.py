"""Records what goes over the wire in one connection, and the secrets to read it by: bounded, off by default.

A recording holds the secrets of its connection: whoever has it reads all that was said. It is for explaining
one's own connections, and its files are the owner's alone.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from twoway.tls.context import EngineContext
from twoway.tls.library import ffi, lib
from twoway.wire.events import Sender

MAX_BYTES = 262144
_RANDOM = slice(11, 43)  # behind the headers of record and message, and the version


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as they were sent or had arrived, and when: microseconds since the recording began."""

    sender: Sender
    data: bytes = field(repr=False)
    at_us: int


class Recording:
    """The bytes of one connection in order, at most `limit` of them; `full` says that some are missing."""

    def __init__(self, us: Sender, *, limit: int = MAX_BYTES, clock: Callable[[], int] = time.monotonic_ns):
        self.us: Sender = us
        self.them: Sender = "server" if us == "client" else "client"
        self.began = datetime.now(UTC)
        self.chunks: list[Chunk] = []
        self.full = False
        self._left, self._clock = limit, clock
        self._zero = clock()

    def sent(self, data: bytes) -> None:
        self._take(self.us, data)

    def received(self, data: bytes) -> None:
        self._take(self.them, data)

    @property
    def client_random(self) -> bytes | None:
        """The random of the ClientHello that the recording begins with (RFC 8446 §4.1.2), by which secrets are found."""
        said = b"".join(chunk.data for chunk in self.chunks[:4] if chunk.sender == "client")
        return said[_RANDOM] if len(said) >= _RANDOM.stop and said[0] == 22 else None

    def _take(self, sender: Sender, data: bytes) -> None:
        if self.full or not data:
            return
        if len(data) > self._left:
            self.full = True
            data = data[: self._left]
            if not data:
                return
        self._left -= len(data)
        self.chunks.append(Chunk(sender, bytes(data), (self._clock() - self._zero) // 1000))


class RecordedSocket(socket.socket):
    """A connected socket whose bytes are recorded in both directions."""

    recording: Recording

    @classmethod
    def around(cls, sock: socket.socket, recording: Recording) -> RecordedSocket:
        """Take over `sock`, which must not be used any more."""
        timeout = sock.gettimeout()
        recorded = cls(sock.family, sock.type, sock.proto, fileno=sock.detach())
        recorded.settimeout(timeout)
        recorded.recording = recording
        return recorded

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        self.recording.received(data)
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.recording.sent(bytes(data))
        super().sendall(data, flags)


class KeyLog:
    """The secrets of every session of the contexts it is attached to, at most `limit` lines (NSS key log format)."""

    def __init__(self, context: EngineContext | None = None, *, limit: int = 4096) -> None:
        self.lines: list[bytes] = []
        self._limit = limit
        # Each context keeps this callback, because OpenSSL holds it and does not know.
        self._callback = ffi.callback(
            "void (*)(SSL *, char *)", lambda _ssl, line: self.take(ffi.string(line))
        )
        if context is not None:
            self.attach(context)

    def attach(self, context: EngineContext) -> None:
        """Have a context that no session has been made of yet report its secrets here."""
        lib.SSL_CTX_set_keylog_callback(context.pointer, self._callback)
        context.kept.append(self)

    def take(self, line: bytes) -> None:
        if len(self.lines) >= self._limit:
            del self.lines[: self._limit // 2]
        self.lines.append(line)

    def text(self, client_random: bytes | None = None) -> bytes:
        """The lines, of one connection where its client random is given."""
        wanted = client_random.hex().encode() if client_random is not None else b""
        return b"".join(line + b"\n" for line in self.lines if wanted in line)
