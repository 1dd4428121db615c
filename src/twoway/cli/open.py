"""`twoway open FILE`: what was sealed for this identity."""

from __future__ import annotations

from pathlib import Path

import click

from twoway.cli._files import FILE, result, source
from twoway.cli._identity import passphrase_options
from twoway.cli._passphrase import Passphrase


@click.command("open")
@click.argument("file", type=FILE)
@click.option(
    "--identity",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Whom it was sealed for: an identity DIR or PKCS#12 file; it may have expired.",
)
@passphrase_options
@click.option(
    "--dangerously-allow-unauthenticated",
    is_flag=True,
    help="Open CMS EnvelopedData too, which anybody on the way can change.",
)
@click.option(
    "-o", "--output", type=FILE, default="-", metavar="OUT", help="Where to; - (the default) is stdout."
)
def open_(
    file: Path,
    identity: Path,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    dangerously_allow_unauthenticated: bool,
    output: Path,
) -> int:
    """Open FILE (- is stdin), whichever format it was sealed in.

    Nothing is written before all of it was found unchanged. Who sealed it is not known: anybody can. Exit
    status 1 when it is sealed for somebody else, or was changed.
    """
    from twoway.message.sealing import open_stream, opener

    passphrase = Passphrase(f"the key of {identity}", file=passphrase_file, command=passphrase_command)
    credential, keys = opener(identity, passphrase)
    with source(file, "opening") as message, result(output) as sink:
        open_stream(
            message,
            sink,
            credential,
            keys,
            dangerously_allow_unauthenticated=dangerously_allow_unauthenticated,
        )
    return 0
