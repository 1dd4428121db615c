"""The files of this repository, for the checks beside this one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked(*patterns: str) -> Iterator[Path]:
    """Yield every tracked file that matches one of the git patterns and is still there."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    yield from (path for name in names.split("\0") if name and (path := ROOT / name).is_file())


def finish(problems: list[str], checked: str) -> int:
    """Print the problems, or that there are none; give the exit code."""
    print("\n".join(problems) or f"{checked}: fine")
    return 1 if problems else 0
