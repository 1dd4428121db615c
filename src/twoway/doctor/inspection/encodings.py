"""How objects lie in a file that has no PEM lines: base64 alone, or DER, one object behind the other; pure."""

from __future__ import annotations

import base64
import binascii
import re

_MOST = 1000
_SHORTEST = 64
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*\Z")
_SEQUENCE = 0x30


def unarmoured(data: bytes) -> bytes | None:
    """The DER within base64 that lacks its PEM lines; None where the bytes are anything else."""
    if len(data) < _SHORTEST or not _BASE64.match(data):
        return None
    try:
        der = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return None
    return der if der[:1] == bytes((_SEQUENCE,)) else None


def split(data: bytes) -> tuple[bytes, ...]:
    """The DER sequences that follow each other and fill `data` wholly (X.690 §8.1); empty where they do not."""
    parts, at = list[bytes](), 0
    while at < len(data):
        end = _end(data, at)
        if end is None or len(parts) == _MOST:
            return ()
        parts.append(data[at:end])
        at = end
    return tuple(parts)


def _end(data: bytes, at: int) -> int | None:
    """Where the sequence that begins here ends; None where there is none, or it is cut short."""
    head = data[at : at + 2]
    if len(head) < 2 or head[0] != _SEQUENCE or head[1] == 0x80:
        return None
    size, at = head[1], at + 2
    if size & 0x80:
        octets = size & 0x7F
        size = int.from_bytes(data[at : at + octets], "big")
        at += octets
        if octets > 4:
            return None
    return at + size if at + size <= len(data) else None
