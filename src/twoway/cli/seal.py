"""`twoway seal FILE`: for one or several recipients, who alone can read it."""

from __future__ import annotations

from pathlib import Path

import click

from twoway.cli._files import FILE, result, source
from twoway.cli._message import trust_of, trust_options

FORMATS = ("jwe", "cms", "hpke")


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="CERT",
    help="A recipient: certificate, identity DIR or sealing card; repeatable.",
)
@trust_options
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="jwe",
    show_default=True,
    help="jwe is JSON, at most 64 MiB; cms and hpke take any size; hpke takes sealing cards.",
)
@click.option(
    "-o", "--output", type=FILE, default="-", metavar="OUT", help="Where to; - (the default) is stdout."
)
def seal(
    file: Path, to: tuple[Path, ...], ca: tuple[Path, ...], crl: tuple[Path, ...], format: str, output: Path
) -> int:
    """Seal FILE (- is stdin), so that only the recipients can read it.

    Every recipient's certificate is verified first: trusted by --ca, in time, not revoked, and of a key that may
    be sealed for. One that is not ends it before anything is written.
    """
    from twoway.message.recipient import recipients
    from twoway.message.sealing import seal_stream

    believed = recipients(to, trust_of(ca, crl))
    with source(file, "sealing") as content, result(output, binary=format != "jwe", private=False) as sink:
        seal_stream(content, sink, believed, format=format)  # type: ignore[arg-type]
    return 0
