"""The two kinds of ends that a relay joins: a plain socket, and a socket under TLS. Both never wait."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

from twoway.tls.library import ffi
from twoway.tls.socketed import NOTHING_YET, SocketSession

BUFFER_SIZE = 65536
_RECEIVE = 16384
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

    def holds(self) -> bool:
        """Whether bytes that have left the socket are still to be read."""
        return False

    def flush(self) -> bool:
        """Send what the end itself holds back; True when nothing is left."""
        return True

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
    """The same under TLS; the handshake is complete.

    An accepted session is still in memory, with its tickets waiting: they leave with the first answer, and
    then OpenSSL takes the socket. Who sends much and hears nothing gets them with the third reading.
    """

    __slots__ = ("_readings", "_unsent", "session")

    def __init__(self, sock: socket.socket, session: SocketSession) -> None:
        super().__init__(sock)
        self.session = session
        self._unsent, self._readings = b"", 0

    def read(self) -> Data | None:
        """As PlainEnd.read; as many whole records as fit. Raises Truncated without a close_notify."""
        session = self.session
        if session.in_memory:
            return self._read_in_memory()
        count = session.read_into(_bytes, BUFFER_SIZE)
        if count <= 0:
            if count == NOTHING_YET:
                self.stuck = session.wants_write
                session.wants_write = False
                return None
            return b""
        if count < 1000:  # a short message, likely alone: asking again would cost a call for nothing
            return _view[:count]
        return _view[: session.read_more(_bytes, count, BUFFER_SIZE)]

    def _read_in_memory(self) -> Data | None:
        session = self.session
        data = session.read()
        if data is not None:
            return data
        self._readings += 1
        if self._readings == 3:
            self._send()
            if not session.in_memory:
                return self.read()
        try:
            arrived = self.sock.recv(_RECEIVE)
        except BlockingIOError:
            return None
        if not arrived:
            session.eof()
            return b""
        session.receive(arrived)
        return session.read()

    def write(self, data: Data) -> int:
        """All or nothing: 0 means that the same bytes have to be given again."""
        size = len(data)
        if self.session.in_memory:
            if self._unsent:
                return 0
            self.session.write(data)
            self._send()
            return size
        source = _bytes if data.__class__ is memoryview else ffi.from_buffer(data)
        return size if self.session.write_from(source, size) else 0

    def holds(self) -> bool:
        return self.session.in_memory and self.session.holds()

    def flush(self) -> bool:
        if self._unsent:
            self._send()
        return not self._unsent

    def _send(self) -> None:
        """Send the ciphertext that lies in memory; with nothing left of it, go over to the socket."""
        data = self._unsent or self.session.outgoing()
        try:
            sent = self.sock.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        self._unsent = data[sent:]
        if self._unsent:
            self.stuck = True
        else:
            self.session.take_socket()

    def finish(self) -> bool:
        if self._unsent:
            return False
        if self.session.in_memory:
            self.session.close_notify()
            self._send()
            return not self._unsent and super().finish()
        return self.session.say_goodbye() and super().finish()
