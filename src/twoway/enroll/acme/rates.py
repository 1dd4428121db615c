"""How often somebody may ask: buckets that fill again with time, and a bounded number of them."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from twoway.enroll.acme.faults import RateLimited


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in an hour; all of them may come at once."""

    what: str
    per_hour: int


class Rates:
    """What was asked lately, for each rate and each asker; of each rate the last `askers` are remembered.

    It is this copy's memory alone: with several copies each allows as much.
    """

    def __init__(self, *, askers: int = 10_000) -> None:
        self._room = askers
        self._left: dict[str, OrderedDict[str, tuple[float, float]]] = {}

    def take(self, rate: Rate, asker: str, seconds: float) -> None:
        """Count one, at that moment of a clock in seconds. Raises RateLimited with the time until the next."""
        self.check(rate, asker, seconds)
        left, _ = self._left[rate.what][asker]
        self._left[rate.what][asker] = (left - 1, seconds)

    def check(self, rate: Rate, asker: str, seconds: float) -> None:
        """The same without counting: for what is counted when it has failed."""
        known = self._left.setdefault(rate.what, OrderedDict())
        left, at = known.pop(asker, (float(rate.per_hour), seconds))
        left = min(rate.per_hour, left + max(0.0, seconds - at) * rate.per_hour / 3600)
        known[asker] = (left, seconds)
        if len(known) > self._room:
            known.popitem(last=False)
        if left < 1:
            wait = 3600 if rate.per_hour == 0 else math.ceil((1 - left) * 3600 / rate.per_hour)
            raise RateLimited(rate.what, max(1, wait))


def network_of(address: str | None) -> str:
    """Who asks: an IPv4 address, or the /64 of an IPv6 address, since whoever has one has them all."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
