"""`twoway doctor`: why a connection fails, whose side it is, and what to change."""

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
    from twoway.doctor.finding import Finding, Report
    from twoway.doctor.material import Material

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("target", metavar="HOST:PORT", required=False)
@click.option("--files", is_flag=True, help="Judge files only; nothing is connected to.")
@click.option(
    "--error", "text", metavar="TEXT", help="Say what an error text of any program means; - reads stdin."
)
@click.option(
    "--identity", type=_PATH, metavar="DIR", help="The client's identity directory, PKCS#12 or PEM file."
)
@click.option("--ca", type=_PATH, metavar="FILE", help="Authorities that the client believes.")
@click.option("--crl", type=_PATH, metavar="FILE", help="Revocation lists that the client uses.")
@click.option("--server-name", metavar="NAME", help="The name or address by which the server is called.")
@click.option("--server-identity", type=_PATH, metavar="DIR", help="The server's identity, if it is at hand.")
@click.option("--path", default="/", show_default=True, metavar="PATH", help="What is asked for in HTTP.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds for each wait.")
@click.option("--server-trust", type=_PATH, metavar="FILE", help="Authorities that the server believes.")
@click.option("--ca-dir", type=_PATH, metavar="DIR", help="The twoway authority, to ask what it remembers.")
@click.option(
    "--server", "as_server", is_flag=True, help="This is the server: --identity and --ca are its own."
)
@click.option("--refusals", type=_PATH, metavar="FILE", help="The log of `twoway serve` or `twoway gateway`.")
@click.option("--refusal", metavar="ID", help="One refusal of that log, by its id.")
@click.option(
    "--session",
    "session",
    type=_PATH,
    metavar="FILE",
    help="Keep a TLS session here, and offer it next time: does it still open the door?",
)
@passphrase_options
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def doctor(
    target: str | None,
    path: str,
    timeout: float,
    files: bool,
    text: str | None,
    identity: Path | None,
    ca: Path | None,
    crl: Path | None,
    server_name: str | None,
    server_identity: Path | None,
    server_trust: Path | None,
    ca_dir: Path | None,
    as_server: bool,
    refusals: Path | None,
    refusal: str | None,
    session: Path | None,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    as_json: bool,
) -> int:
    """Say why mutual TLS fails, whose side it is, and what to change.

    With HOST:PORT the server is probed, as nobody and as the identity, and then all files are judged. With
    --files only the files are judged, as far as they are given: each certificate for its own purpose, by the
    other side's trust. --ca-dir asks the authority too, --refusals the server's log (with --refusal ID one line of it).
    --error explains the error text of any program. Exit status 0 healthy, 1 broken.
    """
    if text is not None:
        return _meaning(text, as_json)
    if refusal is not None:
        return _tell(_logged(refusal, refusals), as_json)
    if refusals is not None and target is None and not any((identity, ca, server_identity, server_trust)):
        return _tell(_log(refusals), as_json)
    if as_server:
        server_identity, server_trust = server_identity or identity, server_trust or ca
        identity = ca = None
        files = files or target is None
    if files == (target is not None):
        raise UsageError(
            "doctor was not told what to examine"
            if target is None
            else "a server and --files exclude each other",
            "name HOST:PORT to probe a server, or pass --files and --identity DIR",
        )
    passphrase = None
    if passphrase_file or passphrase_command:
        passphrase = Passphrase(f"the key of {identity}", file=passphrase_file, command=passphrase_command)
    client, server = _materials(identity, ca, crl, server_name, server_identity, server_trust, passphrase)
    if target is not None:
        report = _probe(target, path, timeout, server_name, client, server, session)
    else:
        what = [str(one) for one in (identity or ca or crl, server_identity or server_trust) if one]
        report = _files(" and ".join(what), client, server)
    return _tell(_with_records(report, client, server, ca_dir, refusals), as_json)


def _with_records(
    report: Report,
    client: Material | None,
    server: Material | None,
    ca_dir: Path | None,
    refusals: Path | None,
) -> Report:
    """The report with what the authority and the server's log know."""
    from twoway.doctor.authority_side import remembered
    from twoway.doctor.files import verdict_of
    from twoway.doctor.finding import Report as Reported
    from twoway.doctor.refusal_log import summed_up

    more: list[Finding] = []
    for one in (client, server) if ca_dir is not None else ():
        if one is not None and one.chain:
            assert ca_dir is not None
            more += remembered(ca_dir, one.chain[0], one.side, one.clock)
    if refusals is not None:
        with refusals.open("r", encoding="utf-8", errors="replace") as file:
            more += summed_up(file)
    if not more:
        return report
    findings = [*report.findings, *more]
    verdict = "broken" if report.verdict == "broken" else verdict_of(findings)
    return Reported.of(report.target, verdict, findings)


def _log(refusals: Path) -> Report:
    """A log by itself, summed up; raises UsageError for one without a refusal that is understood."""
    from twoway.doctor.finding import Report as Reported

    report = _with_records(Reported(str(refusals), "healthy", ()), None, None, None, refusals)
    if not report.findings:
        raise UsageError(
            f"{refusals} has no refusal of twoway",
            "pass the log of `twoway serve` or `twoway gateway`, text or JSON: it has one line for each refusal",
        )
    return report


def _logged(refusal: str, refusals: Path | None) -> Report:
    """One refusal of a log; raises UsageError when it is not there."""
    from twoway.doctor.finding import Report as Reported
    from twoway.doctor.refusal_log import refusal_of

    if refusals is None:
        raise UsageError(
            "it was not said where the refusal is", "pass --refusals FILE, the log of the server"
        )
    with refusals.open("r", encoding="utf-8", errors="replace") as file:
        finding = refusal_of(file, refusal)
    if finding is None:
        raise UsageError(f"{refusals} has no refusal {refusal}", 'the id is in the server\'s log, as "id"')
    return Reported(f"refusal {refusal}", "broken", (finding,))


def _meaning(text: str, as_json: bool) -> int:
    """What a pasted text can mean; exit status 1 when nothing is known of it."""
    from twoway.doctor.wordings import explain_text

    report = explain_text(sys.stdin.read(65536) if text == "-" else text)
    if as_json:
        emit(report, json=True)
    elif not report.findings:
        emit("nothing is known of this text; probe instead: twoway doctor HOST:PORT --identity DIR")
    else:
        first = report.findings[0]
        emit(
            f"{first.evidence['program']}: {first.evidence['who_speaks']}. It can mean, the likeliest first:"
        )
        for number, one in enumerate(report.findings, 1):
            emit(f"{number}. {one.code}: {one.summary}")
        emit(f"which of them it is, {first.remedy}")
    return 0 if report.findings else 1


def _probe(
    target: str,
    path: str,
    timeout: float,
    name: str | None,
    client: Material | None,
    server: Material | None,
    session: Path | None,
) -> Report:
    """Examine a server over the network; a session that is let in is kept in the file `session`."""
    from twoway.doctor.material import Material
    from twoway.doctor.observing import Target
    from twoway.doctor.probe import judged, observe
    from twoway.doctor.sessions import read_session, write_session
    from twoway.explainer.live import address_of

    host, port = address_of(target)
    known = client or Material("client")
    earlier = read_session(session) if session is not None else None
    observed = observe(Target(host, port, name or host, timeout=timeout, path=path), known, session=earlier)
    if session is not None and earlier is None and observed.session is not None:
        write_session(session, observed.session)
    return judged(observed, known, server)


def _materials(
    identity: Path | None,
    ca: Path | None,
    crl: Path | None,
    server_name: str | None,
    server_identity: Path | None,
    server_trust: Path | None,
    passphrase: Passphrase | None,
) -> tuple[Material | None, Material | None]:
    """What was given of each side; None for a side of which nothing was."""
    from twoway.doctor.loading import load

    client: Material | None = None
    server: Material | None = None
    if identity or ca or crl:
        client = load("client", identity, ca=ca, crl=crl, passphrase=passphrase, hostname=server_name)
    if server_identity or server_trust:
        server = load("server", server_identity, ca=server_trust, hostname=server_name)
    return client, server


def _files(what: str, client: Material | None, server: Material | None) -> Report:
    """Examine files alone: of one side, or of both."""
    from twoway.doctor.files import examine, examine_pair, report

    if client is not None and server is not None:
        return report(what, examine_pair(client, server))
    one = client or server
    if one is None:
        raise UsageError("no files were given", "pass --identity DIR, --server-identity DIR, or both")
    return report(what, examine(one))


def _tell(report: Report, as_json: bool) -> int:
    """Print the report, the verdict first; the exit code says whether something is broken."""
    from twoway.doctor.prose import prose

    if as_json:
        emit(report, json=True)
    else:
        emit(prose(report))
    return 1 if report.verdict == "broken" else 0
