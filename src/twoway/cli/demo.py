"""`twoway demo`: the whole story on this machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from twoway.cli._output import coloured, emit

_STYLES = {
    "bold": {"bold": True},
    "green": {"fg": "green"},
    "red": {"fg": "red"},
    "yellow": {"fg": "yellow"},
    "cyan": {"fg": "cyan"},
}


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep the authority and identities here."
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Record every connection here for `twoway explain`, with its secrets.",
)
@click.option("--json", "as_json", is_flag=True, help="The story as one JSON document.")
def demo(out: Path | None, record: Path | None, as_json: bool) -> int:
    """Tell the whole story on this machine, on real sockets.

    Two programs prove to each other who they are, a stranger is turned away with the reason, an order is
    updated, and a revoked client is refused. Exit status 0 only if all of that happened.
    """
    from twoway.demo import Teller, play

    lively = coloured(sys.stdout)

    def paint(text: str, style: str) -> str:
        return click.style(text, **_STYLES[style]) if lively else text  # type: ignore[arg-type]

    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    played = play(out, Teller(width, paint), (lambda _: None) if as_json else click.echo, record=record)
    if as_json:
        emit(played.as_dict(), json=True)
    return 0 if played.fine else 1
