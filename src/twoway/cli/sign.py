"""`twoway sign FILE`: so that anybody can tell whose it is, and that it is unchanged."""

from __future__ import annotations

from pathlib import Path

import click

from twoway.cli._files import FILE, result, source
from twoway.cli._identity import passphrase_options
from twoway.cli._message import load_identity

FORMATS = ("jws", "cms")


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--identity",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Who signs: an identity DIR or PKCS#12 file.",
)
@passphrase_options
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="jws",
    show_default=True,
    help="jws is JSON, at most 64 MiB; cms takes any size and every kind of key.",
)
@click.option("--detached", is_flag=True, help="The signature alone, without the content.")
@click.option(
    "-o", "--output", type=FILE, default="-", metavar="OUT", help="Where to; - (the default) is stdout."
)
def sign(
    file: Path,
    identity: Path,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    format: str,
    detached: bool,
    output: Path,
) -> int:
    """Sign FILE (- is stdin) as an identity, whose certificates travel along."""
    from twoway.message.signing import sign_stream

    credential = load_identity(identity, passphrase_file, passphrase_command)
    with source(file, "signing") as content, result(output, binary=format != "jws", private=False) as sink:
        sign_stream(content, sink, [credential], format=format, detached=detached)  # type: ignore[arg-type]
    return 0
