"""A gateway's status in Prometheus' text format, version 0.0.4; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from twoway.gateway import revocation_metrics

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_Samples = list[tuple[str, dict[str, str], float]]
_Family = tuple[str, str, str, _Samples]


def exposition(status: dict[str, Any]) -> str:
    """All metrics of a status, as the desk of a process or of a crew tells it."""
    lines: list[str] = []
    for name, kind, help_, samples in _families(status):
        lines += [f"# HELP twoway_gateway_{name} {help_}", f"# TYPE twoway_gateway_{name} {kind}"]
        lines += [
            f"twoway_gateway_{name}{suffix}{_labels(labels)} {value}" for suffix, labels, value in samples
        ]
    return "\n".join(lines) + "\n"


def _families(status: dict[str, Any]) -> Iterator[_Family]:
    listeners = status["listeners"]
    yield from _counters(listeners)
    yield from _gauges(status, listeners)
    for name, key, help_ in (
        ("handshake_seconds", "handshakes", "From accept to admitted, of connections that were let in."),
        ("connection_seconds", "relays", "How long relayed connections lived."),
        ("request_seconds", "request_seconds", "From a request's head to the end of its answer, in HTTP."),
    ):
        yield name, "histogram", help_, [sample for one in listeners for sample in _histogram(one, key)]


def _counters(listeners: list[dict[str, Any]]) -> Iterator[_Family]:
    def each(key: str) -> _Samples:
        return [("", {"listener": one["name"]}, one[key]) for one in listeners]

    def by(key: str, label: str) -> _Samples:
        return [
            ("", {"listener": one["name"], label: value}, count)
            for one in listeners
            for value, count in sorted(one[key].items())
        ]

    for name, key, help_ in (
        ("accepted", "accepted", "Connections accepted."),
        ("admitted", "admitted", "Connections whose client was proven and let in."),
        ("silent", "silent", "Connections that said nothing in time."),
        ("cut", "cut", "Connections cut by a new generation."),
        ("resumed", "resumed", "Handshakes that resumed a session."),
        ("post_quantum", "post_quantum", "Handshakes with a post-quantum group."),
        ("bytes_up", "bytes_up", "Bytes carried to targets."),
        ("bytes_down", "bytes_down", "Bytes carried to clients."),
        ("reloads", "reloads", "Generations swapped in."),
        ("reloads_failed", "reloads_failed", "Reloads that were refused."),
    ):
        yield f"{name}_total", "counter", help_, each(key)
    for name, label, help_ in (
        ("refused", "code", "Connections refused, by the reason's code."),
        ("turned_away", "limit", "Connections closed by a limit before a handshake."),
        ("failed", "code", "Connections that found no way to a target."),
        ("ended", "how", "Relayed connections that ended, and how."),
        ("shadow", "decision", "What the shadow policy would have decided."),
        ("requests", "status", "HTTP requests, by the class of their answer."),
        ("requests_refused", "code", "HTTP requests that the gateway answered itself, by the reason's code."),
    ):
        yield f"{name}_total", "counter", help_, by(name, label)


def _gauges(status: dict[str, Any], listeners: list[dict[str, Any]]) -> Iterator[_Family]:
    yield "workers", "gauge", "Worker processes at work.", [("", {}, len(status.get("workers", (1,))))]
    yield (
        "worker_deaths_total", "counter", "Workers that ended before they were told to.",
        [("", {}, status.get("worker_deaths", 0))],
    )  # fmt: skip
    yield "uptime_seconds", "gauge", "Seconds since the start.", [("", {}, status["uptime_seconds"])]
    yield "draining", "gauge", "1 while no new connections are taken.", [("", {}, int(status["draining"]))]
    for name, key, help_ in (
        ("open", "open", "Connections open now."),
        ("generation", "generation", "The generation in force; with several workers the oldest of theirs."),
    ):
        yield name, "gauge", help_, [("", {"listener": one["name"]}, one[key]) for one in listeners]
    yield (
        "reload_failing", "gauge", "1 while the last reload was refused and the old generation goes on.",
        [("", {"listener": one["name"]}, int(bool(one["last_reload_error"]))) for one in listeners],
    )  # fmt: skip
    yield (
        "target_up", "gauge", "1 for a target that takes connections.",
        [("", {"listener": one["name"], "target": t["address"]}, int(t["up"])) for one in listeners for t in one["targets"]],
    )  # fmt: skip
    expiries = {
        (one["name"], row["name"]): datetime.fromisoformat(row["not_after"]).timestamp()
        for one in listeners
        for row in one["certificates"]
    }
    yield (
        "certificate_expiry_seconds", "gauge", "When our own certificate ends, in seconds since 1970.",
        [("", {"listener": listener, "name": name}, at) for (listener, name), at in expiries.items()],
    )  # fmt: skip
    yield from revocation_metrics.families(listeners)


def _histogram(one: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, str], float]]:
    labels, so_far = {"listener": one["name"]}, 0
    for edge, count in one[key]["counts"].items():
        so_far += count
        yield "_bucket", {**labels, "le": edge}, so_far
    yield "_sum", labels, one[key]["sum"]
    yield "_count", labels, so_far


def _labels(labels: dict[str, str]) -> str:
    inner = ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items())
    return f"{{{inner}}}" if inner else ""
