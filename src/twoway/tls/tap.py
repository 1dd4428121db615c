"""Records every TLS message of a handshake, decrypted, as OpenSSL sends and receives it.

For explaining and demonstrating: it costs a Python call a message, so only contexts made for it are tapped.
What it records holds certificates and names; never keys, but application data if any is sent, so it is
bounded and taps stop at the end of the handshake.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass, field
from typing import Any, Literal

from twoway.tls.context import EngineContext
from twoway.tls.library import ffi, lib
from twoway.tls.session import Session

MAX_MESSAGES = 200

_HANDSHAKE, _ALERT, _CHANGE_CIPHER_SPEC = 22, 21, 20
_recorded: weakref.WeakValueDictionary[Any, Tap] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class TappedMessage:
    """One message: which side of ours it went, its content type, its plaintext, and when (µs from the start)."""

    direction: Literal["sent", "received"]
    content_type: int
    data: bytes = field(repr=False)
    at_us: int


class Tap:
    """The messages of one session of a tapped context, in order."""

    def __init__(self, session: Session) -> None:
        self.messages: list[TappedMessage] = []
        self._began = time.monotonic_ns()
        _recorded[session.pointer] = self

    def take(self, direction: Literal["sent", "received"], content_type: int, data: bytes) -> None:
        if len(self.messages) < MAX_MESSAGES:
            at = (time.monotonic_ns() - self._began) // 1000
            self.messages.append(TappedMessage(direction, content_type, data, at))


@ffi.callback("void (*)(int, int, int, const void *, size_t, SSL *, void *)")
def _on_message(
    sent: int, _version: int, content_type: int, data: Any, length: int, ssl: Any, _arg: Any
) -> None:
    if content_type not in (_HANDSHAKE, _ALERT, _CHANGE_CIPHER_SPEC):
        return
    tap = _recorded.get(ssl)
    if tap is not None:
        tap.take("sent" if sent else "received", content_type, bytes(ffi.buffer(data, length)))


def make_tappable(context: EngineContext) -> None:
    """Have a context that no session has been made of yet report its messages."""
    lib.SSL_CTX_set_msg_callback(context.pointer, _on_message)
