"""Notices that files have changed: in place, by rename, or by a symlink that now points elsewhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

IDENTITY_FILES = ("cert.pem", "key.pem", "ca.pem", "crl.pem")
_Signature = tuple[int, int, int, int] | None
_MAX_HASHED = 64 * 1024 * 1024


class FileWatch:
    """Remembers what a set of files held; `changed` compares, and costs one `stat` a file when nothing did.

    A file that appears or vanishes counts as a change. A new time stamp on the same bytes does not.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self.paths = tuple(dict.fromkeys(Path(path) for path in paths))
        self._signatures = {path: _signature(path) for path in self.paths}
        self._digests = {path: _digest(path) for path in self.paths}
        self._again = False

    def look_again(self) -> None:
        """Report a change at the next question, whatever the files hold: half of a pair may have been replaced."""
        self._again = True

    def changed(self) -> bool:
        """Whether any file holds other bytes than at the last call; remembers what it sees now."""
        found, self._again = self._again, False
        for path in self.paths:
            signature = _signature(path)
            if signature == self._signatures[path]:
                continue
            digest = _digest(path)
            # The stamp of before reading: what is written meanwhile is seen the next time.
            self._signatures[path] = signature
            if digest != self._digests[path]:
                self._digests[path] = digest
                found = True
        return found


def files_of(*sources: object) -> tuple[Path, ...]:
    """The files behind what was given: of a directory those of an identity, of a path itself, of a value in memory none."""
    files: list[Path] = []
    for source in sources:
        if isinstance(source, (str, Path)):
            path = Path(source)
            files += [path / name for name in IDENTITY_FILES] if path.is_dir() else [path]
    return tuple(files)


def _signature(path: Path) -> _Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _digest(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(_MAX_HASHED)).digest()
    except OSError:
        return None
