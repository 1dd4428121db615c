"""Fetched revocation lists on disk, so that a restart does not need the network. Replaced atomically."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from twoway.credential.files import write_public
from twoway.errors import TwowayError, UsageError
from twoway.trust.bundle import load_crls


def default_directory() -> Path:
    """Where systemd keeps caches of a service, or where a user's are."""
    given = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given) / "crl"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "twoway" / "crl"


class ListCache:
    """What one address serves: a list, or several in PEM. `path` is always whole; `before` is there while it is doubtful.

    A list whose signature could not be verified when it came (its issuer had not been met yet) does not replace
    the last one that was there: both stay, and whoever judges takes what the issuer has signed.
    """

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self.path = directory / f"{name}.crl"
        self.before = directory / f"{name}.before.crl"
        self._lock = directory / f"{name}.lock"
        self._directory = directory
        self._read: tuple[int, tuple[float, float] | None] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What is there, the newest first."""
        return tuple(path for path in (self.path, self.before) if path.exists())

    def span(self) -> tuple[float, float] | None:
        """From when until when the present list holds, in seconds since 1970; None without one that can be read.

        Of several lists at one address the one that ends first.
        """
        try:
            stamp = self.path.stat().st_mtime_ns
            if self._read is None or self._read[0] != stamp:
                spans = [
                    (crl.last_update_utc.timestamp(), crl.next_update_utc.timestamp())
                    for crl in load_crls((self.path,))
                    if crl.next_update_utc is not None
                ]
                self._read = (stamp, min(spans, key=lambda span: span[1]) if spans else None)
        except (OSError, TwowayError):
            return None
        return self._read[1]

    def store(self, data: bytes, *, verified: bool) -> None:
        """Put a list (DER, or PEM of one or several) in place of the present one; raises FileUnwritable."""
        if verified:
            write_public(self.path, data)
            with contextlib.suppress(OSError):
                self.before.unlink()
            return
        if self.path.exists() and not self.before.exists():
            write_public(self.before, self.path.read_bytes())
        write_public(self.path, data)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the address among all processes of this cache; gives False when another one is at it.

        Raises UsageError when there is no directory and none can be made.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the directory {self._directory} for fetched lists cannot be made: {error.strerror}",
                "pass --crl-cache DIR, a directory that the gateway may write to",
            ) from None
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)
