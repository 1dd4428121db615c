"""The way in: bytes of one message to its name, its tree, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

from twoway.wire.events import Sender
from twoway.wire.fields import Field
from twoway.wire.handshake import RETRY_RANDOM
from twoway.wire.messages.decoder import Decoder, Findings
from twoway.wire.messages.handshake import reading
from twoway.wire.tables import ALERT_LEVELS, ALERTS, MESSAGES

_RANDOM = slice(6, 38)


def decode_message(
    data: bytes, *, version: str | None, sender: Sender, cipher_suite: str | None = None
) -> tuple[str, Field, str | None]:
    """One whole handshake message, header included: its name, the tree over all its bytes, and its first fault.

    `version` ("TLSv1.3") and `cipher_suite` are what has been negotiated, None before. Never raises: what does
    not decode is a field "undecoded". `sender` is not needed by any message of TLS 1.2 and 1.3 so far.
    """
    number = data[0] if data else 0
    name = MESSAGES.get(number, f"message_{number}")
    if number == 2 and data[_RANDOM] == RETRY_RANDOM:
        name = "hello_retry_request"
        version = "TLSv1.3"

    def read(d: Decoder) -> None:
        d.number("msg_type", 1, MESSAGES)
        length = d.number("length", 3)
        d.within("body", length, reading(number, version, cipher_suite))

    tree, fault = _tree(name, data, read)
    return name, tree, fault


def decode_alert(data: bytes) -> tuple[Field, str | None]:
    """RFC 8446 §6."""

    def read(d: Decoder) -> str:
        d.number("level", 1, ALERT_LEVELS)
        number = d.number("description", 1, ALERTS)
        return ALERTS.get(number, f"alert {number}")

    return _tree("alert", data, read)


def decode_change_cipher_spec(data: bytes) -> tuple[Field, str | None]:
    """RFC 5246 §7.1."""

    def read(d: Decoder) -> None:
        d.number("type", 1, {1: "change_cipher_spec"})

    return _tree("change_cipher_spec", data, read)


def decode_data(data: bytes) -> Field:
    """Application data, which has no structure that TLS knows."""
    return Field("application_data", 0, len(data), None, f"{len(data)} bytes", _only(data))


def _only(data: bytes) -> tuple[Field, ...]:
    return (Field("data", 0, len(data), data),) if data else ()


def _tree(name: str, data: bytes, read: Callable[[Decoder], str | None]) -> tuple[Field, str | None]:
    findings = Findings()
    decoder = Decoder(data, 0, len(data), findings)
    text = decoder.all_of(name, read)
    fault = findings.faults[0] if findings.faults else None
    return Field(name, 0, len(data), None, text, tuple(decoder.fields)), fault
