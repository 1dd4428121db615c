"""How many handshakes an address may begin in a second: a bucket for each, and a bound on the buckets."""

from __future__ import annotations

from collections import OrderedDict

_MOST_ADDRESSES = 16384


class Rates:
    """Token buckets by address. `per_second` handshakes flow in; a bucket holds those of two seconds."""

    def __init__(self, per_second: float) -> None:
        self._rate, self._most = per_second, max(1.0, 2 * per_second)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> bool:
        """Whether this address may begin another one at `now` (monotonic seconds)."""
        level, at = self._buckets.pop(address, (self._most, now))
        level = min(self._most, level + (now - at) * self._rate)
        allowed = level >= 1
        self._buckets[address] = (level - 1 if allowed else level, now)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed
