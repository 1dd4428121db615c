"""Reads numbers and vectors as TLS writes them (RFC 8446 §3); every fault says where and what was expected."""

from __future__ import annotations

from collections.abc import Iterator

from twoway.errors import PeerError


class Malformed(PeerError):
    """Bytes that are not what the protocol demands at this place."""

    code = "malformed"
    spec = "RFC 8446 §3"

    def __init__(self, what: str, offset: int, expected: str, found: str) -> None:
        super().__init__(what, offset, expected, found)
        self.what, self.offset, self.expected, self.found = what, offset, expected, found

    def __str__(self) -> str:
        return f"{self.what}, byte {self.offset}: expected {self.expected}, got {self.found}"

    @property
    def remedy(self) -> str:
        return "the other side, or something between, does not speak TLS correctly"

    @property
    def evidence(self) -> dict[str, object]:
        return {"what": self.what, "offset": self.offset, "expected": self.expected, "found": self.found}


MAX_LISTED = 4096  # no list that anybody sends in a handshake is a tenth as long


class Reader:
    """A position in bytes; `what` names them in faults."""

    def __init__(self, data: bytes, what: str, offset: int = 0) -> None:
        self.data, self.what, self.position, self._offset = data, what, 0, offset

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, count: int) -> bytes:
        """The next `count` bytes; raises Malformed when there are fewer."""
        if count > self.left:
            raise Malformed(self.what, self._offset + self.position, f"{count} bytes", f"{self.left}")
        start = self.position
        self.position += count
        return self.data[start : self.position]

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def vector(self, octets: int) -> Reader:
        """A reader over the contents of a vector whose length is written in `octets` bytes."""
        length = self.number(octets)
        start = self._offset + self.position
        return Reader(self.take(length), self.what, start)

    def entries(self) -> Iterator[int]:
        """Count the entries of a list while something is left of it; raises Malformed for more than MAX_LISTED."""
        count = 0
        while self.left:
            if count == MAX_LISTED:
                raise Malformed(
                    self.what, self._offset + self.position, f"at most {MAX_LISTED} entries", "more"
                )
            count += 1
            yield count

    def numbers(self, octets: int) -> tuple[int, ...]:
        """All that is left, as numbers of `octets` bytes each."""
        if self.left % octets:
            raise Malformed(
                self.what, self._offset + self.position, f"a multiple of {octets} bytes", f"{self.left}"
            )
        return tuple(self.number(octets) for _ in self.entries())

    def end(self) -> None:
        """Nothing may be left; raises Malformed."""
        if self.left:
            raise Malformed(self.what, self._offset + self.position, "the end", f"{self.left} more bytes")
