"""When an identity is due, and when to try again after a failure. Pure: times in, times out."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Literal

Urgency = Literal["fresh", "due", "late", "expired"]

_FIRST_RETRY, _LONGEST_RETRY, _SHORTEST_RETRY = 60.0, 3600.0, 2.0


def due_at(begins: datetime, ends: datetime, fingerprint: str) -> datetime:
    """When a certificate is to be renewed: after two thirds of its life, and up to a twelfth of it later.

    How much later is taken from its fingerprint: machines that were set up together do not all ask together, and
    the same certificate is always due at the same time.
    """
    share = int.from_bytes(hashlib.sha256(fingerprint.encode("ascii")).digest()[:4]) / 2**32
    return begins + (ends - begins) * (2 / 3 + share / 12)


def urgency(begins: datetime, ends: datetime, fingerprint: str, now: datetime) -> Urgency:
    """How it stands: `late` is when less than a sixth of its life is left, and a person should look."""
    if now >= ends:
        return "expired"
    if now >= ends - (ends - begins) / 6:
        return "late"
    return "due" if now >= due_at(begins, ends, fingerprint) else "fresh"


def retry_after(failures: int, left: timedelta) -> timedelta:
    """How long to wait after so many failures in a row: a minute, doubled each time, an hour at the most.

    Never more than an eighth of the life that is left, so that a short one is not slept through.
    """
    wanted = min(_FIRST_RETRY * 2 ** min(max(failures, 1) - 1, 16), _LONGEST_RETRY)
    if left > timedelta(0):
        wanted = min(wanted, left.total_seconds() / 8)
    return timedelta(seconds=max(wanted, _SHORTEST_RETRY))
