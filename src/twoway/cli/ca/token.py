"""`twoway ca token`: the right to one certificate, for somebody who has none yet."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from twoway.cli._output import complain, emit
from twoway.cli.ca._group import json_option, with_authority
from twoway.cli.ca.issue import name_options
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command(short_help="Make a one-time token for an identity.")
@click.argument("name")
@click.option("--profile", default="client", show_default=True, help="What kind of certificate it is for.")
@name_options
@click.option("--days", type=float, help="Life of the certificate.  [default: the profile's, usually 90]")
@click.option(
    "--lifetime", default="1h", show_default=True, metavar="TIME", help="Life of the token: 30m, 8h, 2d."
)
@click.option(
    "--for", "audience", type=click.Choice(["enroll", "est"]), default="enroll", show_default=True,
    help="Where it is redeemed; it is worth nothing anywhere else.",
)  # fmt: skip
@json_option
@with_authority
def token(
    authority: Authority,
    name: str,
    profile: str,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    uri: tuple[str, ...],
    email: tuple[str, ...],
    days: float | None,
    lifetime: str,
    audience: str,
    json: bool,
) -> None:
    """Print a token for one certificate with NAME and the names listed, as `ca issue` would make it.

    Whoever has the token may redeem it once, at `twoway ca serve`: `twoway agent join URL --token TOKEN`.
    """
    from twoway.credential import fingerprint_of

    made = authority.tokens.make(
        profile,
        name,
        dns=dns,
        ip=ip,
        uri=uri,
        email=email,
        days=days,
        lifetime=duration(lifetime),
        audience=audience,
        actor=authority.requested_by,
        now=datetime.now(UTC),
    )
    root = fingerprint_of(authority.root_certificate)
    if json:
        emit({"token": made.text, "id": made.id, "until": made.not_after, "fingerprint": root}, json=True)
        return
    emit(made.text)
    complain(
        "info", f"it is redeemed once, until {made.not_after:%Y-%m-%d %H:%M} UTC; give it to nobody else"
    )
    complain("hint", f"twoway agent join https://HOST:8443 --fingerprint {root} --out DIR --token TOKEN")


def duration(text: str) -> timedelta:
    """`30m`, `8h`, `2d`, `90s`; raises UsageError."""
    if match := re.fullmatch(r"(\d{1,6})([smhd])", text.strip()):
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    raise UsageError(f"{text!r} is no length of time", "write it like 90s, 30m, 8h or 2d")
