"""What metrics say about revocation: how long lists hold, and how fetching goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twoway.gateway.frontend import Frontend

Samples = list[tuple[str, dict[str, str], float]]


def families(frontends: list[Frontend]) -> Iterator[tuple[str, str, str, Samples]]:
    """(name, kind, help, samples) of each family."""
    ends = {
        (frontend.name, crl.issuer.rfc4514_string()): crl.next_update_utc.timestamp()
        for frontend in frontends
        for checks in frontend.material.checks
        for crl in sorted(
            checks.trust.crls if checks.trust is not None else (), key=lambda crl: crl.last_update_utc
        )
        if crl.next_update_utc is not None
    }  # of several lists of one issuer the newest
    now = time.time()
    labelled = [({"listener": name, "issuer": issuer}, end) for (name, issuer), end in ends.items()]
    yield (
        "crl_expiry_seconds",
        "gauge",
        "When a revocation list ends, in seconds since 1970.",
        [("", labels, end) for labels, end in labelled],
    )
    yield (
        "crl_hours_left",
        "gauge",
        "How many hours a revocation list still holds; below 0 it is stale.",
        [("", labels, round((end - now) / 3600, 3)) for labels, end in labelled],
    )
    yield (
        "crl_fetches_total",
        "counter",
        "Fetches of revocation lists, by address and how they ended.",
        [
            ("", {"listener": frontend.name, "url": str(source.url), "result": how}, count)
            for frontend in frontends
            for checks in frontend.material.checks
            for source in checks.sources
            for how, count in source.fetched.items()
        ],
    )
