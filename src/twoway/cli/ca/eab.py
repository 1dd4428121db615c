"""`twoway ca eab`: keys for external account binding, so that ACME accounts are known before they come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from twoway.cli._output import complain, emit
from twoway.cli.ca._group import json_option, with_authority

if TYPE_CHECKING:
    from twoway.authority import Authority


@click.command(short_help="Make a key for an ACME account (external account binding).")
@click.argument("label", metavar="NAME")
@click.option(
    "--dns",
    multiple=True,
    metavar="PATTERN",
    help="Names that the account may order: *.shop.acme.example. Repeatable.",
)
@click.option("--ip", multiple=True, metavar="CIDR", help="Addresses that it may order. Repeatable.")
@click.option(
    "--lifetime",
    default="30d",
    show_default=True,
    metavar="TIME",
    help="How long the key can be bound: 12h, 30d.",
)
@json_option
@with_authority
def eab(
    authority: Authority, label: str, dns: tuple[str, ...], ip: tuple[str, ...], lifetime: str, json: bool
) -> None:
    """Print a key identifier and an HMAC key with which one ACME account can be made; NAME says whose it is.

    With --dns or --ip the account may order those names and no others, whatever the profile allows. In a pattern `*`
    stands for anything within a label, `**` across labels. The names have to be proven all the same.
    """
    from pydantic import ValidationError

    from twoway.authority.profiles import NameRules
    from twoway.cli.ca.token import duration
    from twoway.enroll.acme import external
    from twoway.errors import UsageError

    try:
        names = NameRules(dns=dns, ip=ip) if dns or ip else None
    except ValidationError as failure:
        raise UsageError(f"{failure.errors()[0]['msg']}", "write networks like 10.20.0.0/16") from failure
    made = external.make(authority, label, names=names, lifetime=duration(lifetime), now=datetime.now(UTC))
    if json:
        emit({"kid": made.id, "hmac_key": made.secret, "until": made.not_after}, json=True)
        return
    emit(f"kid       {made.id}\nhmac key  {made.secret}")
    complain("info", f"good for one account, to be made until {made.not_after:%Y-%m-%d %H:%M} UTC")
    complain("hint", f"certbot … --eab-kid {made.id} --eab-hmac-key {made.secret}")
