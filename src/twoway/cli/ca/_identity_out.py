"""Where a new identity is written, and what is said about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from twoway.cli._output import emit
from twoway.cli._passphrase import from_file
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority
    from twoway.credential import Compat, Credential


def directory_for(name: str, out: Path | None) -> Path:
    """The directory for a new identity: the one asked for, or one named after it; raises when one is there."""
    directory = out or Path(re.sub(r"[^A-Za-z0-9._-]+", "-", name.split("://")[-1]).strip(".-") or "identity")
    if (directory / "cert.pem").exists() or (directory / "key.pem").exists():
        raise UsageError(
            f"{directory} already holds an identity",
            f"renew it with: twoway ca renew --identity {directory}; or choose another --out DIR",
        )
    return directory


@dataclass(frozen=True)
class Pkcs12:
    """One file with key and chain, wanted besides the directory; its passphrase is read before anything is issued."""

    file: Path
    passphrase: bytes = field(repr=False)
    compat: Compat = "modern"

    @classmethod
    def wanted(cls, file: Path | None, passphrase_file: Path | None, compat: Compat) -> Pkcs12 | None:
        """What the options ask for; raises UsageError when they do not fit together."""
        if file is None:
            if passphrase_file is not None or compat != "modern":
                raise UsageError("options for a PKCS#12 file were given without the file", "add --p12 FILE")
            return None
        if passphrase_file is None:
            raise UsageError("a PKCS#12 file needs a passphrase of its own", "add --p12-passphrase-file FILE")
        return cls(file, from_file(passphrase_file), compat)

    def write(self, credential: Credential) -> None:
        from twoway.credential import write_private

        write_private(self.file, credential.to_pkcs12(self.passphrase, compat=self.compat))


def write(
    authority: Authority,
    credential: Credential,
    directory: Path,
    key_passphrase: Path | None,
    *,
    json: bool,
    p12: Pkcs12 | None = None,
) -> None:
    """Save an identity directory and print what was made."""
    credential.save(directory, passphrase=from_file(key_passphrase) if key_passphrase else None)
    if p12 is not None:
        p12.write(credential)
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
