"""What is on its way to a client: written at once, and kept in order while the client does not take it."""

from __future__ import annotations

from twoway.gateway.ends import Data, PlainEnd


class Outbox:
    """`pending` is what the end has not taken yet; whoever fills it stops reading until it is empty."""

    __slots__ = ("_end", "pending")

    def __init__(self, end: PlainEnd) -> None:
        self._end, self.pending = end, b""

    def send(self, data: Data) -> None:
        """Write; raises what the end raises."""
        if self.pending:
            self.pending += bytes(data)
            return
        taken = self._end.write(data)
        if taken < len(data):
            self.pending = bytes(data[taken:])

    def flush(self) -> bool:
        """Write what is pending; whether something of it was taken."""
        if not self.pending:
            return False
        taken = self._end.write(self.pending)
        self.pending = self.pending[taken:]
        return taken > 0
