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
        with self._lock:
            record = self._records.get(who.fingerprint)
        if record is None:
            record = self._authority.show(who.leaf, now=now)
            with self._lock:
                self._records[who.fingerprint] = record
                while len(self._records) > MAX_KNOWN:
                    self._records.popitem(last=False)
            return record, record.state
        revoked = self._authority.store.ask("SELECT reason FROM revocations WHERE serial = ?", record.serial)
        if revoked is not None:
            return record, "held" if revoked[0] == "certificateHold" else "revoked"
        return record, "expired" if now > record.not_after else "valid"
