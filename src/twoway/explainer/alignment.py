"""Aligns the messages of two handshakes, so that they can be looked at side by side."""

from __future__ import annotations

from difflib import SequenceMatcher

from twoway.explainer.transcript import Message, Transcript


def aligned(left: Transcript, right: Transcript) -> list[tuple[Message | None, Message | None]]:
    """Pairs of messages with the same sender and name, in order; None where one side has no such message."""
    mine = [(m.wire.sender, m.wire.name) for m in left.messages]
    theirs = [(m.wire.sender, m.wire.name) for m in right.messages]
    pairs: list[tuple[Message | None, Message | None]] = []
    for kind, a, b, c, d in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            pairs += zip(left.messages[a:b], right.messages[c:d], strict=True)
            continue
        pairs += [(message, None) for message in left.messages[a:b]]
        pairs += [(None, message) for message in right.messages[c:d]]
    return pairs
