"""A key and its certificate that are replaced together: a crash in between leaves the old pair or the new one.

Two files cannot be renamed at once, one symbolic link can. `key.pem` and `cert.pem` become links that lead through
`.pair`, and `.pair` leads to a directory with both:

    key.pem -> .pair/key.pem        .pair -> .pairs/5c1f…        .pairs/5c1f…/{key.pem,cert.pem}
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from twoway.credential.faults import FileUnwritable
from twoway.credential.files import read, sync_directory, write_private, write_public

KEY, CERTIFICATE = "key.pem", "cert.pem"
_LINK, _STORE = ".pair", ".pairs"


def replace_pair(directory: Path, key: bytes, certificate: bytes) -> None:
    """Make `key` and `certificate` (PEM) the pair of an identity directory, in one step; raises FileUnwritable.

    A reader that opens the two files one after the other may still meet one of each, and tries again; nobody who
    opens them later does. The pair of before is kept until the next time.
    """
    try:
        before = _current(directory)
        if before is None and (directory / KEY).exists() and (directory / CERTIFICATE).exists():
            # First the pair that is there, behind links: at no moment do the two files contradict each other.
            held = _put(directory, read(directory / KEY), read(directory / CERTIFICATE))
            _lead(directory, held)
            before = held
        if before is not None:
            _link_files(directory)
        new = _put(directory, key, certificate)
        _lead(directory, new)
        _link_files(directory)
        for old in (directory / _STORE).iterdir():
            if old.name not in (new, before):
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise FileUnwritable(str(directory), error.strerror or type(error).__name__) from None


def _current(directory: Path) -> str | None:
    try:
        return Path(os.readlink(directory / _LINK)).name
    except OSError:
        return None


def _put(directory: Path, key: bytes, certificate: bytes) -> str:
    name = secrets.token_hex(8)
    place = directory / _STORE / name
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.parent.chmod(0o755)  # the certificate is for everybody; the key's own mode guards it
    place.mkdir(mode=0o755)
    write_private(place / KEY, key)
    write_public(place / CERTIFICATE, certificate)
    sync_directory(place.parent)
    return name


def _lead(directory: Path, name: str) -> None:
    _link(directory / _LINK, f"{_STORE}/{name}")


def _link_files(directory: Path) -> None:
    for name in (KEY, CERTIFICATE):
        target = f"{_LINK}/{name}"
        if not (directory / name).is_symlink() or os.readlink(directory / name) != target:
            _link(directory / name, target)


def _link(path: Path, target: str) -> None:
    """Put a link in a file's place, in one step."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    aside.symlink_to(target)
    os.replace(aside, path)
    sync_directory(path.parent)
