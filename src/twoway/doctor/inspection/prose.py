"""An inspected file as people read it, within 80 columns where words allow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import datetime

from twoway.credential import printable
from twoway.doctor.finding import Finding
from twoway.doctor.inspection.reading import Inspected

WIDTH = 80
_MARGIN = " " * 16  # so that a SHA-256 in digits ends with the line


def prose(told: Inspected, *, width: int = WIDTH) -> Iterator[str]:
    """What it is, each object with its facts, then what is wrong with it for each use."""
    kinds = ", ".join(dict.fromkeys(item.kind for item in told.items)) or "nothing that can be read"
    yield f"{printable(told.where)}: {kinds}"
    for note in told.notes:
        yield from _wrapped(note, "  ", "  ", width)
    for number, item in enumerate(told.items, 1):
        yield f"  {number}. {item.kind}"
        for name, value in item.facts.items():
            label = f"   {name.replace('_', ' ')}"
            if len(label) >= len(_MARGIN):
                yield label
                label = ""
            yield from _wrapped(_told(value), label.ljust(len(_MARGIN)), _MARGIN, width)
    for finding in told.faults:
        yield from _finding("wrong", finding, width)
    for side, findings in told.uses.items():
        if not findings:
            yield f"  for a {side}: nothing {'else ' if told.faults else ''}is wrong with it"
        for finding in findings:
            yield from _finding(f"for a {side}", finding, width)


def _finding(where: str, finding: Finding, width: int) -> Iterator[str]:
    said = f"{where}: {finding.severity}: {finding.summary} ({finding.code})"
    yield from _wrapped(said, "  ", "     ", width)
    yield from _wrapped(f"remedy: {finding.remedy}", "     ", "       ", width)


def _told(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "-"
    return str(value)


def _wrapped(text: str, first: str, then: str, width: int) -> list[str]:
    # Names in certificates are somebody else's text: nothing in them may move a cursor.
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [first.rstrip()]
