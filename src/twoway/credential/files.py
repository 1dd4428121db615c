"""Reading and writing the files of identities: bounded, atomic, keys for their owner only."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
from pathlib import Path

from twoway.credential.faults import FileMissing, FileUnreadable, FileUnwritable, TooLarge

log = logging.getLogger("twoway.credential")

MAX_FILE = 1024 * 1024


def read(path: str | os.PathLike[str], *, limit: int = MAX_FILE) -> bytes:
    """The bytes of a file of at most `limit` bytes; raises FileMissing, FileUnreadable or TooLarge."""
    where = str(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise FileMissing(where) from None
    except OSError as error:
        raise FileUnreadable(where, error.strerror or type(error).__name__) from None
    if len(data) > limit:
        raise TooLarge(where, "a file", max(os.stat(path).st_size, len(data)), limit)  # a device has no size
    return data


def read_private(path: str | os.PathLike[str]) -> bytes:
    """Read a key file, and warn in the log when others than its owner may read it."""
    data = read(path)
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            log.warning(
                "%s holds a private key and others may read it (mode %04o): chmod 600 %s", path, mode, path
            )
    return data


def write_private(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file atomically by one that only its owner may read or write (0600)."""
    _write(Path(path), data, 0o600)


def write_public(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file atomically by one that everybody may read (0644)."""
    _write(Path(path), data, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write beside, sync, rename, sync the directory: a reader sees the old bytes or the new ones."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        # The mode is there from the first moment; the umask could only take bits away.
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise FileUnwritable(str(path), error.strerror or type(error).__name__) from None


def sync_directory(directory: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
