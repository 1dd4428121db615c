"""What `Authority.issue` takes besides a profile and a name."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TypedDict


class Wishes(TypedDict, total=False):
    """Each of them may be left out."""

    dns: Iterable[str]
    ip: Iterable[str]
    uri: Iterable[str]
    email: Iterable[str]
    days: float | None
    key_type: str | None
    now: datetime.datetime | None
    requested_by: str | None
