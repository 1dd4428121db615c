"""Where a new identity is written, and what is said about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from twoway.cli._output import emit
from twoway.cli._passphrase import PassphraseUnusable, from_file
from twoway.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority
    from twoway.credential import Compat, Credential


class IdentityLost(ConfigError):
    """A certificate was issued and remembered, and its key could not be written."""

    code = "identity_lost"

    def __init__(self, serial: str, reason: str) -> None:
        super().__init__(serial, reason)
        self.serial, self.reason = serial, reason

    def __str__(self) -> str:
        return f"{self.reason}; the certificate {self.serial} was issued, and its key is lost"

    @property
    def remedy(self) -> str:
        return (
            f"revoke it (twoway ca revoke {self.serial}) and issue the identity anew where it can be written"
        )


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
    def wanted(
        cls, file: Path | None, passphrase_file: Path | None, compat: Compat, key_type: str | None = None
    ) -> Pkcs12 | None:
        """What the options ask for; raises UsageError when they do not fit together."""
        if file is None:
            if passphrase_file is not None or compat != "modern":
                raise UsageError("options for a PKCS#12 file were given without the file", "add --p12 FILE")
            return None
        if passphrase_file is None:
            raise UsageError("a PKCS#12 file needs a passphrase of its own", "add --p12-passphrase-file FILE")
        if key_type is not None and key_type.startswith("mldsa"):
            raise UsageError(f"PKCS#12 cannot hold a {key_type} key", "leave --p12 out, or choose p256")
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
    """Save an identity directory and print what was made. Raises IdentityLost."""
    from twoway.credential import FileUnwritable

    try:
        credential.save(directory, passphrase=from_file(key_passphrase) if key_passphrase else None)
    except (FileUnwritable, PassphraseUnusable) as failure:
        raise IdentityLost(format(credential.leaf.serial_number, "x"), str(failure)) from failure
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
