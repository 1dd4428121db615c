"""A report as people read it: the verdict first, then each finding with its evidence and what to change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from twoway.credential import printable
from twoway.doctor.codes import CODES
from twoway.doctor.finding import Finding, Report

WIDTH = 80
_LABEL = 11
_BLAME = {
    "client": "the client's side must change",
    "server": "the server's side must change",
    "network": "look at the way there",
    "config": "the configuration must change",
}
_UNTOLD = frozenset(
    {"closed_silently", "refused_at_http", "refused_unspecific"}
)  # how it was refused, and no cause
_SIDES = {"client": "the client", "server": "the server", "network": "the network", "config": "configuration"}


def prose(report: Report, *, width: int = WIDTH) -> list[str]:
    """The lines of a report, at most `width` wide where words allow."""
    lines = [_verdict(report)]
    for number, finding in enumerate(report.findings, 1):
        lines += ["", *_finding(number, finding, width)]
    return lines


def _verdict(report: Report) -> str:
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if errors:
        title = CODES[errors[0].code].title if errors[0].code in CODES else errors[0].code
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        whose = "why is known on the server only" if errors[0].code in _UNTOLD else _BLAME[errors[0].blame]
        return f"{report.target}: broken: {title}{more}; {whose}"
    if report.verdict == "undecided":
        return f"{report.target}: undecided: no error from here, and programs differ on what is below"
    return f"{report.target}: {report.verdict}"


def _finding(number: int, finding: Finding, width: int) -> Iterator[str]:
    head = f"{number}. {finding.severity}: {finding.code}"
    if finding.severity != "info" and finding.code in _UNTOLD:
        head += " (whose fault it is cannot be told from here)"
    elif finding.severity != "info":
        head += f" (to be changed: {_SIDES[finding.blame]})"
    yield head
    yield from _wrapped("", finding.summary, width)
    for key, value in finding.evidence.items():
        if value not in (None, "", [], ()):
            yield from _wrapped(key.replace("_", " "), _told(value), width)
    yield from _wrapped("remedy", finding.remedy, width)
    if finding.also_possible:
        yield from _wrapped("or else", ", ".join(finding.also_possible), width)


def _wrapped(label: str, text: str, width: int) -> list[str]:
    # Names of files and certificates are somebody else's text: nothing in them may move a cursor.
    clean = " ".join(printable(word) for word in text.split())
    margin = " " * (3 + _LABEL + 1)
    if not label:
        return textwrap.wrap(
            clean, width, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False
        )
    first = f"   {label:<{_LABEL}} "
    return textwrap.wrap(clean, width, initial_indent=first, subsequent_indent=margin, break_on_hyphens=False)


def _told(value: object) -> str:
    if isinstance(value, list | tuple):
        items = [str(item) for item in value]
        return ("; " if any(", " in item for item in items) else ", ").join(items)
    return str(value)
