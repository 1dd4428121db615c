"""What a listener has counted since its start, as plain numbers: cheap where they are counted, read elsewhere."""

from __future__ import annotations

import bisect
from collections import Counter

BOUNDARIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of durations in seconds, by upper boundary."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDARIES) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(BOUNDARIES, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, int]]:
        """Upper boundaries as text, each with how many were at or below it."""
        found, sum_ = [], 0
        for boundary, count in zip((*map(str, BOUNDARIES), "+Inf"), self.counts, strict=True):
            sum_ += count
            found.append((boundary, sum_))
        return found


class Tally:
    """One listener's counts; all only ever grow, but for what is open."""

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
        self.handshakes = Histogram()
        self.lives = Histogram()
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
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "reloads": self.reloads,
            "reloads_failed": self.reloads_failed,
            "last_reload_error": self.last_reload_error,
        }
