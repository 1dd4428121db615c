"""The handshakes of one connection apart from each other: TLS 1.2 may shake hands again (RFC 5246 §7.4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from twoway.wire.events import Epoch, WireMessage

_NO_RENEGOTIATION = b"\x64"


def handshakes(messages: Sequence[WireMessage]) -> list[tuple[WireMessage, ...]]:
    """Each handshake with what follows it; a hello that was declined stays with the handshake before it.

    There is always at least one. The server's request for the next one (hello_request) belongs to the next.
    """
    edges = [0]
    for index, message in enumerate(messages):
        if (
            message.name == "client_hello"
            and message.epoch is Epoch.APPLICATION
            and not _declined(messages, index)
        ):
            edges.append(_asked_at(messages, index, edges[-1]))
    return [tuple(messages[a:b]) for a, b in zip(edges, [*edges[1:], len(messages)], strict=True)]


def _declined(messages: Sequence[WireMessage], hello: int) -> bool:
    """RFC 5246 §7.2.2: whether the server answered this hello with no_renegotiation."""
    answer = next(
        (m for m in messages[hello + 1 :] if m.sender == "server" and m.kind in ("handshake", "alert")), None
    )
    return answer is not None and answer.kind == "alert" and answer.data[1:] == _NO_RENEGOTIATION


def _asked_at(messages: Sequence[WireMessage], hello: int, after: int) -> int:
    """Where the story of this hello begins: at the request right before it, if there is one."""
    before = [i for i in range(after + 1, hello) if messages[i].name == "hello_request"]
    if before and not any(m.kind == "alert" for m in messages[before[-1] : hello]):
        return before[-1]
    return hello
