"""Certificates that callers showed: recognised once byte for byte, and asked about at every call."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from threading import Lock

from twoway.authority import Authority, Record
from twoway.authority.records import State
from twoway.trust import Peer

MAX_KNOWN = 4096


class Known:
    """What the store says of the certificates that were shown lately.

    What a certificate is never changes, so it is kept; whether it is revoked does, so it is asked each time.
    """

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = Lock()

    def look_up(self, who: Peer, now: datetime.datetime) -> tuple[Record, State]:
        """The record of a proven peer's certificate, and its state at this moment; blocks. Raises NotIssuedHere."""
        record = self._records.get(who.fingerprint)
        if record is None:
            record = self._authority.show(who.leaf, now=now)
            with self._lock:
                self._records[who.fingerprint] = record
                while len(self._records) > MAX_KNOWN:
                    self._records.popitem(last=False)
            return record, record.state
        return record, self._state(record, now)

    def at_hand(self, who: Peer, now: datetime.datetime) -> tuple[Record, State] | None:
        """The same where it takes microseconds and waits for nobody: known already, and the store is a file."""
        record = self._records.get(who.fingerprint) if self._authority.store.at_hand else None
        return None if record is None else (record, self._state(record, now))

    def _state(self, record: Record, now: datetime.datetime) -> State:
        revoked = self._authority.store.ask("SELECT reason FROM revocations WHERE serial = ?", record.serial)
        if revoked is not None:
            return "held" if revoked[0] == "certificateHold" else "revoked"
        return "expired" if now > record.not_after else "valid"
