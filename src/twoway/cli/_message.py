"""What the verbs about messages share: whom to believe, and whose identity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twoway.cli._passphrase import Passphrase

if TYPE_CHECKING:
    from twoway.credential import Credential
    from twoway.trust import Trust

_PATH = click.Path(path_type=Path)


def trust_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--ca` and `--crl`."""
    for option in (
        click.option("--crl", type=_PATH, multiple=True, metavar="FILE", help="Revocation lists (PEM, DER)."),
        click.option(
            "--ca",
            type=_PATH,
            multiple=True,
            metavar="FILE",
            help="Authorities to believe (PEM, or an identity DIR).",
        ),
    ):
        command = option(command)
    return command


def trust_of(ca: tuple[Path, ...], crl: tuple[Path, ...]) -> Trust:
    """The trust that the options name; raises UsageError without any, and as Trust.load."""
    from twoway.message.recipient import trust_in
    from twoway.trust import Trust

    return Trust.load(ca, crls=crl) if ca else trust_in(None)


def load_identity(path: Path, passphrase_file: Path | None, passphrase_command: str | None) -> Credential:
    """An identity directory or PKCS#12 file; raises a CredentialError."""
    from twoway.credential import Credential

    passphrase = Passphrase(f"the key of {path}", file=passphrase_file, command=passphrase_command)
    return Credential.load(path, passphrase=passphrase)
