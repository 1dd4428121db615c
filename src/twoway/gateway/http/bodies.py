"""Bodies of HTTP/1.1 messages, piece by piece: where they end, and what is sent on; pure.

A chunked body is taken apart and put together anew, so that what goes on has one reading: no leading zeros,
no extensions, no trailers (RFC 9112 §7.1.1 and §7.1.2 let a recipient leave both out).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from twoway.gateway.http.faults import BadMessage

MAX_CHUNK_LINE = 256
MAX_TRAILERS = 8192

# RFC 9112 §7.1: hexadecimal digits alone, then at most extensions; nothing signed, spaced or prefixed.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
_LAST_CHUNK = b"0\r\n\r\n"


class Body:
    """What follows a head. `take` gives what is to be sent on and how far it has read; `done` at its end."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def take(self, data: bytes, at: int = 0) -> tuple[bytes, int]:
        """Read from `at` on; raises BadMessage."""
        raise NotImplementedError

    def close(self) -> bytes:
        """The connection has ended: what is still to be sent on; raises BadMessage for half a body."""
        raise BadMessage("it ends in the middle of its body")


class LengthBody(Body):
    """So many bytes."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def take(self, data: bytes, at: int = 0) -> tuple[bytes, int]:
        end = at + self.left
        if end > len(data):
            self.left = end - len(data)
            return data[at:], len(data)
        self.passed(self.left)
        return data[at:end], end

    def passed(self, count: int) -> None:
        """So many bytes, no more than are left, have gone past without being looked at."""
        self.left -= count
        self.done = not self.left


class EndlessBody(Body):
    """Everything until the connection ends (RFC 9112 §6.3, rule 8); sent on in chunks if so wished."""

    __slots__ = ("_in_chunks",)

    def __init__(self, *, in_chunks: bool) -> None:
        super().__init__()
        self._in_chunks = in_chunks

    def take(self, data: bytes, at: int = 0) -> tuple[bytes, int]:
        rest = data[at:]
        return (_chunk(rest) if self._in_chunks and rest else rest), len(data)

    def close(self) -> bytes:
        self.done = True
        return _LAST_CHUNK if self._in_chunks else b""


class ChunkedBody(Body):
    """Chunks (RFC 9112 §7.1), sent on as chunks or, for HTTP/1.0, as what they hold."""

    __slots__ = ("_in_chunks", "_left", "_line", "_reading", "_trailers")

    def __init__(self, *, in_chunks: bool = True) -> None:
        super().__init__()
        self._in_chunks = in_chunks
        self._reading: Callable[[bytes, int, list[bytes]], int] = self._size
        self._line = b""  # a line that has not ended yet
        self._left = self._trailers = 0

    def take(self, data: bytes, at: int = 0) -> tuple[bytes, int]:
        out: list[bytes] = []
        while at < len(data) and not self.done:
            at = self._reading(data, at, out)
        return b"".join(out), at

    def _size(self, data: bytes, at: int, _: list[bytes]) -> int:
        line, at = self._whole_line(data, at, MAX_CHUNK_LINE)
        if line is not None:
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise BadMessage("a chunk's size is not written in hexadecimal digits")
            self._left = int(match[1], 16)
            self._reading = self._data if self._left else self._trailer
        return at

    def _data(self, data: bytes, at: int, out: list[bytes]) -> int:
        piece = data[at : at + self._left]
        out.append(_chunk(piece) if self._in_chunks else piece)
        self._left -= len(piece)
        if not self._left:
            self._reading = self._end
        return at + len(piece)

    def _end(self, data: bytes, at: int, _: list[bytes]) -> int:
        line, at = self._whole_line(data, at, 0)
        if line is not None:
            self._reading = self._size
        return at

    def _trailer(self, data: bytes, at: int, out: list[bytes]) -> int:
        """RFC 9110 §6.5.1: trailers may be left out; ours always are, since they could name anything."""
        line, at = self._whole_line(data, at, MAX_TRAILERS - self._trailers)
        if line == b"":
            self.done = True
            if self._in_chunks:
                out.append(_LAST_CHUNK)
        elif line is not None:
            self._trailers += len(line) + 2
            if _TRAILER.fullmatch(line) is None:
                raise BadMessage("a line after the last chunk is no field")
        return at

    def _whole_line(self, data: bytes, at: int, most: int) -> tuple[bytes | None, int]:
        """A line of at most so many bytes, without its CR LF; None when it has not ended in `data`."""
        end = data.find(b"\n", at)
        piece = data[at:] if end < 0 else data[at : end + 1]
        line, self._line = self._line + piece, b""
        if len(line) > most + (1 if end < 0 else 2) or (len(line) > most and line[most : most + 1] != b"\r"):
            raise BadMessage("a line between chunks is too long, or a chunk longer than its size")
        if end < 0:
            self._line = line
            return None, len(data)
        if line[-2:] != b"\r\n":
            raise BadMessage("a line between chunks does not end in CR LF")
        return line[:-2], end + 1


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
