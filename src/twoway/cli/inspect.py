"""`twoway inspect`: what a file is, what it says, and what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twoway.cli._identity import passphrase_options
from twoway.cli._output import emit
from twoway.cli._passphrase import Passphrase
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.doctor.inspection import Inspected


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE..."
)
@passphrase_options
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def inspect(
    files: tuple[Path, ...], passphrase_file: Path | None, passphrase_command: str | None, as_json: bool
) -> int:
    """Show what is in any PEM, DER or PKCS#12 file, or identity directory; - is stdin.

    Certificates, requests, revocation lists, OCSP, keys (never their secret): as a person wants to read them,
    with what is wrong for use as a client and as a server. Exit status 1 when a file is none of these.
    """
    passphrase = None
    if passphrase_file or passphrase_command:
        passphrase = Passphrase("the files", file=passphrase_file, command=passphrase_command)
    told = [_read(path, passphrase) for path in files]
    if as_json:
        emit([one.as_dict() for one in told], json=True)
    else:
        from twoway.doctor.inspection.prose import prose

        for number, one in enumerate(told):
            emit([*([""] if number else []), *prose(one)])
    return 0 if all(one.readable for one in told) else 1


def _read(path: Path, passphrase: Passphrase | None) -> Inspected:
    """One file; that it cannot be read is told in its place, so that the others are told too."""
    from twoway.doctor.inspection import Inspected as Told

    try:
        return _one(path, passphrase)
    except OSError as error:
        return Told(str(path), notes=[f"it cannot be read: {error.strerror or error}"])


def _one(path: Path, passphrase: Passphrase | None) -> Inspected:
    from twoway.doctor.inspection import inspect_bytes, inspect_directory
    from twoway.doctor.inspection.reading import MAX_BYTES

    if path.is_dir():
        return inspect_directory(path, passphrase=passphrase)
    if str(path) == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{path} is larger than {MAX_BYTES // 2**20} MiB", "no file of this field is so large"
        )
    return inspect_bytes(data, str(path), passphrase=passphrase)
