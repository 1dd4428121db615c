"""How results and complaints look: prose or JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json as _json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {"error": "red", "critical": "red", "warning": "yellow", "hint": "cyan"}


def emit(value: object, *, json: bool = False) -> None:
    """Print a result on stdout, as one JSON document or as prose.

    Prose: text as it is, a mapping as aligned `key  value` lines, any other sequence one item a line,
    anything else its `str()`. JSON: dataclasses and values with `as_dict()` become objects, times RFC
    3339 in UTC, bytes lower-case hex, paths and enumerations their value.
    """
    if json:
        click.echo(_json.dumps(value, indent=2, ensure_ascii=False, default=_plain))
    else:
        click.echo(_prose(value))


def complain(kind: str, sentence: str) -> None:
    """Print `twoway: KIND: SENTENCE` on stderr, on one line, with nothing that a terminal would obey."""
    label = f"twoway: {kind}:"
    if coloured(sys.stderr):
        label = click.style(label, fg=_COLOURS.get(kind), bold=kind != "hint")
    click.echo(f"{label} {printable(sentence)}", err=True)


def coloured(stream: TextIO) -> bool:
    """Colours only where a person looks: on a terminal, and never with NO_COLOR or a dumb one."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> Console:
    """Give the rich console for tables and pictures, under the same rule for colours."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, no_color=not coloured(stream), highlight=False, soft_wrap=not stream.isatty())


def printable(text: str) -> str:
    """Spell out control and other invisible characters.

    Names in a stranger's certificate are the stranger's bytes: unescaped, they could move the cursor,
    forge a second line or set the terminal's title.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _prose(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        width = max((len(str(key)) for key in value), default=0)
        return "\n".join(f"{key!s:<{width}}  {_cell(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not is_dataclass(value):
        return "\n".join(str(item) for item in value)
    return str(value)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(_plain(value)) if isinstance(value, datetime | bytes | Enum) else str(value)


def _plain(value: object) -> object:
    as_dict = getattr(value, "as_dict", None)
    if callable(as_dict):
        return as_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
