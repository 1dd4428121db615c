"""An authority's directory: which file is what, and how a new one comes to be whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from twoway.authority.faults import (
    DirectoryTaken,
    DirectoryUnwritable,
    NotAnAuthority,
    StoreForeign,
    StoreUnusable,
)
from twoway.credential import certificates_from_pem, fingerprint_of, read
from twoway.credential.files import sync_directory

STORE = "authority.db"
STORE_URL = "store"  # instead of it: where the store is, if it is on a server
PROFILES = "profiles"
ROOT_KEY = "root-key.pem"
ISSUING_KEY = "issuing-key.pem"
ROOT_CERTIFICATE = "root.pem"
ISSUING_CERTIFICATE = "issuing.pem"


def existing(directory: Path) -> Path:
    """The directory, if an authority is in it; raises NotAnAuthority."""
    if not directory.is_dir():
        raise NotAnAuthority(str(directory), "the directory")
    if not (directory / STORE).is_file() and not (directory / STORE_URL).is_file():
        raise NotAnAuthority(str(directory), STORE)
    return directory


def store_of(directory: Path) -> Path | str:
    """Where the store of that authority is: a file in it, or the URL of a database."""
    try:
        return (directory / STORE_URL).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return directory / STORE
    except (OSError, UnicodeDecodeError) as failure:
        raise StoreUnusable(str(directory / STORE_URL), str(failure)) from failure


def check_root(directory: Path, root: x509.Certificate, crosses: Iterable[x509.Certificate] = ()) -> None:
    """Raise StoreForeign unless `root`, which the store names, is the one whose certificate is in the directory.

    Or one for whose key that one vouches: the root was changed since, by another copy of the authority, or the change
    was interrupted.
    """
    beside = certificates_from_pem(
        read(directory / ROOT_CERTIFICATE), where=str(directory / ROOT_CERTIFICATE)
    )[0]
    if beside != root and not any(vouches(beside, root, cross) for cross in crosses):
        raise StoreForeign(str(directory), fingerprint_of(beside), fingerprint_of(root))


def vouches(older: x509.Certificate, root: x509.Certificate, cross: x509.Certificate) -> bool:
    """Whether `cross` is the root's key, certified by the key of the other root (RFC 4210 §4.4)."""
    if cross.public_key() != root.public_key():
        return False
    try:
        cross.verify_directly_issued_by(older)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def check_free(directory: Path) -> None:
    """Raise DirectoryTaken unless a new authority can be made there."""
    if (directory / STORE).exists() or (directory / STORE_URL).exists():
        raise DirectoryTaken(str(directory), True)
    if directory.is_symlink() or (directory.exists() and not _is_empty(directory)):
        raise DirectoryTaken(str(directory), False)


@contextlib.contextmanager
def building(directory: Path) -> Iterator[Path]:
    """A directory beside `directory` to build in; it takes that name when the block ends well, else it vanishes."""
    check_free(directory)
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(6)}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
        (temporary / PROFILES).mkdir()
    except OSError as failure:
        raise DirectoryUnwritable(str(directory.parent), failure.strerror or str(failure)) from failure
    try:
        yield temporary
        sync_directory(temporary)
        try:
            # Takes the place of an empty directory, and of nothing else.
            temporary.rename(directory)
        except OSError as failure:
            raise DirectoryTaken(str(directory), (directory / STORE).exists()) from failure
        sync_directory(directory.parent)
    except OSError as failure:
        raise DirectoryUnwritable(str(directory), failure.strerror or str(failure)) from failure
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_empty(directory: Path) -> bool:
    return directory.is_dir() and next(directory.iterdir(), None) is None
