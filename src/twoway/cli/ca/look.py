"""`twoway ca list` and `twoway ca show`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from twoway.cli._output import emit, printable
from twoway.cli.ca._group import json_option, with_authority

if TYPE_CHECKING:
    from twoway.authority import Authority, Record


@click.command("list", short_help="List certificates.")
@click.argument("match", required=False)
@click.option("--state", type=click.Choice(["valid", "expired", "revoked", "held"]), help="Only these.")
@click.option("--profile", help="Only those of this profile.")
@click.option("--expires-within", type=float, metavar="DAYS", help="Only those that end in that time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@json_option
@with_authority
def list_certificates(
    authority: Authority,
    match: str | None,
    state: str | None,
    profile: str | None,
    expires_within: float | None,
    limit: int | None,
    json: bool,
) -> None:
    """List the certificates that were issued, or those that fit MATCH.

    MATCH is a common name, an alternative name, a serial or a SHA-256 fingerprint; in names `*` stands for anything.
    """
    now = datetime.datetime.now(datetime.UTC)
    before = None if expires_within is None else now + datetime.timedelta(days=expires_within)
    found = authority.list(
        match,
        state=state,  # type: ignore[arg-type]
        profile=profile,
        expires_before=before,
        limit=limit,
        now=now,
    )
    if json:
        emit(found, json=True)
    elif found:
        emit(_table(found))


@click.command(short_help="Show one certificate.")
@click.argument("certificate")
@click.option("--pem", is_flag=True, help="Print the certificate itself.")
@json_option
@with_authority
def show(authority: Authority, certificate: str, pem: bool, json: bool) -> None:
    """Show the one certificate that CERTIFICATE means: a name, serial or fingerprint."""
    from twoway.credential import certificate_pem

    record = authority.show(certificate)
    text = certificate_pem(record.certificate).decode()
    if json:
        emit({**record.as_dict(), "certificate": text}, json=True)
    elif pem:
        click.echo(text, nl=False)
    else:
        facts = {**record.as_dict(), "names": record.names}
        emit({key: printable(str(value)) for key, value in facts.items() if value is not None})


def _table(records: tuple[Record, ...]) -> str:
    rows = [("SERIAL", "STATE", "UNTIL", "PROFILE", "NAME")]
    for record in records:
        name = record.common_name or str(record.names)
        rows.append(
            (
                record.serial,
                record.state,
                f"{record.not_after:%Y-%m-%d %H:%M}",
                record.profile,
                printable(name),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]))
        for row in rows
    )
