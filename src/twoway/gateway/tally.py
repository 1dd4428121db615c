"""What a listener has counted since its start, as plain numbers: cheap where they are counted, read elsewhere."""

from __future__ import annotations

import bisect
from collections import Counter
from typing import Any

HANDSHAKES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RELAYS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


class Histogram:
    """Counts of durations in seconds, by upper boundary."""

    __slots__ = ("_boundaries", "counts", "total")

    def __init__(self, boundaries: tuple[float, ...]) -> None:
        self._boundaries = boundaries
        self.counts = [0] * (len(boundaries) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(self._boundaries, seconds)] += 1
        self.total += seconds

    def as_dict(self) -> dict[str, Any]:
        """Counts by upper boundary (each only its own), the last without one; and the sum of all durations."""
        return {
            "counts": dict(zip((*map(str, self._boundaries), "+Inf"), self.counts, strict=True)),
            "sum": self.total,
        }


class Tally:
    """One listener's counts; all only ever grow."""

    def __init__(self) -> None:
        self.accepted = 0
        self.admitted = 0
        self.resumed = 0
        self.post_quantum = 0
        self.cut = 0
        self.silent = 0
        self.turned_away: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.shadow: Counter[str] = Counter()
        self.bytes_up = 0
        self.bytes_down = 0
        self.handshakes = Histogram(HANDSHAKES)
        self.lives = Histogram(RELAYS)
        self.requests: Counter[str] = Counter()
        self.requests_refused: Counter[str] = Counter()
        self.request_seconds = Histogram(HANDSHAKES)
        self.reloads = 0
        self.reloads_failed = 0
        self.last_reload_error = ""

    def as_dict(self) -> dict[str, object]:
        """Every count by name, ready for JSON."""
        return {
            "accepted": self.accepted,
            "admitted": self.admitted,
            "resumed": self.resumed,
            "post_quantum": self.post_quantum,
            "cut": self.cut,
            "silent": self.silent,
            "turned_away": dict(self.turned_away),
            "refused": dict(self.refused),
            "failed": dict(self.failed),
            "ended": dict(self.ended),
            "shadow": dict(self.shadow),
            "requests": dict(self.requests),
            "requests_refused": dict(self.requests_refused),
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "handshakes": self.handshakes.as_dict(),
            "relays": self.lives.as_dict(),
            "request_seconds": self.request_seconds.as_dict(),
            "reloads": self.reloads,
            "reloads_failed": self.reloads_failed,
            "last_reload_error": self.last_reload_error,
        }
