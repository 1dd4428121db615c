"""Cuts one direction's bytes into records (RFC 8446 §5.1); pure and incremental."""

from __future__ import annotations

from dataclasses import dataclass, field

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
HEADER = 5
# RFC 5246 §6.2.3: 2^14 + 2048; TLS 1.3 allows less (RFC 8446 §5.2), and whoever sends more is not talking TLS.
MAX_FRAGMENT = 16384 + 2048
_TYPES = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT})


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it travelled, header included in `size`; content type 0 for bytes that are no record."""

    content_type: int
    version: int
    data: bytes = field(repr=False)
    size: int
    at_us: int


class RecordReader:
    """Records of one direction. Once bytes are no record, nothing behind them is one either."""

    __slots__ = ("_buffer", "lost")

    def __init__(self) -> None:
        self._buffer = b""
        self.lost = False

    def feed(self, data: bytes, at_us: int) -> list[Record]:
        """The records that are whole now."""
        if self.lost:
            return [Record(0, 0, data, len(data), at_us)] if data else []
        data = self._buffer + data if self._buffer else data
        found: list[Record] = []
        at, size = 0, len(data)
        while size - at >= HEADER:
            content_type, version = data[at], data[at + 1] << 8 | data[at + 2]
            length = data[at + 3] << 8 | data[at + 4]
            if content_type not in _TYPES or version >> 8 != 3 or length > MAX_FRAGMENT:
                break
            if size - at < HEADER + length:
                self._buffer = data[at:]
                return found
            body = at + HEADER
            found.append(Record(content_type, version, data[body : body + length], HEADER + length, at_us))
            at = body + length
        rest = data[at:]
        if rest and (len(rest) >= HEADER or not _may_begin(rest)):
            self.lost, self._buffer = True, b""
            found.append(Record(0, 0, rest, len(rest), at_us))
        else:
            self._buffer = rest
        return found

    @property
    def left(self) -> bytes:
        """What has come of a record that is not whole."""
        return self._buffer


def _may_begin(data: bytes) -> bool:
    """Whether fewer than five bytes can still become a record."""
    return data[0] in _TYPES and (len(data) < 2 or data[1] == 3)
