"""Captures of packets, pcap or pcapng, as a stream of what they hold; pure.

pcap follows draft-ietf-opsawg-pcap. The memory that reading takes does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO

from twoway.wire.packets import Packet, Secrets
from twoway.wire.pcapng import (
    MAX_BLOCK,
    CaptureCutShort,
    CaptureDamaged,
    CaptureUnreadable,
    NotACapture,
    Source,
    read_pcapng,
)

__all__ = [
    "CaptureCutShort",
    "CaptureDamaged",
    "CaptureUnreadable",
    "NotACapture",
    "Packet",
    "Secrets",
    "read_capture",
]

_PCAPNG = b"\x0a\x0d\x0d\x0a"
# The magic number tells the byte order, and how many of a second's parts make a microsecond.
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\xfd7zX": "xz"}
_CONVERTIBLE = {
    b"\x34\xcd\xb2\xa1": "a modified pcap",
    b"\xa1\xb2\xcd\x34": "a modified pcap",
    b"snoop\0\0\0": "a snoop capture",
}
_HOW_TO = "record one: tcpdump -i any -w capture.pcap tcp port 8443"
# The labels of an NSS key log that lines begin with.
_KEY_LOG = (b"CLIENT_", b"SERVER_", b"EXPORTER_", b"EARLY_EXPORTER_", b"RSA ")


def read_capture(file: BinaryIO) -> Iterator[Packet | Secrets]:
    """Every packet and every TLS key log of a capture, in its order; of `file` only `read(n)` is used.

    Raises NotACapture before the first packet, CaptureDamaged (which names the place in the file) or
    CaptureCutShort behind the last one that is whole. A packet of more than 16 MiB counts as damage.
    """
    source = Source(file)
    magic = source.take(4)
    if magic == _PCAPNG:
        yield from read_pcapng(source, magic)
    elif magic in _PCAP:
        yield from _read_pcap(source, *_PCAP[magic])
    else:
        raise _something_else(magic + source.take(1020))


def _read_pcap(source: Source, order: str, parts: int) -> Iterator[Packet]:
    rest = source.take_all(20, 0, "the header")
    major, minor, link = Struct(order + "HH12xI").unpack(rest)
    if major != 2:
        raise CaptureDamaged(4, f"version {major}.{minor} of pcap is not known")
    # The upper half says whether, and how long, a frame check sequence follows each packet.
    link &= 0xFFFF
    header = Struct(order + "IIII")
    take, unpack = source.take, header.unpack
    while head := take(16):
        if len(head) < 16:
            raise CaptureCutShort(source.position - len(head), "the file ends within a packet's header")
        seconds, fraction, kept, size = unpack(head)
        if kept > MAX_BLOCK:
            raise CaptureDamaged(source.position - 16, f"a packet of {kept} bytes, more than {MAX_BLOCK}")
        data = take(kept)
        if len(data) != kept:
            raise CaptureCutShort(source.position - len(data) - 16, "the file ends within a packet")
        yield Packet(seconds * 1_000_000 + fraction // parts, link, data, kept < size)


def _something_else(start: bytes) -> NotACapture:
    """What the file is instead, as far as its first kilobyte tells."""
    if not start:
        return NotACapture("an empty file", f"nothing was captured yet; {_HOW_TO}")
    for magic, name in _COMPRESSED.items():
        if start.startswith(magic):
            return NotACapture(f"a file compressed with {name}", "decompress it first")
    for magic, name in _CONVERTIBLE.items():
        if start.startswith(magic):
            return NotACapture(name, "convert it: editcap -F pcapng IN OUT")
    if any(magic.startswith(start) for magic in (_PCAPNG, *_PCAP)):
        return NotACapture(f"a file of {len(start)} bytes", f"it ends before its header does; {_HOW_TO}")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"-----BEGIN "):
        return NotACapture("a PEM file", f"look at it with twoway inspect; {_HOW_TO}")
    lines = [line for line in text.splitlines() if line and not line.startswith(b"#")]
    if lines and lines[0].startswith(_KEY_LOG):
        return NotACapture(
            "a TLS key log", "it opens a capture and is none: name the capture, and this file as its key log"
        )
    if text.startswith((b"{", b"[")):
        return NotACapture("JSON", f"name the file of packets that it was made from, or {_HOW_TO}")
    if b"\0" not in start and all(byte >= 0x20 or byte in b"\t\r\n\x0c\x1b" for byte in start):
        return NotACapture("a text file", f"what tcpdump prints is not enough (it needs -w); {_HOW_TO}")
    return NotACapture(f"a file that begins with {start[:8].hex(' ')}", _HOW_TO)
