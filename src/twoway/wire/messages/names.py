"""A distinguished name in DER as text, for a field that a person reads; pure.

For showing only: nothing is decided by it. Names that do not decode are shown as hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Iterator

_SHORT = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x05": "serialNumber",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x09": "street",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    b"\x55\x04\x0c": "title",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": "emailAddress",
}
_BMP_STRING, _UNIVERSAL_STRING, _SEQUENCE = 0x1E, 0x1C, 0x30


def name_text(der: bytes) -> str:
    """The name as "CN=…, O=…", in the order in which it is written; never raises."""
    try:
        outer = list(_elements(der))
        if len(outer) != 1 or outer[0][0] != _SEQUENCE:
            return der.hex()
        parts = []
        for _, relative in _elements(outer[0][1]):
            for _, attribute in _elements(relative):
                (_, oid), (tag, value) = _elements(attribute)
                parts.append(f"{_SHORT.get(oid) or _dotted(oid)}={_string(tag, value)}")
        return ", ".join(parts)
    except (IndexError, ValueError):
        return der.hex()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                raise ValueError("a length that DER does not have")
            size = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + size > len(der):
            raise ValueError("cut short")
        yield tag, der[at : at + size]
        at += size


def _string(tag: int, value: bytes) -> str:
    if tag == _BMP_STRING:
        return value.decode("utf-16-be", "replace")
    if tag == _UNIVERSAL_STRING:
        return value.decode("utf-32-be", "replace")
    return value.decode("utf-8", "replace")


def _dotted(oid: bytes) -> str:
    if not oid:
        raise ValueError("an empty object identifier")
    first, *rest = _arcs(oid)
    head = [min(first // 40, 2), first - 40 * min(first // 40, 2)]
    return ".".join(str(number) for number in (*head, *rest))


def relative_text(oid: bytes) -> str:
    """A relative object identifier with dots; in hexadecimal digits when it is none. Never raises."""
    return ".".join(map(str, _arcs(oid))) if oid and oid[-1] < 0x80 else oid.hex()


def _arcs(oid: bytes) -> list[int]:
    numbers, value = [], 0
    for octet in oid[:64]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    return numbers
