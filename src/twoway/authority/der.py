"""The few DER encodings (X.690) that an authority writes itself: CRLs at full speed, keys with many KDF rounds."""

from __future__ import annotations

import datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED, SEQUENCE = 0x0A, 0x30


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, definite length, content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*items: bytes) -> bytes:
    """SEQUENCE of items that are encoded already."""
    return tlv(SEQUENCE, b"".join(items))


def integer(value: int) -> bytes:
    """INTEGER, not negative, in the fewest octets."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(groups))
    return tlv(OID, bytes(octets))


def time(value: datetime.datetime) -> bytes:
    """Time: UTCTime until 2049, GeneralizedTime from 2050 on, in whole seconds of UTC."""
    # RFC 5280 §4.1.2.5 and §5.1.2.4: both always, and both with seconds and Z.
    year, month, day, hour, minute, second = value.utctimetuple()[:6]
    rest = b"%02d%02d%02d%02d%02dZ" % (month, day, hour, minute, second)
    if year < 2050:
        return b"\x17\x0d%02d%b" % (year % 100, rest)
    return b"\x18\x0f%04d%b" % (year, rest)
