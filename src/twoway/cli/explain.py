"""`twoway explain`: a handshake told step by step, with its real bytes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twoway.cli._identity import identity_options
from twoway.cli._output import coloured, emit
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.credential import Credential
    from twoway.explainer.transcript import Transcript

_PATH = click.Path(path_type=Path)
_STYLES: dict[str, dict[str, Any]] = {
    "bold": {"bold": True},
    "dim": {"dim": True},
    "green": {"fg": "green"},
    "red": {"fg": "red"},
    "yellow": {"fg": "yellow"},
    "cyan": {"fg": "cyan"},
    "magenta": {"fg": "magenta"},
}
_VERSIONS = {"1.2": "TLSv1.2", "1.3": "TLSv1.3"}


@click.command()
@click.argument("target", metavar="HOST:PORT|CAPTURE", required=False)
@identity_options(required=False)
@click.option("--server-name", metavar="NAME", help="The name that the server must prove, instead of HOST.")
@click.option("--tls", type=click.Choice(list(_VERSIONS)), help="Offer this version only.")
@click.option("--keylog", type=_PATH, metavar="FILE", help="Secrets of a capture (NSS key log format).")
@click.option("--port", type=int, metavar="PORT", help="Of a capture: connections of this port only.")
@click.option("--number", type=int, metavar="N", help="Of a capture with several handshakes: this one.")
@click.option("--compare", metavar="HOST:PORT|CAPTURE", help="Tell a second one beside it.")
@click.option("--compare-anonymous", is_flag=True, help="Tell the same one beside it without a certificate.")
@click.option("--refusal", metavar="ID", help="A refusal that a server has logged; needs --log or --record.")
@click.option("--log", type=_PATH, metavar="FILE", help="Where that server's JSON log is; - is stdin.")
@click.option("--record", type=_PATH, metavar="DIR", help="Where that server records.")
@click.option("--html", type=_PATH, metavar="FILE", help="Write a page of it.")
@click.option("--svg", type=_PATH, metavar="FILE", help="Write the ladder as a drawing.")
@click.option("--redact", is_flag=True, help="Leave application data and key material out of page and JSON.")
@click.option("-v", "--verbose", count=True, help="Show the fields of each message; -vv their bytes too.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII signs only.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds for each wait.")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def explain(
    target: str | None,
    identity: Credential | None,
    ca: Path | None,
    compare: str | None,
    compare_anonymous: bool,
    refusal: str | None,
    html: Path | None,
    svg: Path | None,
    redact: bool,
    verbose: int,
    ascii_only: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Tell a handshake as a story: a real one made now, or one of a capture (pcap, pcapng).

    The verdict comes first, then each message in the five steps, then who both sides are. Exit status 0 when
    the handshake succeeded, 1 when it was refused or failed, 2 when asked wrongly.
    """
    from twoway.cli._explaining import Asked, many, one, print_pair, refused, write

    if refusal is not None:
        return refused(refusal, options["log"], options["record"], as_json=as_json)
    if target is None:
        raise UsageError("nothing to explain was named", "name HOST:PORT, a capture file, or --refusal ID")
    asked = Asked(
        identity=identity,
        trust=ca,
        server_name=options["server_name"],
        version=_VERSIONS.get(options["tls"]),
        keylog=options["keylog"],
        port=options["port"],
        timeout=options["timeout"],
    )
    drawn = _terminal(verbose, ascii_only)
    if compare or compare_anonymous:
        left = one(asked, target, options["number"])
        right = one(asked, compare, None) if compare else one(asked.anonymous(), target, None)
        write([left, right], html, svg, redact)
        print_pair(left, right, drawn, as_json=as_json, redact=redact)
        return 0 if all(_good(t) for t in (left, right)) else 1
    found = many(asked, target, options["number"])
    if isinstance(found, list):
        if html or svg:
            raise UsageError(f"{target} has {len(found)} handshakes", "choose one with --number N")
        emit([row.as_dict() for row in found] if as_json else "\n".join(map(str, found)), json=as_json)
        return 0 if all(row.good for row in found) else 1
    write([found], html, svg, redact)
    if as_json:
        from twoway.explainer.json_face import as_dict

        emit(as_dict(found, redact=redact), json=True)
    else:
        click.echo(drawn.draw(found))
    return 0 if _good(found) else 1


def _good(transcript: Transcript) -> bool:
    return transcript.outcome in ("mutual", "one_way")


def _terminal(detail: int, ascii_only: bool) -> Any:
    from twoway.explainer.glyphs import Glyphs
    from twoway.explainer.terminal import Terminal

    lively = coloured(sys.stdout)
    encoding = (sys.stdout.encoding or "ascii").lower()
    plain = ascii_only or not encoding.startswith("utf")

    def paint(text: str, style: str) -> str:
        return click.style(text, **_STYLES[style]) if lively and style else text

    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    painter: Callable[[str, str], str] = paint
    return Terminal(width=max(60, width), detail=min(2, detail), glyphs=Glyphs(plain), paint=painter)
