"""Paths under which `ssl` can read what is only in memory: OpenSSL takes keys from a path, and a key has none.

Nothing is ever written to a disk: not for a moment, not with mode 0600.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from threading import Thread


@contextlib.contextmanager
def unnamed_file(data: bytes) -> Iterator[str]:
    """A path that gives `data` once: an anonymous file in memory on Linux, a pipe on every other Unix.

    Raises FileNotFoundError where the system has neither.
    """
    with _in_memory(data) if hasattr(os, "memfd_create") else _through_a_pipe(data) as path:
        yield path


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("twoway", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _through_a_pipe(data: bytes) -> Iterator[str]:
    if not os.path.isdir("/dev/fd"):
        raise FileNotFoundError("/dev/fd")
    reading, writing = os.pipe()

    def write() -> None:
        # More than a pipe holds waits for its reader, who may stop early.
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
            file.write(data)

    writer = Thread(target=write, name="twoway-pipe", daemon=True)
    writer.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        writer.join()
