"""What metrics say about revocation: how long lists hold, and how fetching goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

Samples = list[tuple[str, dict[str, str], float]]


def families(listeners: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, Samples]]:
    """(name, kind, help, samples) of each family, of the listeners of a status."""
    lists = {
        (one["name"], crl["issuer"]): crl
        for one in listeners
        for crl in sorted(one["crls"], key=lambda crl: crl["next_update"] or "")
        if crl["next_update"] is not None
    }  # of several lists of one issuer the newest
    labelled = [({"listener": name, "issuer": issuer}, crl) for (name, issuer), crl in lists.items()]
    yield (
        "crl_expiry_seconds",
        "gauge",
        "When a revocation list ends, in seconds since 1970.",
        [("", labels, datetime.fromisoformat(crl["next_update"]).timestamp()) for labels, crl in labelled],
    )
    yield (
        "crl_hours_left",
        "gauge",
        "How many hours a revocation list still holds; below 0 it is stale.",
        [("", labels, crl["hours_left"]) for labels, crl in labelled],
    )
    fetches: dict[tuple[str, str, str], float] = {}
    for one in listeners:
        for fetch in one["crl_fetches"]:
            for key, count in fetch.items():
                if key.startswith("fetched_"):
                    which = (one["name"], fetch["url"], key.removeprefix("fetched_"))
                    fetches[which] = fetches.get(which, 0) + count
    answers: dict[tuple[str, str], float] = {}
    staples: dict[tuple[str, str], float] = {}
    for one in listeners:
        for asked in one["ocsp"]:
            for kind, count in asked["answers"].items():
                answers[one["name"], kind] = answers.get((one["name"], kind), 0) + count
        for staple in one["staples"]:
            until = staple["until"]
            staples[one["name"], staple["name"]] = datetime.fromisoformat(until).timestamp() if until else 0
    yield (
        "crl_fetches_total",
        "counter",
        "Fetches of revocation lists, by address and how they ended.",
        [
            ("", {"listener": name, "url": url, "result": result}, count)
            for (name, url, result), count in fetches.items()
        ],
    )
    yield (
        "ocsp_answers_total",
        "counter",
        "What responders said about peers, or that they said nothing; remembered answers too.",
        [("", {"listener": name, "answer": kind}, count) for (name, kind), count in answers.items()],
    )
    yield (
        "staple_expiry_seconds",
        "gauge",
        "When the answer that is stapled ends, in seconds since 1970; 0 without one.",
        [("", {"listener": name, "name": who}, until) for (name, who), until in staples.items()],
    )
