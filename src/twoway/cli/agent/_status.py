"""What `twoway agent status` prints."""

from __future__ import annotations

import json as encoder
from datetime import datetime, timedelta
from typing import Any

import click

_WELL = ("fresh", "due")


def emit_status(found: list[dict[str, Any]], now: datetime, *, json: bool) -> int:
    """Print the facts; 1 when a person should look at one of them."""
    if json:
        click.echo(encoder.dumps(found, indent=2))
    else:
        for one in found:
            click.echo("\n".join(_lines(one, now)))
    return int(any(one["state"] not in _WELL for one in found))


def _lines(one: dict[str, Any], now: datetime) -> list[str]:
    if one["state"] == "unusable":
        return [f"✗ {one['directory']}: {one['error']}", f"    remedy: {one['remedy']}"]
    ends, due = datetime.fromisoformat(one["not_after"]), datetime.fromisoformat(one["due_at"])
    mark = "✓" if one["state"] in _WELL else "✗"
    lines = [
        f"{mark} {one['directory']}: {one['subject']}, {one['state']}",
        f"    holds until {ends:%Y-%m-%d %H:%M} UTC ({_span(ends - now)})",
        f"    renewed {'now' if due <= now else f'at {due:%Y-%m-%d %H:%M} UTC ({_span(due - now)})'}"
        f" by {one['authority']}",
    ]
    if one["renewed_at"]:
        lines.append(f"    last renewed {datetime.fromisoformat(one['renewed_at']):%Y-%m-%d %H:%M} UTC")
    if one["hooks_due"]:
        lines.append("    its users have not been told of the newest one yet")
    if one["error"]:
        again = datetime.fromisoformat(one["next_try_at"]) if one["next_try_at"] else now
        lines.append(f"    {one['failures']} attempts failed: {one['error']}")
        lines.append(f"    remedy: {one['remedy']}")
        lines.append(f"    again at {again:%H:%M:%S} UTC")
    return lines


def _span(left: timedelta) -> str:
    seconds = left.total_seconds()
    if seconds < 0:
        return f"{_span(-left)} ago"
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
