"""Files that a verb reads and writes, where - is stdin or stdout, with a bar on stderr while it takes long."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.message.streams import Source

FILE = click.Path(path_type=Path, allow_dash=True)
_PART = 1024 * 1024
_LONG = 64 * _PART  # below this everything is done before anybody could look


@contextlib.contextmanager
def source(path: Path, doing: str) -> Iterator[Source]:
    """The bytes of a file or of stdin; a large file moves a bar on stderr, if that is a terminal."""
    from twoway.message.streams import Watched, reading

    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with reading(path) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size < _LONG or not sys.stderr.isatty():
            yield file
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (doing, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(doing, total=status.st_size)
            yield Watched(file, lambda count: bar.update(task, completed=count))


@contextlib.contextmanager
def result(path: Path, *, binary: bool = False, private: bool = True) -> Iterator[BinaryIO]:
    """Where a result goes: it appears, or is printed, only when the block ends well.

    A file is readable by its owner only unless it is not `private`. Raises UsageError for a `binary` result
    that would go to a terminal.
    """
    from twoway.message.streams import appearing

    if str(path) != "-":
        with appearing(path, private=private) as file:
            yield file
        return
    if binary and sys.stdout.isatty():
        raise UsageError("the result is no text, and would go to a terminal", "name a file: -o FILE")
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer, _PART)
        sys.stdout.buffer.flush()
