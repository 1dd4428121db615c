"""`twoway gateway status|top|connections|cut|reload`: a running gateway, through its admin socket."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)
_admin = click.option(
    "--admin", type=_PATH, required=True, metavar="PATH", help="The socket that the gateway was given."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@_admin
@_as_json
def status(admin: Path, as_json: bool) -> int:
    """Show a running gateway: generations, connections, targets, refusals. Exit 1 when it is not ready."""
    from twoway.gateway.admin import ask

    told = ask(admin, {"do": "status"})
    click.echo(json.dumps(told, indent=2) if as_json else _status_text(told))
    return 0 if told["ready"] else 1


def _status_text(told: dict[str, Any]) -> str:
    state = "draining" if told["draining"] else "ready" if told["ready"] else "NOT ready: no target is up"
    lines = [f"gateway, process {told['pid']}, up {_duration(told['uptime_seconds'])}: {state}"]
    for one in told["listeners"]:
        lines.append(f"\n{one['kind']} {one['listen']}  generation {one['generation']}, {one['open']} open")
        if one["last_reload_error"]:
            lines.append(f"  LAST RELOAD REFUSED, the old configuration serves: {one['last_reload_error']}")
        for certificate in one["certificates"]:
            lines.append(f"  certificate  {certificate['name']} until {certificate['not_after']}")
        for crl in one["crls"]:
            left = crl["hours_left"]
            held = (
                "without an end"
                if left is None
                else f"{left:.1f} hours left"
                if left > 0
                else f"STALE for {-left:.1f} hours"
            )
            lines.append(f"  crl          {crl['issuer']}  {held}")
        for fetch in one["crl_fetches"]:
            if fetch["failures"]:
                lines.append(f"  FETCH FAILED {fetch['failures']} times: {fetch['last_error']}")
        for target in one["targets"]:
            up = "up" if target["up"] else f"DOWN: {target['reason']}"
            lines.append(f"  target       {target['address']}  {up}, {target['open']} open")
        lines.append(
            f"  admitted     {one['admitted']} ({one['resumed']} resumed, {one['post_quantum']} post-quantum)"
        )
        lines.append(f"  carried      {_size(one['bytes_up'])} up, {_size(one['bytes_down'])} down")
        for title, key in (("refused", "refused"), ("turned away", "turned_away"), ("failed", "failed")):
            for code, count in sorted(one[key].items()):
                lines.append(f"  {title:12} {count}  {code}")
    return "\n".join(lines)


@click.command()
@_admin
@click.option("--every", default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--times", default=0, help="How many looks; 0 goes on until Ctrl-C.")
def top(admin: Path, every: float, times: int) -> int:
    """Watch a running gateway: what it admits, refuses and carries a second, and its busiest connections."""
    from twoway.gateway.admin import ask

    before: dict[str, Any] | None = None
    looks = 0
    while not times or looks < times:
        now = ask(admin, {"do": "status"})
        open_ = ask(admin, {"do": "connections"})["connections"]
        if sys.stdout.isatty():
            click.clear()
        click.echo(_top_text(now, before, open_, every))
        before, looks = now, looks + 1
        if not times or looks < times:
            time.sleep(every)
    return 0


def _top_text(
    now: dict[str, Any], before: dict[str, Any] | None, open_: list[dict[str, Any]], every: float
) -> str:
    lines = [f"{'LISTENER':24}{'OPEN':>7}{'ADMITTED/S':>12}{'REFUSED/S':>11}{'UP/S':>12}{'DOWN/S':>12}"]
    for number, one in enumerate(now["listeners"]):
        old = before["listeners"][number] if before is not None else one
        refused = sum(one["refused"].values()) - sum(old["refused"].values())
        lines.append(
            f"{one['name'][:23]:24}{one['open']:7}{(one['admitted'] - old['admitted']) / every:12.1f}"
            f"{refused / every:11.1f}{_size((one['bytes_up'] - old['bytes_up']) / every):>12}"
            f"{_size((one['bytes_down'] - old['bytes_down']) / every):>12}"
        )
    lines.append(f"\n{'#':>6} {'PEER':36}{'FROM':24}{'STAGE':12}{'AGE':>8}{'UP':>11}{'DOWN':>11}")
    for row in sorted(open_, key=lambda row: -(row["up"] + row["down"]))[:20]:
        lines.append(
            f"{row['number']:6} {(row['peer'] or '-')[:35]:36}{(row['address'] or '-')[:23]:24}{row['stage']:12}"
            f"{_duration(row['seconds']):>8}{_size(row['up']):>11}{_size(row['down']):>11}"
        )
    return "\n".join(lines)


@click.command()
@_admin
@_as_json
def connections(admin: Path, as_json: bool) -> int:
    """List the open connections: who is at the other end, since when, how much."""
    from twoway.gateway.admin import ask

    rows = ask(admin, {"do": "connections"})["connections"]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        click.echo(
            f"{row['listener']} #{row['number']} {row['peer'] or '-'} from {row['address'] or '-'} "
            f"{row['stage']} {_duration(row['seconds'])} up {_size(row['up'])} down {_size(row['down'])}"
        )
    return 0


@click.command()
@_admin
@click.option("--number", type=int, help="The connection's number, as `connections` lists it.")
@click.option("--fingerprint", metavar="SHA256", help="Every connection of the peer with this certificate.")
@click.option("--listener", metavar="NAME", help="Only of this listener.")
def cut(admin: Path, number: int | None, fingerprint: str | None, listener: str | None) -> int:
    """Cut connections. Exit 1 when there was none."""
    from twoway.errors import UsageError
    from twoway.gateway.admin import ask

    if (number is None) == (fingerprint is None):
        raise UsageError("expected a connection or a peer to cut", "pass --number N or --fingerprint SHA256")
    request = {"do": "cut", "number": number, "fingerprint": fingerprint, "listener": listener}
    count = ask(admin, request)["cut"]
    click.echo(f"cut {count} connection{'' if count == 1 else 's'}")
    return 0 if count else 1


@click.command()
@_admin
def reload(admin: Path) -> int:
    """Load everything anew now; the log and `status` say how it went."""
    from twoway.gateway.admin import ask

    ask(admin, {"do": "reload"})
    click.echo("reload asked for")
    return 0


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.1f}h"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
