"""Reads the server name out of a ClientHello that may not have arrived completely; pure.

RFC 8446 §5.1 (records), §4.1.2 (ClientHello), RFC 6066 §3 (server_name). Nothing is checked beyond what
is needed to find the name: the TLS library judges the message itself.
"""

from __future__ import annotations

from enum import Enum, auto

from twoway.wire.handshake import SERVER_NAME
from twoway.wire.reader import Malformed, Reader

MAX_HELLO = 65536


class _Incomplete(Enum):
    NEED_MORE = auto()


NeedMore = _Incomplete.NEED_MORE

_HANDSHAKE_RECORD, _CLIENT_HELLO, _HOST_NAME = 22, 1, 0


def server_name_of(data: bytes) -> str | _Incomplete | None:
    """The server name in lower case; None when there is none or this is no ClientHello; NeedMore until then.

    Never raises, and never asks for more than 64 KiB.
    """
    message = bytearray()
    position = 0
    while True:
        if position < len(data) and data[position] != _HANDSHAKE_RECORD:
            return None
        if len(data) - position < 5:
            return NeedMore if len(data) < MAX_HELLO else None
        length = int.from_bytes(data[position + 3 : position + 5], "big")
        if length == 0:
            return None
        message += data[position + 5 : position + 5 + length]
        if message and message[0] != _CLIENT_HELLO:
            return None
        if len(message) >= 4:
            whole = 4 + int.from_bytes(message[1:4], "big")
            if whole > MAX_HELLO:
                return None
            if len(message) >= whole:
                return _name_in(bytes(message[4:whole]))
        if len(data) - position < 5 + length:
            return NeedMore if len(data) < MAX_HELLO else None
        position += 5 + length


def _name_in(hello: bytes) -> str | None:
    reader = Reader(hello, "client_hello")
    try:
        reader.take(2 + 32)
        reader.vector(1)
        reader.vector(2)
        reader.vector(1)
        extensions = reader.vector(2)
        while extensions.left:
            kind, body = extensions.number(2), extensions.vector(2)
            if kind == SERVER_NAME:
                return _host_name(body.vector(2))
    except Malformed:
        return None
    return None


def _host_name(names: Reader) -> str | None:
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return name.data.decode("ascii", "replace").lower()
    return None
