"""What a connection's bytes turn into, one event a message; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from twoway.wire.fields import Field

Sender = Literal["client", "server"]
Kind = Literal["handshake", "alert", "change_cipher_spec", "application_data", "encrypted", "not_tls"]


class Epoch(StrEnum):
    """Under which keys bytes travelled (RFC 8446 §2.1 calls the moments of change by these names)."""

    PLAIN = "plain"
    EARLY = "early"
    HANDSHAKE = "handshake"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One handshake message, alert, change_cipher_spec, or record of application data; frozen.

    `name` is the handshake message's ("client_hello" …; "hello_retry_request" for a ServerHello that is one),
    the kind for the others. `data` is the message as decrypted, a handshake message with its four bytes of type
    and length, and b"" for "encrypted" (a record that no known secret opens). `wire_size` counts the bytes of
    the records that this message began in or shares first, headers included: the sum over all messages is the
    number of bytes that travelled. `at_us` is in microseconds since the connection's first byte. `tree` covers
    `data`. `fault` says what does not decode, where something does not: the tree then ends in "undecoded".
    """

    sender: Sender
    kind: Kind
    name: str
    number: int | None
    at_us: int
    epoch: Epoch
    wire_size: int
    data: bytes = field(repr=False)
    tree: Field = field(repr=False)
    fault: str | None = None
