"""Run every benchmark beside this file that has a `main`, or those named: `python -m bench [NAME …]`."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path

import twoway


def names() -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def run(wanted: list[str]) -> int:
    """Run them one after the other, each in this process; 2 for an unknown name."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(
            f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names()) or 'none'}",
            file=sys.stderr,
        )
        return 2
    print(f"twoway {twoway.__version__}, Python {platform.python_version()}, {platform.machine()}")
    for name in wanted or names():
        module = importlib.import_module(f"bench.{name}")
        if hasattr(module, "main"):
            print(f"\n== {name}: {(module.__doc__ or name).strip().splitlines()[0]}", flush=True)
            module.main()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
