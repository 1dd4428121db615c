"""The options by which a verb learns who it is: `--identity DIR`, or `--cert`, `--key` and `--ca`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twoway.cli._passphrase import Passphrase
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.credential import Credential

_PATH = click.Path(path_type=Path)


def passphrase_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--passphrase-file` and `--passphrase-command`, as `passphrase_file` and `passphrase_command`."""
    for option in (
        click.option(
            "--passphrase-command", metavar="COMMAND", help="Run this for the passphrase; no shell."
        ),
        click.option(
            "--passphrase-file", type=_PATH, metavar="FILE", help="Read the passphrase from this file."
        ),
    ):
        command = option(command)
    return command


def identity_options(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a verb the loaded `identity: Credential` of its caller, from the usual options.

    With `required=False` a caller may stay anonymous: then `identity` is None, and the verb also gets
    `ca: Path | None`, the file of authorities to believe.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_identity(
            *args: Any,
            identity: Path | None,
            cert: Path | None,
            key: Path | None,
            ca: Path | None,
            passphrase_file: Path | None,
            passphrase_command: str | None,
            **options: Any,
        ) -> Any:
            place = identity or key
            passphrase = Passphrase(f"the key of {place}", file=passphrase_file, command=passphrase_command)
            credential = _load(identity, cert, key, ca, passphrase)
            if credential is None and required:
                raise UsageError("no identity was given", "pass --identity DIR, or --cert, --key and --ca")
            if not required:
                options["ca"] = ca if credential is None else None
            return command(*args, identity=credential, **options)

        decorated = passphrase_options(with_identity)
        for option in (
            click.option("--ca", type=_PATH, metavar="FILE", help="Authorities to believe (PEM)."),
            click.option("--key", type=_PATH, metavar="FILE", help="Private key (PEM, PKCS#8)."),
            click.option("--cert", type=_PATH, metavar="FILE", help="Certificate and intermediates (PEM)."),
            click.option(
                "--identity",
                type=_PATH,
                metavar="DIR",
                help="Directory with cert.pem, key.pem and ca.pem, or a PKCS#12 file.",
            ),
        ):
            decorated = option(decorated)
        return decorated

    return decorate


def _load(
    identity: Path | None, cert: Path | None, key: Path | None, ca: Path | None, passphrase: Passphrase
) -> Credential | None:
    if identity and (cert or key or ca):
        files = f"--cert {identity / 'cert.pem'} --key {identity / 'key.pem'}"
        raise UsageError(
            "--identity stands for --cert, --key and --ca, and was given together with one of them",
            f"to change one of the three, name them all: {files} --ca FILE",
        )
    if bool(cert) is not bool(key):
        given, wanted = ("--cert", "--key") if cert else ("--key", "--cert")
        raise UsageError(f"{given} was given without {wanted}", f"pass {wanted} FILE too, or --identity DIR")
    if not identity and not (cert and key):
        return None

    from twoway.credential import Credential

    if identity:
        return Credential.load(identity, passphrase=passphrase)
    assert cert is not None
    assert key is not None
    return Credential.from_files(cert=cert, key=key, ca=ca, passphrase=passphrase)
