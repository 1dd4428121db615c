"""`twoway agent join`: the first identity of a machine."""

from __future__ import annotations

from pathlib import Path

import click

from twoway.cli._output import complain, emit
from twoway.errors import UsageError


@click.command(short_help="Get the first identity of this machine, by a token.")
@click.argument("url")
@click.option(
    "--token", envvar="TWOWAY_TOKEN", metavar="TOKEN", help="What `twoway ca token` printed.  [TWOWAY_TOKEN]"
)
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Read the token from this file."
)
@click.option(
    "--fingerprint", metavar="SHA256", help="Of the authority's root.  [default: the one in the token]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the identity goes."
)
@click.option("--key-type", default="p256", show_default=True, help="As `twoway ca issue` takes them.")
@click.option("--json", "json", is_flag=True, help="Print one JSON document.")
def join(
    url: str,
    token: str | None,
    token_file: Path | None,
    fingerprint: str | None,
    out: Path,
    key_type: str,
    json: bool,
) -> None:
    """Make a key, have the authority at URL certify it, and write an identity directory.

    The authority is believed by the fingerprint of its root. The key never leaves this machine.
    """
    from twoway.credential import read
    from twoway.enroll.agent.purpose import IdentityCannotAsk, check_can_ask
    from twoway.enroll.joining import join as run

    if token_file is not None:
        token = read(token_file, limit=65536).decode("ascii", "replace")
    if not token:
        raise UsageError(
            "no token was given", "pass --token, --token-file or TWOWAY_TOKEN: twoway ca token makes one"
        )
    made = run(url, token, out, fingerprint=fingerprint, key_type=key_type)
    emit(
        {"directory": out, "subject": made.describe(), "names": made.names if not json else made.names.as_dict(),
         "serial": f"{made.leaf.serial_number:x}", "until": made.not_after},
        json=json,
    )  # fmt: skip
    try:
        check_can_ask(str(out), made)
    except IdentityCannotAsk as cannot:
        complain("info", f"twoway agent run cannot keep it fresh: {cannot}")
        complain("hint", cannot.remedy)
