"""What a message looks like by its first bytes, which stay in front of the rest."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Literal

from twoway.message.faults import MessageMalformed
from twoway.message.streams import Source, read_exactly, read_whole

_HEAD = 64
MAX_ARMOURED = 96 * 1024 * 1024  # text is decoded whole; DER of any length is not
_ARMOUR = re.compile(rb"-----BEGIN (CMS|PKCS7)-----\s(.*?)-----END \1-----\s*", re.DOTALL)

Look = Literal["cms", "hpke", "jose"]


class Looked:
    """A source whose first bytes have been looked at; they are read again, in front of the rest."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.head = self._left = read_exactly(source, _HEAD)

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return self._source.read(size)
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def format_of(head: bytes) -> Look | None:
    """The family of formats that a message begins like; None for none that is known."""
    if head.startswith((b"\x30", b"-----BEGIN CMS", b"-----BEGIN PKCS7")):
        return "cms"
    if head.startswith(b"twoway\0"):
        return "hpke"
    stripped = head.lstrip()
    # A compact message begins with the base64url of a JSON object: eyJ of {".
    return "jose" if stripped.startswith((b"{", b"ey")) else None


def unarmoured(looked: Looked) -> Source:
    """DER or BER as it is, or out of PEM (RFC 7468 §9); raises MessageMalformed or MessageTooLarge."""
    if not looked.head.startswith(b"-"):
        return looked
    match = _ARMOUR.fullmatch(read_whole(looked, MAX_ARMOURED, "cms in PEM"))
    if match is None:
        raise MessageMalformed("cms", "there is not one PEM block of CMS and nothing else")
    try:
        return io.BytesIO(base64.b64decode(b"".join(match[2].split()), validate=True))
    except binascii.Error:
        raise MessageMalformed("cms", "the PEM block is not base64") from None
