"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng) to packets and secrets, one after the other; pure.

Unknown blocks, options other than an interface's clock, and the section's length are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from twoway.errors import ConfigError
from twoway.wire.packets import Packet, Secrets

MAX_BLOCK = 16 * 1024 * 1024
MAX_INTERFACES = 65536
SECTION, INTERFACE, OLD_PACKET, SHORT_PACKET, PACKET, SECRETS = 0x0A0D0D0A, 1, 2, 3, 6, 10
BYTE_ORDER_MAGIC = 0x1A2B3C4D
TLS_KEY_LOG = 0x544C534B
END_OF_OPTIONS, IF_TSRESOL, IF_TSOFFSET = 0, 9, 14


class CaptureUnreadable(ConfigError):
    """A file that is to be a capture of packets cannot be read as one."""

    code = "capture_unreadable"


class NotACapture(CaptureUnreadable):
    """The file is something else; `looks` says what, in words."""

    code = "not_a_capture"

    def __init__(self, looks: str, hint: str) -> None:
        super().__init__(looks, hint)
        self.looks, self.hint = looks, hint

    def __str__(self) -> str:
        return f"expected a capture (pcap or pcapng), got {self.looks}"

    @property
    def remedy(self) -> str:
        return self.hint

    @property
    def evidence(self) -> dict[str, object]:
        return {"looks": self.looks}


class CaptureDamaged(CaptureUnreadable):
    """At `position`, in bytes from the start of the file, the capture contradicts its format."""

    code = "capture_damaged"

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(position, problem)
        self.position, self.problem = position, problem

    def __str__(self) -> str:
        return f"the capture cannot be read further than byte {self.position}: {self.problem}"

    @property
    def remedy(self) -> str:
        return "capture again; what comes before this place has been read"

    @property
    def evidence(self) -> dict[str, object]:
        return {"position": self.position, "problem": self.problem}


class CaptureCutShort(CaptureDamaged):
    """The file ends in the middle of a packet: it was copied, or its writer stopped, too early."""

    code = "capture_cut_short"

    @property
    def remedy(self) -> str:
        return "let the capturing program end by itself (SIGINT), then read the file; what is whole has been read"


class Source:
    """A file and how far it has been read; takes what `read` gives, however little at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._read, self.position = file.read, 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end of the file."""
        data = self._read(count)
        if 0 < len(data) < count:
            parts = [data]
            missing = count - len(data)
            while missing and (part := self._read(missing)):
                parts.append(part)
                missing -= len(part)
            data = b"".join(parts)
        self.position += len(data)
        return data

    def take_all(self, count: int, start: int, what: str) -> bytes:
        """The next `count` bytes of what began at `start`; raises CaptureCutShort when there are fewer."""
        data = self.take(count)
        if len(data) != count:
            raise CaptureCutShort(start, f"the file ends within {what}")
        return data


@dataclass(frozen=True, slots=True)
class Interface:
    """How one interface's packets are to be read: link layer, snapshot length, and its clock."""

    link_type: int
    snapshot: int
    ticks_a_second: int
    offset_us: int

    def at_us(self, ticks: int) -> int:
        return ticks * 1_000_000 // self.ticks_a_second + self.offset_us


class _Layout:
    """The fixed parts of blocks, in one byte order."""

    def __init__(self, order: str) -> None:
        self.head = Struct(order + "II")
        self.length = Struct(order + "I")
        self.section = Struct(order + "IHH")
        self.interface = Struct(order + "HHI")
        self.packet = Struct(order + "IIIII")
        self.old_packet = Struct(order + "HHIIII")
        self.option = Struct(order + "HH")
        self.seconds = Struct(order + "q")


_LITTLE, _BIG = _Layout("<"), _Layout(">")


def read_pcapng(source: Source, begun: bytes) -> Iterator[Packet | Secrets]:
    """What the file holds, in its order; `begun` are its first 4 bytes, already read.

    A packet without a time (Simple Packet Block) has that of the packet before it. Raises CaptureDamaged and
    CaptureCutShort where the file gives reason to, after everything that comes before.
    """
    layout, interfaces, now = _LITTLE, list[Interface](), 0
    start = source.position - len(begun)
    while head := begun + source.take(8 - len(begun)):
        begun = b""
        if len(head) < 8:
            raise CaptureCutShort(start, "the file ends within a block's header")
        kind, length = layout.head.unpack(head)
        body = b""
        if kind == SECTION:
            # Its type reads the same both ways, and its first field tells the byte order of all that follows.
            body = source.take_all(4, start, "a section header")
            layout = _order(body, start)
            kind, length = layout.head.unpack(head)
        body += source.take_all(_checked(length, start) - 8 - len(body), start, "a block")
        if body[-4:] != layout.length.pack(length):
            raise CaptureDamaged(start, "a block's two lengths differ")
        body = body[:-4]
        if kind == PACKET:
            number, high, low, kept, size = _fixed(layout.packet, body, start)
            interface = _interface(interfaces, number, start)
            now = interface.at_us(high << 32 | low)
            yield _packet(body, 20, kept, size, now, interface, start)
        elif kind == SECTION:
            if (major := _fixed(layout.section, body, start)[1]) != 1:
                raise CaptureDamaged(start, f"version {major} of pcapng is not known")
            interfaces = []
        elif kind == INTERFACE:
            if len(interfaces) == MAX_INTERFACES:
                raise CaptureDamaged(start, f"more than {MAX_INTERFACES} interfaces")
            interfaces.append(_read_interface(layout, body, start))
        elif kind == SHORT_PACKET:
            (size,) = _fixed(layout.length, body, start)
            interface = _interface(interfaces, 0, start)
            kept = min(size, interface.snapshot or size)
            yield _packet(body, 4, kept, size, now, interface, start)
        elif kind == OLD_PACKET:
            number, _, high, low, kept, size = _fixed(layout.old_packet, body, start)
            interface = _interface(interfaces, number, start)
            now = interface.at_us(high << 32 | low)
            yield _packet(body, 20, kept, size, now, interface, start)
        elif kind == SECRETS:
            secrets, size = _fixed(layout.head, body, start)
            if size > len(body) - 8:
                raise CaptureDamaged(start, "secrets are longer than their block")
            if secrets == TLS_KEY_LOG:
                yield Secrets(body[8 : 8 + size])
        start = source.position


def _order(magic: bytes, start: int) -> _Layout:
    for layout in (_LITTLE, _BIG):
        if layout.length.unpack(magic)[0] == BYTE_ORDER_MAGIC:
            return layout
    raise CaptureDamaged(start, "a section header without the byte-order magic")


def _checked(length: int, start: int) -> int:
    if length > MAX_BLOCK:
        raise CaptureDamaged(start, f"a block of {length} bytes, more than {MAX_BLOCK}")
    if length < 12 or length % 4:
        raise CaptureDamaged(start, f"a block cannot be {length} bytes long")
    return length


def _fixed(layout: Struct, body: bytes, start: int) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise CaptureDamaged(start, f"a block of this type has {layout.size} bytes or more, got {len(body)}")
    return layout.unpack_from(body)


def _interface(interfaces: list[Interface], number: int, start: int) -> Interface:
    if number >= len(interfaces):
        raise CaptureDamaged(start, f"a packet of interface {number}, of {len(interfaces)} described ones")
    return interfaces[number]


def _packet(
    body: bytes, begin: int, kept: int, size: int, now: int, interface: Interface, start: int
) -> Packet:
    data = body[begin : begin + kept]
    if len(data) != kept:
        raise CaptureDamaged(start, "a packet is longer than its block")
    return Packet(now, interface.link_type, data, kept < size)


def _read_interface(layout: _Layout, body: bytes, start: int) -> Interface:
    link_type, _, snapshot = _fixed(layout.interface, body, start)
    ticks, offset = 1_000_000, 0
    position = layout.interface.size
    while len(body) - position >= 4:
        code, length = layout.option.unpack_from(body, position)
        value = body[position + 4 : position + 4 + length]
        if len(value) != length:
            raise CaptureDamaged(start, "an option is longer than its block")
        if code == END_OF_OPTIONS:
            break
        if code == IF_TSRESOL and length == 1:
            # draft-ietf-opsawg-pcapng §4.2: the highest bit chooses between powers of 2 and of 10.
            ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == IF_TSOFFSET and length == 8:
            (offset,) = layout.seconds.unpack(value)
        position += 4 + (length + 3 & ~3)
    return Interface(link_type, snapshot, ticks, offset * 1_000_000)
