"""Which signed requests were seen already: bounded, by time, for one process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from twoway.message.http.faults import Replayed, TooManyRequests


class ReplayCache:
    """Remembers nonces for as long as a signature with them would be in time; safe to share between threads.

    When `capacity` nonces are in time at once, further requests are refused: forgetting would let replays in.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, signer: str, nonce: str, *, until: datetime, now: datetime) -> None:
        """A nonce of a signer that was not seen before; raises Replayed, or TooManyRequests."""
        key = (signer, nonce)
        with self._lock:
            if key in self._seen:
                raise Replayed(nonce)
            if len(self._seen) >= self._capacity:
                self._forget(now)
            if len(self._seen) >= self._capacity:
                raise TooManyRequests(self._capacity)
            self._seen[key] = until + timedelta(seconds=1)

    def _forget(self, now: datetime) -> None:
        for key in [key for key, until in self._seen.items() if until < now]:
            del self._seen[key]
