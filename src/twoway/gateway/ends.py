"""The two kinds of ends that a relay joins: a plain socket, and a socket under TLS. Both never wait."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

from twoway.tls.library import ffi
from twoway.tls.socketed import NOTHING_YET, SocketSession

BUFFER_SIZE = 65536
_LINGER_NONE = struct.pack("ii", 1, 0)

# One buffer a process: what is read is handed on or copied before the next read.
_bytes: Any = ffi.new("unsigned char[]", BUFFER_SIZE)
_view = memoryview(ffi.buffer(_bytes))

Data = memoryview | bytes


class PlainEnd:
    """A connected, non-blocking socket."""

    __slots__ = ("fd", "sock", "stuck")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.fd = sock, sock.fileno()
        self.stuck = False

    def read(self) -> Data | None:
        """What has arrived (valid until the next read of any end); b"" at its end; None when nothing has."""
        try:
            count = self.sock.recv_into(_view)
        except BlockingIOError:
            return None
        return _view[:count] if count else b""

    def write(self, data: Data) -> int:
        """How many bytes were taken."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def finish(self) -> bool:
        """End the sending direction; True once that is done."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        return True

    def reset(self) -> None:
        """Let closing the socket look like a failure to the other side, which it is."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)


class TlsEnd(PlainEnd):
    """The same under TLS; the handshake is complete."""

    __slots__ = ("session",)

    def __init__(self, sock: socket.socket, session: SocketSession) -> None:
        super().__init__(sock)
        self.session = session

    def read(self) -> Data | None:
        """As PlainEnd.read; as many whole records as fit. Raises Truncated without a close_notify."""
        session = self.session
        count = session.read_into(_bytes, BUFFER_SIZE)
        if count <= 0:
            if count == NOTHING_YET:
                self.stuck = session.wants_write
                session.wants_write = False
                return None
            return b""
        if count < 1024:  # a short message, likely alone: asking again would cost a call for nothing
            return _view[:count]
        # A record carries at most 16 KiB; an end or an error after these bytes shows at the next read.
        while BUFFER_SIZE - count >= 16384:
            more = session.read_into(_bytes + count, BUFFER_SIZE - count)
            if more <= 0:
                break
            count += more
        return _view[:count]

    def write(self, data: Data) -> int:
        """All or nothing: 0 means that the same bytes have to be given again."""
        size = len(data)
        source = _bytes if data.__class__ is memoryview and data.obj is _view.obj else ffi.from_buffer(data)
        return size if self.session.write_from(source, size) else 0

    def finish(self) -> bool:
        if not self.session.say_goodbye():
            return False
        return super().finish()
