"""`twoway gateway top`: what a running gateway does a second, and its busiest connections, in 80 columns."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from twoway.cli._output import printable
from twoway.cli.gateway.look import admin_option, asked, duration, size


@click.command()
@admin_option
@click.option("--every", default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--times", default=0, help="How many looks; 0 goes on until Ctrl-C.")
def top(admin: Path, every: float, times: int) -> int:
    """Watch a running gateway: what it admits, refuses and carries a second, and its busiest connections."""
    before: dict[str, Any] | None = None
    lively, looks = sys.stdout.isatty(), 0
    while not times or looks < times:
        now = asked(admin, {"do": "status"})
        open_ = asked(admin, {"do": "connections"})["connections"]
        columns, rows = shutil.get_terminal_size((80, 24)) if lively else (80, 24)
        if lively:
            click.clear()
        click.echo("\n".join(_screen(now, before, open_, max(80, columns), rows)))
        before, looks = now, looks + 1
        if not times or looks < times:
            time.sleep(every)
    return 0


def _screen(
    now: dict[str, Any], before: dict[str, Any] | None, open_: list[dict[str, Any]], columns: int, rows: int
) -> list[str]:
    """The lines of one look; rates are since the look before, and "-" in the first one."""
    lines = [*_head(now), ""]
    lines.append(
        f"{'LISTENER':<{columns - 52}}{'OPEN':>6}{'ADMIT/S':>9}{'REFUSE/S':>10}{'UP/S':>13}{'DOWN/S':>13}"
    )
    seconds = now["uptime_seconds"] - before["uptime_seconds"] if before is not None else 0
    for number, one in enumerate(now["listeners"]):
        old = before["listeners"][number] if before is not None else None
        lines.append(
            f"{printable(one['name']):<{columns - 52}.{columns - 53}}{one['open']:>6}{_rates(one, old, seconds)}"
        )
        lines += [f"  {told}" for told in _troubles(one, columns - 2)]
    lines.append("")
    wide = columns - 59
    lines.append(f"{'#':>8} {'PEER':{wide}} {'FROM':21} {'STAGE':10}{'AGE':>5}{'CARRIED':>12}")
    most = max(3, rows - len(lines) - 2)
    busiest = sorted(open_, key=lambda row: (-(row["up"] + row["down"]), row["number"]))
    for row in busiest[:most]:
        lines.append(
            f"{row['number']:>8} {printable(row['peer'] or '-'):{wide}.{wide}} {row['address'] or '-':21.21} "
            f"{row['stage']:10.9}{duration(row['seconds']):>5}{size(row['up'] + row['down']):>12}"
        )
    if len(busiest) > most:
        lines.append(f"         and {len(busiest) - most} more")
    return lines


def _head(now: dict[str, Any]) -> list[str]:
    state = "draining" if now["draining"] else "ready" if now["ready"] else "NOT READY"
    workers = now.get("workers", ())
    generations = sorted({one["generation"] for one in now["listeners"]})
    line = f"process {now['pid']}  up {duration(now['uptime_seconds'])}  {state}  generation {'/'.join(map(str, generations))}"
    if workers:
        line += f"  workers {sum(not one['draining'] for one in workers)}"
    if now.get("worker_deaths"):
        line += f"  deaths {now['worker_deaths']}"
    return (
        [line] if now.get("agreed", True) else [line, "THE WORKERS HAVE DIFFERENT GENERATIONS: see the log"]
    )


def _rates(one: dict[str, Any], old: dict[str, Any] | None, seconds: float) -> str:
    if old is None or seconds <= 0:
        return f"{'-':>9}{'-':>10}{'-':>13}{'-':>13}"
    admitted = max(0, one["admitted"] - old["admitted"]) / seconds
    refused = max(0, sum(one["refused"].values()) - sum(old["refused"].values())) / seconds
    carried = [size(max(0, one[key] - old[key]) / seconds) for key in ("bytes_up", "bytes_down")]
    return f"{admitted:>9.1f}{refused:>10.1f}{carried[0]:>13}{carried[1]:>13}"


def _troubles(one: dict[str, Any], width: int) -> list[str]:
    told = [f"target {t['address']} is DOWN: {t['reason']}" for t in one["targets"] if not t["up"]]
    if one["last_reload_error"]:
        told.append(f"last reload refused: {one['last_reload_error']}")
    return [printable(line)[:width] for line in told]
