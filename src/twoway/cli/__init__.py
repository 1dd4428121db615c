"""The command line: arguments in, sentences out; one file a verb."""

from __future__ import annotations

from twoway.cli._root import main

__all__ = ["main"]
