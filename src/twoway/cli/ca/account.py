"""`twoway ca audit`: read the audit log, or check it."""

from __future__ import annotations

import json as _json
from typing import TYPE_CHECKING

import click

from twoway.cli._output import emit, printable
from twoway.cli.ca._group import json_option, with_authority
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority


@click.command(short_help="Read or verify the audit log.")
@click.option("--verify", is_flag=True, help="Check the whole log instead of printing it.")
@click.option("--expect", metavar="ROW:HASH", help="With --verify: this head, noted earlier, must be in it.")
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="ROW", help="Only rows after this one."
)
@json_option
@with_authority
def audit(authority: Authority, verify: bool, expect: str | None, after: int, json: bool) -> None:
    """Print the audit log, or check with --verify that it is what was written; that needs no passphrase.

    What a log cannot show by itself is that its end was cut off: note the head that --verify prints, somewhere
    else, and give it with --expect next time.
    """
    from twoway.authority import AuditHead

    if not verify:
        if expect is not None:
            raise UsageError("--expect is a part of the check", "add --verify")
        for row in authority.audit(after=after):
            if json:
                click.echo(_json.dumps(row.as_dict(), ensure_ascii=False))
            else:
                click.echo(
                    printable(f"{row.id:>6}  {row.at}  {row.actor}  {row.act}  {row.subject}  {row.detail}")
                )
        return
    try:
        head = AuditHead.parse(expect) if expect is not None else None
    except ValueError as failure:
        raise UsageError(str(failure), "copy the head as it was printed") from None
    report = authority.verify_audit(head)
    if json:
        emit(report, json=True)
        return
    emit(
        {
            "rows": f"{report.rows}, each following from the one before",
            "signed": f"up to row {report.signed}, by the CA" if report.signed else "none",
            "certificates": f"{report.certificates}, each with its row",
            "head": str(report.head),
        }
    )
