"""The table of docs/clients.md: what it says to import, and the line itself, executed as it stands there."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"
_ROW = re.compile(r"^\| ([^|]+) \| `([^`]+)` \| `([^`]+)` \| ([^|]+) \|$", re.M)


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    library: str
    imports: str
    text: str
    renewal: str

    def __call__(self, **names: Any) -> Any:
        """Execute it with these names; a line that awaits gives what is to be awaited."""
        space = dict(names)
        exec(self.imports, space)
        code = compile(self.text, str(DOCUMENT), "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return eval(code, space)


def lines() -> dict[str, Line]:
    found = [
        Line(library, imports, text.replace(r"\|", "|"), renewal)
        for library, imports, text, renewal in _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    ]
    return {line.library: line for line in found}


def rows() -> int:
    """How many rows the table has, whether they can be read as one of its lines or not."""
    table = DOCUMENT.read_text(encoding="utf-8").partition("\n|---|---|---|---|\n")[2].partition("\n\n")[0]
    return len(table.splitlines())


async def awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
