"""Where a new identity is written, and what is said about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from twoway.cli._output import emit
from twoway.cli._passphrase import from_file
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority
    from twoway.credential import Credential


def directory_for(name: str, out: Path | None) -> Path:
    """The directory for a new identity: the one asked for, or one named after it; raises when one is there."""
    directory = out or Path(re.sub(r"[^A-Za-z0-9._-]+", "-", name.split("://")[-1]).strip(".-") or "identity")
    if (directory / "cert.pem").exists() or (directory / "key.pem").exists():
        raise UsageError(
            f"{directory} already holds an identity",
            f"renew it with: twoway ca renew --identity {directory}; or choose another --out DIR",
        )
    return directory


def write(
    authority: Authority, credential: Credential, directory: Path, key_passphrase: Path | None, *, json: bool
) -> None:
    """Save an identity directory and print what was made."""
    credential.save(directory, passphrase=from_file(key_passphrase) if key_passphrase else None)
    record = authority.show(credential.leaf)
    if json:
        emit({"directory": directory, **record.as_dict()}, json=True)
        return
    emit(
        {
            "directory": directory,
            "subject": record.subject,
            "names": record.names,
            "serial": record.serial,
            "until": record.not_after,
        }
    )
