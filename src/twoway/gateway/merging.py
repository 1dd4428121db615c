"""The answers of several workers as one: counts are summed, and where workers differ it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Answer = dict[str, Any]


def merge(act: str, answers: Sequence[Answer]) -> Answer:
    """One answer of several to the same request. With none there is nothing to say but an error."""
    errors = [one["error"] for one in answers if "error" in one]
    good = [one for one in answers if "error" not in one]
    if not good:
        return {"error": errors[0] if errors else "no worker answers"}
    how = _MERGE.get(act)
    return how(good) if how is not None else good[0]


def _status(answers: Sequence[Answer]) -> Answer:
    workers = [
        {
            **{key: one[key] for key in ("pid", "uptime_seconds", "draining", "ready")},
            "open": sum(listener["open"] for listener in one["listeners"]),
            "generations": [listener["generation"] for listener in one["listeners"]],
        }
        for one in answers
    ]
    serving = [one for one in answers if not one["draining"]]
    return {
        "ready": bool(serving) and all(one["ready"] for one in serving),
        "agreed": len({tuple(one["generations"]) for one in workers if not one["draining"]}) <= 1,
        "workers": workers,
        "listeners": [_listener(found) for found in zip(*(one["listeners"] for one in answers), strict=True)],
    }


def _listener(found: Sequence[Answer]) -> Answer:
    merged: Answer = {}
    for key, first in found[0].items():
        values = [one[key] for one in found]
        if key == "generation":
            merged[key] = min(values)
        elif key == "ready":
            merged[key] = all(values)
        elif key == "targets":
            merged[key] = [_target(of) for of in zip(*values, strict=True)]
        elif key == "crl_fetches":
            merged[key] = [_fetch(of) for of in zip(*values, strict=True)]
        elif key == "ocsp":
            merged[key] = [
                {**of[0], "answers": _sum([one["answers"] for one in of])} for of in zip(*values, strict=True)
            ]
        elif key == "staples":
            merged[key] = [_staple(of) for of in zip(*values, strict=True)]
        elif isinstance(first, (int, float)) and not isinstance(first, bool):
            merged[key] = sum(values)
        elif isinstance(first, dict):
            merged[key] = _sum(values)
        else:  # texts, and what all have alike
            merged[key] = next((value for value in values if value), first)
    return merged


def _target(found: Sequence[Answer]) -> Answer:
    """Down as soon as one of the workers has found it so: the others may not have tried yet."""
    return {
        "address": found[0]["address"],
        "up": all(one["up"] for one in found),
        "open": sum(one["open"] for one in found),
        "reason": next((one["reason"] for one in found if one["reason"]), ""),
    }


def _fetch(found: Sequence[Answer]) -> Answer:
    """Only one worker fetches; the others have counted nothing."""
    busiest = max(
        found, key=lambda one: sum(count for key, count in one.items() if key.startswith("fetched_"))
    )
    return max((busiest, *found), key=lambda one: one["failures"])


def _staple(found: Sequence[Answer]) -> Answer:
    """The worst of them: each worker fetches its own."""
    return min(found, key=lambda one: (one["until"] is not None, one["until"] or "", -one["failures"]))


def _sum(values: Sequence[Any]) -> Any:
    if not isinstance(values[0], dict):
        return sum(values)
    keys = dict.fromkeys(key for value in values for key in value)
    return {key: _sum([value[key] for value in values if key in value]) for key in keys}


def _reload(answers: Sequence[Answer]) -> Answer:
    errors: dict[str, str] = {}
    for one in answers:
        errors.update(one["errors"])
    return {"reload": "failed" if errors else "done", "errors": errors}


_MERGE: dict[str, Callable[[Sequence[Answer]], Answer]] = {
    "status": _status,
    "connections": lambda found: {"connections": [row for one in found for row in one["connections"]]},
    "cut": lambda found: {"cut": sum(one["cut"] for one in found)},
    "reload": _reload,
    "ready": lambda found: {
        "ready": all(one["ready"] for one in found if not one["draining"]),
        "draining": all(one["draining"] for one in found),
    },
}
