"""One side's bytes, message by message: finds where heads end, and keeps what is not yet used; pure, bounded."""

from __future__ import annotations

import re

from twoway.gateway.http.faults import BadMessage
from twoway.gateway.http.heads import MAX_HEAD

_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class Reader:
    """Holds at most a head, and whatever came together with its end."""

    __slots__ = ("_searched", "held")

    def __init__(self) -> None:
        self.held = b""
        self._searched = 0

    def feed(self, data: bytes) -> None:
        self.held = self.held + data if self.held else data

    def take(self) -> bytes:
        """Everything that is held, which is then held no longer."""
        held, self.held, self._searched = self.held, b"", 0
        return held

    def head(self) -> bytes | None:
        """The next head, without the empty line at its end; None when it is not whole. Raises BadMessage."""
        held = self.held
        end = held.find(b"\r\n\r\n", self._searched)
        if end < 0 or end > MAX_HEAD or not end:
            self._check_rest(end)
            return None
        self.held, self._searched = held[end + 4 :], 0
        return held[:end]

    def _check_rest(self, end: int) -> None:
        held = self.held
        if end > MAX_HEAD or len(held) > MAX_HEAD:
            raise BadMessage(f"its head is longer than {MAX_HEAD} bytes", 431)
        if held[:4] == b"\r\n\r\n":
            raise BadMessage("it begins with empty lines")
        # Else such a head would only end with its time limit.
        if _BARE_LINE_FEED.search(held, max(0, self._searched)):
            raise BadMessage("a line of its head ends in LF alone")
        self._searched = max(0, len(held) - 3)
