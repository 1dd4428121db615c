"""Where content comes from and goes to: bounded reads, progress, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from twoway.credential import FileMissing, FileUnreadable, FileUnwritable
from twoway.message.faults import MessageTooLarge

Progress = Callable[[int], None]
PART = 1024 * 1024


class Source(Protocol):
    """What content is read from: a file, a pipe, bytes in memory."""

    def read(self, size: int, /) -> bytes: ...


class Watched:
    """A source that tells how many bytes were read of it so far."""

    def __init__(self, source: Source, progress: Progress) -> None:
        self._source, self._progress, self._count = source, progress, 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._count += len(data)
        self._progress(self._count)
        return data


def parts_of(source: Source, size: int = PART) -> Iterator[bytes]:
    """The content in parts of exactly `size` bytes, the last one shorter; a pipe may give less at a time."""
    while part := read_exactly(source, size):
        yield part
        if len(part) < size:
            return


def read_exactly(source: Source, size: int) -> bytes:
    """The next `size` bytes, fewer only at the end."""
    data = source.read(size)
    if not data or len(data) == size:
        return data
    pieces, missing = [data], size - len(data)
    while missing and (data := source.read(missing)):
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces)


def read_whole(source: Source, limit: int, format: str) -> bytes:
    """All of it, for a format that is not handled in parts; raises MessageTooLarge."""
    data = read_exactly(source, limit + 1)
    if len(data) > limit:
        raise MessageTooLarge(format, limit)
    return data


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[BinaryIO]:
    """A file to read; raises FileMissing or FileUnreadable."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; only opening has these errors
    except FileNotFoundError:
        raise FileMissing(str(path)) from None
    except OSError as error:
        raise FileUnreadable(str(path), error.strerror or type(error).__name__) from None
    with file:
        yield file


@contextlib.contextmanager
def appearing(path: str | Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """A file that gets its name only when the block ends well: until then nobody can take it for the result.

    It lies beside the name and is removed when the block raises. A `private` one is readable by its owner only,
    from its first byte. What a link points at is replaced, the link stays. A device or pipe is written to at
    the end. Raises FileUnwritable.
    """
    target = Path(path).resolve()
    special = target.exists() and not target.is_file()
    beside = Path(tempfile.gettempdir()) if special else target.parent
    aside = beside / f".{target.name}.{secrets.token_hex(8)}.part"
    mode = 0o600 if private or special else 0o666  # of the second the umask takes what it should
    try:
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise FileUnwritable(str(path), error.strerror or type(error).__name__) from None
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            if special:
                file.seek(0)
                with target.open("wb") as device:
                    shutil.copyfileobj(file, device, PART)
                return
        os.replace(aside, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
