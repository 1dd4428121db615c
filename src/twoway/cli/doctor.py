"""`twoway doctor`: why a connection fails, whose side it is, and what to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twoway.cli._identity import passphrase_options
from twoway.cli._output import emit
from twoway.cli._passphrase import Passphrase
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.doctor.finding import Report
    from twoway.doctor.material import Material

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--files", is_flag=True, help="Judge files only; nothing is connected to.")
@click.option(
    "--identity", type=_PATH, metavar="DIR", help="The client's identity directory, PKCS#12 or PEM file."
)
@click.option("--ca", type=_PATH, metavar="FILE", help="Authorities that the client believes.")
@click.option("--crl", type=_PATH, metavar="FILE", help="Revocation lists that the client uses.")
@click.option("--server-name", metavar="NAME", help="The name or address by which the server is called.")
@click.option("--server-identity", type=_PATH, metavar="DIR", help="The server's identity, if it is at hand.")
@click.option("--server-trust", type=_PATH, metavar="FILE", help="Authorities that the server believes.")
@passphrase_options
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def doctor(
    files: bool,
    identity: Path | None,
    ca: Path | None,
    crl: Path | None,
    server_name: str | None,
    server_identity: Path | None,
    server_trust: Path | None,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    as_json: bool,
) -> int:
    """Say why mutual TLS fails, whose side it is, and what to change.

    With --files the client's and the server's files are judged, as far as they are given: each certificate
    for its own purpose, by the other side's trust. Exit status 0 healthy, 1 broken.
    """
    if not files:
        raise UsageError("doctor was not told what to examine", "pass --files and --identity DIR")
    passphrase = None
    if passphrase_file or passphrase_command:
        passphrase = Passphrase(f"the key of {identity}", file=passphrase_file, command=passphrase_command)
    report = _files(identity, ca, crl, server_name, server_identity, server_trust, passphrase)
    return _tell(report, as_json)


def _files(
    identity: Path | None,
    ca: Path | None,
    crl: Path | None,
    server_name: str | None,
    server_identity: Path | None,
    server_trust: Path | None,
    passphrase: Passphrase | None,
) -> Report:
    """Examine what was given: one side alone, or both."""
    from twoway.doctor.files import examine, examine_pair, report
    from twoway.doctor.loading import load

    client: Material | None = None
    server: Material | None = None
    if identity or ca or crl:
        client = load("client", identity, ca=ca, crl=crl, passphrase=passphrase, hostname=server_name)
    if server_identity or server_trust:
        server = load("server", server_identity, ca=server_trust, hostname=server_name)
    if client is not None and server is not None:
        return report(f"{identity or ca} and {server_identity or server_trust}", examine_pair(client, server))
    if client is not None:
        return report(str(identity or ca or crl), examine(client))
    if server is not None:
        return report(str(server_identity or server_trust), examine(server))
    raise UsageError("no files were given", "pass --identity DIR, --server-identity DIR, or both")


def _tell(report: Report, as_json: bool) -> int:
    """Print the report, the verdict first; the exit code says whether something is broken."""
    from twoway.doctor.prose import prose

    if as_json:
        emit(report, json=True)
    else:
        emit(prose(report))
    return 1 if report.verdict == "broken" else 0
