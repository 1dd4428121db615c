"""PEM text to blocks (RFC 7468), with the lines at which they stand; pure.

Text around the blocks is allowed (openssl writes some), and so are CRLF and a byte order mark.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from twoway.credential.faults import FileEmpty, NotPem, PemBroken, PemGlued, TooLarge

MAX_BYTES = 64 * 1024 * 1024  # revocation lists grow; everything else has a smaller bound of its own
MAX_BLOCKS = 1000
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 .#-]{0,60}?)-----")
_END = re.compile(rb"-----END ([A-Z0-9][A-Z0-9 .#-]{0,60}?)-----")
_DER_SEQUENCE = 0x30


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block: its label, its DER, the line of its BEGIN (from 1), and its own text."""

    label: str
    der: bytes
    line: int
    text: bytes
    encrypted: bool = False


def scan(data: bytes, *, where: str = "memory") -> tuple[Block, ...]:
    """All PEM blocks in order, none if there is only other text.

    Raises FileEmpty, NotPem (DER and PKCS#12 are named), PemGlued, PemBroken or TooLarge.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(where, "a file", len(data), MAX_BYTES)
    if not data.strip():
        raise FileEmpty(where)
    if not _BEGIN.search(data):
        if found := _other_format(data):
            raise NotPem(where, found)
        return ()
    blocks: list[Block] = []
    position, line, counted = 0, 1, 0
    while match := _BEGIN.search(data, position):
        line += data.count(b"\n", counted, match.start())
        counted = match.start()
        if len(blocks) >= MAX_BLOCKS:
            raise TooLarge(where, "PEM blocks", len(blocks) + 1, MAX_BLOCKS)
        _check_between(data, position, match.start(), where)
        block, position = _block(data, match, line, where)
        blocks.append(block)
    _check_between(data, position, len(data), where)
    return tuple(blocks)


def _check_between(data: bytes, start: int, stop: int, where: str) -> None:
    """A block that lost its BEGIN line is not other text: it would be left out without a word."""
    end = _END.search(data, start, stop)
    # On the line of the next BEGIN it is told as what it is: glued.
    if end and (stop == len(data) or b"\n" in data[end.end() : stop]):
        line = data.count(b"\n", 0, end.start()) + 1
        raise PemBroken(where, line, f"the block {end[1].decode('ascii')} has no BEGIN line")


def _block(data: bytes, match: re.Match[bytes], line: int, where: str) -> tuple[Block, int]:
    label = match[1].decode("ascii")
    start = data.rfind(b"\n", 0, match.start()) + 1
    before = data[start : match.start()].removeprefix(b"\xef\xbb\xbf").strip()
    if b"-----END " in before:
        raise PemGlued(where, line)
    if before:
        raise PemBroken(where, line, "the BEGIN line has other text in front of it")
    end_mark = b"-----END " + match[1] + b"-----"
    end = data.find(end_mark, match.end())
    following = _BEGIN.search(data, match.end())
    if end < 0 or (following and following.start() < end):
        raise PemBroken(where, line, f"the block {label} has no END line")
    body = data[match.end() : end]
    head, content = _headers(body)
    try:
        der = base64.b64decode(b"".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PemBroken(where, line, f"the block {label} is not Base64") from error
    if not der:
        raise PemBroken(where, line, f"the block {label} is empty")
    stop = end + len(end_mark)
    return Block(label, der, line, data[match.start() : stop] + b"\n", b"ENCRYPTED" in head), stop


def _headers(body: bytes) -> tuple[bytes, bytes]:
    """The headers of RFC 1421 that older key files have, and what follows them."""
    if b":" not in body:
        return b"", body
    lines = body.replace(b"\r\n", b"\n").lstrip(b"\n").split(b"\n")
    for index, text in enumerate(lines):
        if not text.strip():
            return b"\n".join(lines[:index]), b"\n".join(lines[index + 1 :])
    return body, b""


def _other_format(data: bytes) -> str | None:
    """What DER bytes look like from their first elements; None for plain text."""
    if data[0] != _DER_SEQUENCE:
        return "binary data" if b"\0" in data[:1024] else None
    head = data[:64]
    # PKCS#12 is SEQUENCE { INTEGER 3, SEQUENCE { OID pkcs7-data|signedData … (RFC 7292 §4).
    if b"\x02\x01\x03\x30" in head and b"\x2a\x86\x48\x86\xf7\x0d\x01\x07" in head:
        return "PKCS#12"
    # A key begins with its version; a certificate with another SEQUENCE.
    inner = _content(data)
    if inner[:2] == b"\x02\x01":
        return "a DER private key"
    if inner[:1] == b"\x30":
        return "a DER certificate"
    return "DER"


def _content(data: bytes) -> bytes:
    if len(data) < 2:
        return b""
    length = data[1]
    return data[2 + (length & 0x7F if length & 0x80 else 0) :][:8]


def encode(label: str, der: bytes) -> bytes:
    """One PEM block with lines of 64 characters (RFC 7468 §2)."""
    body = base64.b64encode(der)
    lines = [body[index : index + 64] for index in range(0, len(body), 64)]
    name = label.encode("ascii")
    return b"-----BEGIN " + name + b"-----\n" + b"\n".join(lines) + b"\n-----END " + name + b"-----\n"
