"""Who keeps us waiting: a request that does not arrive, a body that stops, an answer that nobody reads.

Looked at once a second from outside, so that whoever is quick pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable


class Owed(NamedTuple):
    """What a client has to do next, and a mark that changes when it comes further."""

    what: str
    mark: object


@runtime_checkable
class Waited(Protocol):
    """A connection that can say what it waits for."""

    def owed(self) -> Owed | None: ...
    def give_up(self, what: str) -> None: ...
    def describe(self) -> str: ...


REQUEST, BODY, ANSWER = "send its request", "go on with its request's body", "take its answer"


class Pace:
    """How long each client has owed the same thing."""

    def __init__(self, request_seconds: float, stall_seconds: float) -> None:
        self._limits = {REQUEST: request_seconds, BODY: stall_seconds, ANSWER: stall_seconds}
        self._since: dict[object, tuple[Owed, float]] = {}

    def too_slow(self, connections: Iterable[object], now: float) -> Iterator[tuple[Waited, str, float]]:
        """The connections that owe something for too long, what it is, and how long it may take; `now` in seconds."""
        before, self._since = self._since, {}
        for connection in connections:
            # A WebSocket owes nothing: it may be silent.
            owed = connection.owed() if isinstance(connection, Waited) else None
            if owed is None:
                continue
            assert isinstance(connection, Waited)
            earlier = before.get(connection)
            since = earlier[1] if earlier is not None and earlier[0] == owed else now
            limit = self._limits[owed.what]
            if now - since > limit:
                yield connection, owed.what, limit
            else:
                self._since[connection] = (owed, since)
