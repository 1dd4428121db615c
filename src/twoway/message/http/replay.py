"""Which signed requests were seen already: bounded, by time, for one process."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from datetime import datetime

from twoway.message.http.faults import Replayed, TooManyRequests

CAPACITY = 500_000  # some 1,400 requests a second within the six minutes that one is remembered; 90 MB


class ReplayCache:
    """Remembers nonces for as long as a signature with them would be in time; safe to share between threads.

    When `capacity` nonces are in time at once, further requests are refused: forgetting would let replays in.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[bytes, float] = OrderedDict()  # in the order in which they may be forgotten
        self._lock = threading.Lock()

    def check(self, signer: str, nonce: str, *, until: datetime, now: datetime) -> None:
        """A nonce of a signer that was not seen before; raises Replayed, or TooManyRequests."""
        key = hashlib.sha256(f"{signer} {nonce}".encode()).digest()[:16]
        with self._lock:
            self._forget(now.timestamp())
            if key in self._seen:
                raise Replayed(nonce)
            if len(self._seen) >= self._capacity:
                raise TooManyRequests(self._capacity)
            self._seen[key] = until.timestamp() + 1

    def _forget(self, now: float) -> None:
        while self._seen and next(iter(self._seen.values())) < now:
            self._seen.popitem(last=False)
