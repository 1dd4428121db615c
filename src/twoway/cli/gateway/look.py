"""`twoway gateway status|connections|cut|reload|restart`: a running gateway, through its admin socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from twoway.cli._output import printable

_PATH = click.Path(path_type=Path)
admin_option = click.option(
    "--admin", type=_PATH, required=True, metavar="PATH", help="The socket that the gateway was given."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def asked(admin: Path, request: dict[str, Any], *, timeout: float = 15.0) -> dict[str, Any]:
    """The gateway's answer; raises GatewaySaidNo and AdminUnreachable."""
    from twoway.gateway.admin import GatewaySaidNo, ask

    told = ask(admin, request, timeout=timeout)
    if "error" in told:
        raise GatewaySaidNo(str(told["error"]))
    return told


@click.command()
@admin_option
@_as_json
def status(admin: Path, as_json: bool) -> int:
    """Show a running gateway: generations, connections, targets, refusals. Exit 1 when it is not ready."""
    told = asked(admin, {"do": "status"})
    click.echo(json.dumps(told, indent=2) if as_json else _status_text(told))
    return 0 if told["ready"] else 1


def _status_text(told: dict[str, Any]) -> str:
    state = "draining" if told["draining"] else "ready" if told["ready"] else "NOT ready: no target is up"
    lines = [f"gateway, process {told['pid']}, up {duration(told['uptime_seconds'])}: {state}"]
    for one in told.get("workers", ()):
        what = "draining" if one["draining"] else f"generation {'/'.join(map(str, one['generations']))}"
        lines.append(
            f"  worker {one['pid']}, up {duration(one['uptime_seconds'])}: {what}, {one['open']} open"
        )
    if told.get("worker_deaths"):
        lines.append(f"  {told['worker_deaths']} workers have died and were replaced; the log says how")
    if not told.get("agreed", True):
        lines.append(
            "  THE WORKERS HAVE DIFFERENT GENERATIONS: a reload did not reach all of them, see the log"
        )
    for one in told["listeners"]:
        lines.append(f"\n{one['kind']} {one['listen']}  generation {one['generation']}, {one['open']} open")
        if one["last_reload_error"]:
            lines.append(
                f"  LAST RELOAD REFUSED, the old configuration serves: {printable(one['last_reload_error'])}"
            )
        for row in one["certificates"]:
            lines.append(f"  certificate  {printable(row['name'])} until {row['not_after']}")
        lines += _lists(one)
        for target in one["targets"]:
            up = "up" if target["up"] else f"DOWN: {printable(target['reason'])}"
            lines.append(f"  target       {target['address']}  {up}, {target['open']} open")
        lines.append(
            f"  admitted     {one['admitted']} ({one['resumed']} resumed, {one['post_quantum']} post-quantum)"
        )
        lines.append(f"  carried      {size(one['bytes_up'])} up, {size(one['bytes_down'])} down")
        if one["requests"]:
            by_status = sorted(one["requests"].items())
            lines.append("  requests     " + ", ".join(f"{count} {status}" for status, count in by_status))
        for title, key in (
            ("refused", "refused"), ("turned away", "turned_away"), ("failed", "failed"), ("not passed", "requests_refused"),
        ):  # fmt: skip
            for code, count in sorted(one[key].items()):
                lines.append(f"  {title:12} {count}  {code}")
    return "\n".join(lines)


def _lists(one: dict[str, Any]) -> list[str]:
    """How long each revocation list still holds, which ones cannot be fetched, and what responders say."""
    lines = []
    for crl in one["crls"]:
        left = crl["hours_left"]
        held = (
            "without an end"
            if left is None
            else f"{left:.1f} hours left"
            if left > 0
            else f"STALE for {-left:.1f} hours"
        )
        lines.append(f"  crl          {printable(crl['issuer'])}  {held}")
    lines += [
        f"  FETCH FAILED {fetch['failures']} times: {printable(fetch['last_error'])}"
        for fetch in one["crl_fetches"]
        if fetch["failures"]
    ]
    for asked in one["ocsp"]:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(asked["answers"].items()))
        lines.append(f"  ocsp         {asked['rule']}: {counts or 'nothing asked yet'}")
    for staple in one["staples"]:
        shown = f"until {staple['until']}" if staple["until"] else f"NONE: {printable(staple['last_error'])}"
        lines.append(f"  staple       {printable(staple['name'])} {shown}")
    return lines


@click.command()
@admin_option
@_as_json
def connections(admin: Path, as_json: bool) -> int:
    """List the open connections: who is at the other end, since when, how much."""
    rows = asked(admin, {"do": "connections"})["connections"]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        click.echo(
            f"{row['listener']} #{row['number']} {printable(row['peer'] or '-')} from {row['address'] or '-'} "
            f"{row['stage']} {duration(row['seconds'])} up {size(row['up'])} down {size(row['down'])}"
        )
    return 0


@click.command()
@admin_option
@click.option("--number", type=int, help="The connection's number, as `connections` lists it.")
@click.option("--fingerprint", metavar="SHA256", help="Every connection of the peer with this certificate.")
@click.option("--listener", metavar="NAME", help="Only of this listener.")
def cut(admin: Path, number: int | None, fingerprint: str | None, listener: str | None) -> int:
    """Cut connections. Exit 1 when there was none."""
    from twoway.errors import UsageError

    if (number is None) == (fingerprint is None):
        raise UsageError("expected a connection or a peer to cut", "pass --number N or --fingerprint SHA256")
    request = {"do": "cut", "number": number, "fingerprint": fingerprint, "listener": listener}
    count = asked(admin, request)["cut"]
    click.echo(f"cut {count} connection{'' if count == 1 else 's'}")
    return 0 if count else 1


@click.command()
@admin_option
def reload(admin: Path) -> int:
    """Load everything anew now, in every worker. Exit 1 when something is refused: the old generation goes on."""
    errors = asked(admin, {"do": "reload"}, timeout=30.0)["errors"]
    for name, error in errors.items():
        click.echo(f"{name}: the old generation goes on: {printable(error)}", err=True)
    if not errors:
        click.echo("reloaded")
    return 1 if errors else 0


@click.command()
@admin_option
def restart(admin: Path) -> int:
    """Let a new process take over without a gap. Exit 1 when it does not come up: the old one goes on."""
    told = asked(admin, {"do": "restart"}, timeout=90.0)
    click.echo(f"process {told['pid']} serves from now on")
    return 0


def duration(seconds: float) -> str:
    """In at most four letters."""
    for least, unit, divisor in ((60, "s", 1), (3600, "m", 60), (172800, "h", 3600)):
        if seconds < least:
            return f"{seconds / divisor:.0f}{unit}"
    return f"{seconds / 86400:.0f}d"


def size(count: float) -> str:
    """Bytes as people write them, in at most ten letters."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
