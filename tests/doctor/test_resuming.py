"""Whether a session that was made before a revocation still opens the door."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.doctor.catalogue import CRL_CHECK, H
from tests.doctor.servers import Speaking, listening, server_context
from twoway.credential import NotPem
from twoway.doctor.loading import load
from twoway.doctor.observing import Target
from twoway.doctor.probe import judged, observe
from twoway.doctor.sessions import read_session, write_session

VERSIONS = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])


def answering(context: ssl.SSLContext) -> Speaking:
    def speak(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            if tls.recv(4096):
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    return speak


def revoke_client(context: ssl.SSLContext, place: Path) -> None:
    """Load a list with the client's certificate into the living context, as people do."""
    from cryptography.hazmat.primitives.serialization import Encoding

    (place / "crl.pem").write_bytes(H.issuing.crl(H.client.chain[0]).public_bytes(Encoding.PEM))
    context.load_verify_locations(place / "crl.pem")
    context.verify_flags |= CRL_CHECK  # type: ignore[operator]


@VERSIONS
def test_a_session_of_before_the_revocation_is_still_let_in(version: str, tmp_path: Path):
    """Stock Python: the list reaches new handshakes only, and the doctor says that resumption skips the check."""
    setup = H.setup().write(tmp_path)
    context = server_context(setup, version)
    client = load("client", tmp_path / "client", hostname="localhost")
    with listening(answering(context)) as port:
        target = Target("127.0.0.1", port, "localhost", timeout=5)
        before = observe(target, client)
        assert judged(before, client).verdict == "healthy"
        assert before.session is not None
        revoke_client(context, tmp_path)
        report = judged(observe(target, client, session=before.session), client)
    codes = {one.code: one for one in report.findings}
    assert report.verdict == "broken"
    assert codes["resumption_skips_check"].severity == "error"
    assert codes["resumption_skips_check"].blame == "server"
    assert codes["certificate_revoked"].severity == "error"


@VERSIONS
def test_a_server_that_judges_anew_raises_no_alarm(version: str, tmp_path: Path):
    """A new context knows no old ticket: the session is not taken, and the identity is refused as it should be."""
    setup = H.setup().write(tmp_path)
    client = load("client", tmp_path / "client", hostname="localhost")
    with listening(answering(server_context(setup, version))) as port:
        before = observe(Target("127.0.0.1", port, "localhost", timeout=5), client)
    again = server_context(setup, version)
    revoke_client(again, tmp_path)
    with listening(answering(again)) as port:
        target = Target("127.0.0.1", port, "localhost", timeout=5)
        report = judged(observe(target, client, session=before.session), client)
    assert [one.code for one in report.findings if one.severity == "error"] == ["certificate_revoked"]


def test_a_revoked_client_that_is_let_in_is_the_servers_fault(tmp_path: Path):
    """The list lies among the server's files and is not used; a resumed session is let in too, which is told."""
    setup = H.setup(server_crls=(H.issuing.crl(H.client.chain[0]),)).write(tmp_path)
    context = server_context(setup, "TLSv1.3")  # it has the list, and no flag to check by it
    with listening(answering(context)) as port:
        client = load("client", tmp_path / "client", hostname="localhost")
        server = load("server", tmp_path / "server", hostname="localhost")
        report = judged(observe(Target("127.0.0.1", port, "localhost", timeout=5), client), client, server)
    assert [(one.severity, one.code, one.blame) for one in report.findings[:2]] == [
        ("error", "certificate_revoked", "server"),
        ("warning", "resumption_skips_check", "server"),
    ]


def test_the_command_keeps_a_session_and_offers_it_again(run_twoway: Command, tmp_path: Path):
    setup = H.setup().write(tmp_path)
    context = server_context(setup)
    kept = tmp_path / "session.pem"
    with listening(answering(context)) as port:
        words = (
            "doctor",
            f"127.0.0.1:{port}",
            "--server-name",
            "localhost",
            "--identity",
            tmp_path / "client",
        )
        first = run_twoway(*words, "--session", kept)
        assert first.returncode == 0, first.stdout + first.stderr
        assert kept.stat().st_mode & 0o777 == 0o600
        revoke_client(context, tmp_path)
        second = run_twoway(*words, "--session", kept)
    assert second.returncode == 1
    assert "resumption_skips_check" in second.stdout


def test_a_file_that_holds_no_session_is_refused(tmp_path: Path):
    assert read_session(tmp_path / "nothing") is None
    write_session(tmp_path / "session", b"\x30\x03\x02\x01\x01")
    assert read_session(tmp_path / "session") == b"\x30\x03\x02\x01\x01"
    (tmp_path / "other").write_text("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    with pytest.raises(NotPem, match="SSL SESSION PARAMETERS"):
        read_session(tmp_path / "other")
