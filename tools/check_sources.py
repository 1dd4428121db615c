"""What no tracked file may hold, and how long a source file may be."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools.tracked import ROOT, finish, tracked

MAX_LINES = 400
LONG: dict[str, str] = {
    # "src/twoway/….py": "the reason why it is one file",
}

# The patterns are spelled so that this file passes its own check.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|Users|home/\w+)/\w"),
    "the host of a package registry": re.compile(
        r"\b(?:pypi|pythonhosted|npmjs|npmmirror|rubygems|(?:deb|security|snapshot)\.debian)\.(?:org|com|io|net)\b"
    ),
    "the address of a package index": re.compile(r"(?:index-url|find-links)[ =]+\S*:/"),
    "a note to oneself": re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b"),
}


def problems_of(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    name = path.relative_to(ROOT).as_posix()
    found = [
        f"{name}:{number}: {what}: {line.strip()[:100]}"
        for number, line in enumerate(lines, 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    if path.suffix == ".py" and len(lines) > MAX_LINES and name not in LONG:
        found.append(f"{name}: {len(lines)} lines; more than {MAX_LINES} ask to be two files")
    return found


def main() -> int:
    found = [problem for path in tracked() for problem in problems_of(path)]
    found += [
        f"tools/check_sources.py: {name} is listed as long, and is not there"
        for name in LONG
        if not (ROOT / name).is_file()
    ]
    return finish(found, "sources")


if __name__ == "__main__":
    sys.exit(main())
