"""BER of any length: elements one by one from a source, and elements without a length for a sink.

DER wants the length of everything in front of it, which nobody knows who has not read the end of a stream.
CMS allows BER there (RFC 5652 §1): a constructed element may end with an end-of-contents (X.690 §8.1.3.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from twoway.message.faults import MessageMalformed
from twoway.message.streams import PART, Source, read_exactly

INTEGER, OCTET_STRING, OID, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
CONSTRUCTED = 0x20
END_OF_CONTENTS = b"\0\0"
MAX_ELEMENT = 1024 * 1024  # everything but content: certificates, recipients, attributes
MAX_DEPTH = 32
FORMAT = "cms"


class Element(NamedTuple):
    """A tag octet and the length of what follows; None where an end-of-contents ends it."""

    tag: int
    length: int | None
    header: bytes


class Reader:
    """Reads nested elements in their order; raises MessageMalformed for what is no BER, or ends early."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0
        self._ends: list[int | None] = [None]  # of the elements that are entered; None: open-ended
        self._peeked: Element | None = None
        self._looked = False  # the end of an element, when passed, is not looked for again

    def take(self, count: int) -> bytes:
        data = read_exactly(self._source, count) if count else b""
        if len(data) != count:
            raise MessageMalformed(FORMAT, "it ends too early")
        self._position += count
        end = self._ends[-1]
        if end is not None and self._position > end:
            raise MessageMalformed(FORMAT, "an element is longer than the one around it")
        return data

    def peek(self) -> Element | None:
        """The next element of the one that is entered, without passing it; None at its end."""
        if not self._looked:
            self._peeked, self._looked = self._header(), True
        return self._peeked

    def next(self, *tags: int) -> Element:
        """The next element, which has one of these tags."""
        found = self.peek()
        if found is None or (tags and found.tag not in tags):
            wanted = " or ".join(f"{tag:02x}" for tag in tags)
            got = "the end" if found is None else f"{found.tag:02x}"
            raise MessageMalformed(FORMAT, f"the tag {wanted} was expected and {got} found")
        self._looked = False
        return found

    def enter(self, *tags: int) -> Element:
        found = self.next(*tags)
        if len(self._ends) >= MAX_DEPTH:
            raise MessageMalformed(FORMAT, "it is nested too deep")
        if not found.tag & CONSTRUCTED:
            raise MessageMalformed(FORMAT, f"the tag {found.tag:02x} has no elements in it")
        self._ends.append(None if found.length is None else self._position + found.length)
        return found

    def leave(self) -> None:
        """Pass the end of the element that was entered last; nothing may be left in it."""
        if self.peek() is not None:
            raise MessageMalformed(FORMAT, "there is more in an element than was expected")
        self._ends.pop()
        self._looked = False

    def whole(self, *tags: int) -> bytes:
        """The next element with its header, of at most a mebibyte, as it was written."""
        found = self.next(*tags)
        return self._whole(found, MAX_ELEMENT, 1)

    def _whole(self, found: Element, room: int, depth: int) -> bytes:
        if depth > MAX_DEPTH:
            raise MessageMalformed(FORMAT, "it is nested too deep")
        if found.length is not None:
            if found.length > room:
                raise MessageMalformed(FORMAT, f"an element has more than {MAX_ELEMENT} bytes")
            return found.header + self.take(found.length)
        pieces = [found.header]
        self._ends.append(None)
        while (inner := self._header()) is not None:
            pieces.append(self._whole(inner, room - sum(map(len, pieces)), depth + 1))
        self._ends.pop()
        return b"".join((*pieces, END_OF_CONTENTS))

    def octets(self, primitive: int) -> Iterator[bytes]:
        """The content of an octet string in pieces, which may itself be cut into pieces (X.690 §8.7.3)."""
        found = self.next(primitive, primitive | CONSTRUCTED)
        if not found.tag & CONSTRUCTED:
            yield from self._pieces(found)
            return
        self._peeked, self._looked = found, True
        self.enter()
        while self.peek() is not None:
            yield from self.octets(OCTET_STRING)
        self.leave()

    def _pieces(self, found: Element) -> Iterator[bytes]:
        left = found.length or 0
        while left:
            piece = self.take(min(left, PART))
            left -= len(piece)
            yield piece

    def _header(self) -> Element | None:
        end = self._ends[-1]
        if end is not None and self._position == end:
            return None
        if len(self._ends) == 1 and self._position:  # behind the outermost element nothing may follow
            if self._source.read(1):
                raise MessageMalformed(FORMAT, "something follows its end")
            return None
        first = self.take(2)
        if first == END_OF_CONTENTS and len(self._ends) > 1 and end is None:
            return None
        tag, size = first
        if tag & 0x1F == 0x1F or tag == 0:
            raise MessageMalformed(FORMAT, f"no element begins with {tag:02x}")
        if size < 0x80:
            return Element(tag, size, first)
        if size == 0x80:
            if not tag & CONSTRUCTED:
                raise MessageMalformed(FORMAT, "a primitive element has no length")
            return Element(tag, None, first)
        if size > 0x88:
            raise MessageMalformed(FORMAT, "a length has more than eight octets")
        more = self.take(size & 0x7F)
        return Element(tag, int.from_bytes(more), first + more)


def header(tag: int, length: int) -> bytes:
    """Tag and definite length, in as few octets as DER wants."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets


def element(tag: int, *contents: bytes) -> bytes:
    return header(tag, sum(map(len, contents))) + b"".join(contents)


def begun(tag: int) -> bytes:
    """The beginning of a constructed element that `END_OF_CONTENTS` will end."""
    return bytes((tag, 0x80))
