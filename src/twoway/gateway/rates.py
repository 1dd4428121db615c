"""How many handshakes an address may begin in a second: a bucket for each, and a bound on the buckets."""

from __future__ import annotations

import socket
from collections import OrderedDict

MOST_ADDRESSES = 16384
_MAPPED = bytes(10) + b"\xff\xff"


class Rates:
    """Token buckets by address. `per_second` handshakes flow in; a bucket holds those of two seconds.

    One IPv6 host has a whole /64 to call from, so all of it shares one bucket (RFC 4291 §2.5.4). Under more addresses
    than there are buckets the ones heard of least recently are forgotten.
    """

    def __init__(self, per_second: float) -> None:
        self._rate, self._most = per_second, max(1.0, 2 * per_second)
        self._buckets: OrderedDict[str | bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: str, now: float) -> bool:
        """Whether this address may begin another one at `now` (monotonic seconds)."""
        key = _network(address) if ":" in address else address
        level, at = self._buckets.pop(key, (self._most, now))
        level = min(self._most, level + (now - at) * self._rate)
        allowed = level >= 1
        self._buckets[key] = (level - 1 if allowed else level, now)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed


def _network(address: str) -> str | bytes:
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if packed.startswith(_MAPPED) else packed[:8]
