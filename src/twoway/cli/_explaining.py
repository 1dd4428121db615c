"""What `twoway explain` does for each kind of target: a live one, a capture, a logged refusal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from twoway.cli._output import emit, printable
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.credential import Credential
    from twoway.explainer.terminal import Terminal
    from twoway.explainer.transcript import Transcript
    from twoway.trust import Trust

_CAPTURES = (".pcap", ".pcapng", ".cap")


@dataclass(frozen=True, slots=True)
class Asked:
    """With what the targets of one command are looked at."""

    identity: Credential | None
    trust: Path | Trust | None
    server_name: str | None
    version: Any
    keylog: Path | None
    port: int | None
    timeout: float

    def anonymous(self) -> Asked:
        """The same without a certificate, believing the same authorities."""
        from twoway.tls import trust_of

        believed = self.trust or (trust_of(self.identity) if self.identity is not None else None)
        return replace(self, identity=None, trust=believed)


@dataclass(frozen=True, slots=True)
class Row:
    """One handshake of a capture, in a line."""

    number: int
    began: datetime | None
    client: str
    server: str
    outcome: str
    verdict: str

    @property
    def good(self) -> bool:
        return self.outcome in ("mutual", "one_way")

    def __str__(self) -> str:
        when = f"{self.began:%H:%M:%S}" if self.began else "--:--:--"
        return f"{self.number:5}  {when}  {self.client} -> {self.server}  {printable(self.verdict)}"

    def as_dict(self) -> dict[str, object]:
        return {
            "number": self.number,
            "began": self.began.isoformat() if self.began else None,
            "client": self.client,
            "server": self.server,
            "outcome": self.outcome,
            "verdict": self.verdict,
        }


def one(asked: Asked, target: str, number: int | None) -> Transcript:
    """The one handshake that is meant; raises UsageError where there is none, or more than one."""
    found = many(asked, target, number)
    if isinstance(found, list):
        raise UsageError(f"{target} has {len(found)} handshakes", "choose one with --number N")
    return found


def many(asked: Asked, target: str, number: int | None) -> Transcript | list[Row]:
    """A handshake, or the list of those in a capture that has several."""
    path = Path(target)
    if not path.is_file():
        if path.suffix in _CAPTURES:
            raise UsageError(f"{target}: no such file", "name a capture that exists, or HOST:PORT")
        return _live(asked, target)
    rows: list[Row] = []
    only: Transcript | None = None
    for index, told in enumerate(_captured(asked, path), 1):
        if number == index:
            return told
        only = told
        rows.append(Row(index, told.began, told.client, told.server, told.outcome, told.verdict))
    if number is not None:
        raise UsageError(
            f"{target} has {len(rows)} handshakes, and no number {number}", "leave --number out to see them"
        )
    if only is None:
        raise UsageError(
            f"{target} has no TLS handshake", "capture the whole connection, from its first packet"
        )
    return only if len(rows) == 1 else rows


def _live(asked: Asked, target: str) -> Transcript:
    from twoway.explainer.live import watch

    version = asked.version
    return watch(
        target,
        identity=asked.identity,
        trust=asked.trust,
        server_name=asked.server_name,
        minimum_version=version or "TLSv1.2",
        maximum_version=version or "TLSv1.3",
        timeout=asked.timeout,
    )


def _captured(asked: Asked, path: Path) -> Iterator[Transcript]:
    from twoway.explainer.captured import handshakes_in
    from twoway.trust import Trust
    from twoway.wire.keylog import Keylog

    keylog = Keylog.read(asked.keylog.read_bytes()) if asked.keylog is not None else Keylog()
    trust = Trust.load(asked.trust) if isinstance(asked.trust, Path) else asked.trust
    with path.open("rb") as file:
        yield from handshakes_in(file, keylog, client_trust=trust, server_trust=trust, port=asked.port)


def write(told: list[Transcript], html: Path | None, svg: Path | None, redact: bool) -> None:
    """The page and the drawing, where they are asked for; names of files on stderr."""
    now = datetime.now(UTC)
    if html is not None:
        from twoway.explainer.page import as_html, as_html_compared

        page = (
            as_html(told[0], redact=redact, now=now) if len(told) == 1 else as_html_compared(*told, now=now)
        )
        _save(html, page)
    if svg is not None:
        from twoway.explainer.ladder_svg import as_svg

        _save(svg, as_svg(told[0]))


def _save(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    click.echo(f"wrote {path}", err=True)


def print_pair(left: Transcript, right: Transcript, drawn: Terminal, *, as_json: bool, redact: bool) -> None:
    from twoway.explainer.json_face import as_dict

    if as_json:
        emit([as_dict(told, redact=redact) for told in (left, right)], json=True)
    else:
        click.echo(drawn.draw_pair(left, right))


# -- a refusal that a server has logged --------------------------------------------------------------------


def refused(wanted: str, log: Path | None, record: Path | None, *, as_json: bool) -> int:
    """Tell what a server's log, or its recordings, know of one refusal."""
    from twoway.tls.recorder import REFUSALS

    if log is None and record is None:
        raise UsageError(
            "it was not said where the refusal is", "pass --log FILE (JSON lines) or --record DIR"
        )
    place = log if log is not None else (record or Path()) / REFUSALS
    found = _find(wanted, place)
    if found is None:
        raise UsageError(
            f"{place} has no refusal {wanted}", "the id is in the server's log: id=…; give that server's log"
        )
    if as_json:
        emit(found, json=True)
        return 0
    for line in _told(found):
        click.echo(line)
    capture = next(record.glob(f"*-{wanted}.pcapng"), None) if record is not None else None
    if capture is not None:
        click.echo(f"its handshake was recorded: twoway explain {capture}")
    return 0


def _find(wanted: str, place: Path) -> dict[str, Any] | None:
    if str(place) == "-":
        return _search(wanted, sys.stdin)
    with place.open("r", encoding="utf-8", errors="replace") as file:
        return _search(wanted, file)


def _search(wanted: str, lines: TextIO | Iterable[str]) -> dict[str, Any] | None:
    for line in lines:
        if wanted not in line or "{" not in line:
            continue
        try:
            record = json.loads(line[line.index("{") :])
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("event") == "refused" and record.get("id") == wanted:
            return record
    return None


def _told(record: dict[str, Any]) -> Iterator[str]:
    def shown(name: str) -> str:
        return printable(str(record.get(name) or "-"))

    by = "the client ended it" if record.get("by") == "peer" else "this server refused it"
    yield f"✗ refused in step {shown('step')} ({shown('step_title')}): {shown('reason')}"
    yield f"  what to change: {shown('remedy')}"
    yield f"  {by}; code {shown('code')}, alert {shown('alert')}, at {shown('at')}"
    yield f"  from {shown('address')}, asked for {shown('server_name')}"
    presented = record.get("presented")
    if not isinstance(presented, list) or not presented:
        yield "  it showed no certificate"
        return
    yield "  it showed:"
    for one in presented:
        if isinstance(one, dict):
            yield (
                f"    {printable(str(one.get('subject')))}, issued by {printable(str(one.get('issuer')))}, "
                f"valid {one.get('not_before')} to {one.get('not_after')}"
            )
            yield f"      sha256 {printable(str(one.get('fingerprint')))}"
    evidence = record.get("evidence")
    for name, value in evidence.items() if isinstance(evidence, dict) else ():
        yield f"  {printable(str(name)).replace('_', ' ')}: {printable(str(value))}"
