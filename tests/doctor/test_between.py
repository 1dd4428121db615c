"""Whether it is the server itself that answers: proxies, inspectors, other sites, a server before its reload."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.conftest import judge
from tests.doctor.catalogue import H, Setup
from tests.doctor.servers import Speaking, listening, server_context
from tests.doctor.wider_details import server_of
from tests.pki import Issuer
from twoway.doctor.finding import Report
from twoway.doctor.loading import load
from twoway.doctor.observing import Target
from twoway.doctor.probe import examine_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def examined(speak: Speaking, place: Path, *, both: bool = False) -> Report:
    """What the doctor says of whoever speaks so, with the files of a pair that is in order."""
    setup = H.setup().write(place / "files")
    client = load("client", setup.place / "client", hostname="localhost")
    server = load("server", setup.place / "server", hostname="localhost") if both else None
    with listening(speak) as port:
        return examine_server(Target("127.0.0.1", port, "localhost", timeout=2), client, server)


def first(report: Report) -> tuple[str, str]:
    return report.findings[0].severity, report.findings[0].code


def saying(greeting: bytes = b"", answer: bytes = b"") -> Speaking:
    """Whoever greets, or answers whatever comes."""

    def speak(sock: socket.socket) -> None:
        sock.sendall(greeting)
        sock.recv(4096)
        sock.sendall(answer)
        sock.recv(4096)

    return speak


def over_tls(
    context: ssl.SSLContext, answer: bytes = OK, before: Callable[[socket.socket], object] = id
) -> Speaking:
    def speak(sock: socket.socket) -> None:
        before(sock)
        with context.wrap_socket(sock, server_side=True) as tls:
            if tls.recv(4096):
                tls.sendall(answer)

    return speak


@pytest.mark.parametrize(
    ("protocol", "greeting", "answer"),
    [
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n", b""),
        ("SMTP", b"220 mail.acme.example ESMTP Postfix\r\n", b""),
        ("FTP", b"220 (vsFTPd 3.0.3)\r\n", b""),
        ("IMAP", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b""),
        ("POP3", b"+OK Dovecot ready.\r\n", b""),
        ("MySQL", b"\x4a\x00\x00\x00\x0a8.0.33\x00\x08\x00\x00\x00abcdefgh\x00", b""),
        ("Redis", b"", b"-ERR unknown command\r\n"),
        ("PostgreSQL", b"", b"E\x00\x00\x00\x85SFATAL\x00VFATAL\x00C0A000\x00"),
    ],
)
def test_a_protocol_that_begins_in_clear_is_named(
    protocol: str, greeting: bytes, answer: bytes, tmp_path: Path
):
    report = examined(saying(greeting, answer), tmp_path)
    assert first(report) == ("error", "not_tls")
    assert report.findings[0].evidence["protocol"] == protocol
    assert protocol in report.findings[0].summary


def test_postgresql_is_found_where_it_hangs_up_on_a_hello(tmp_path: Path):
    def speak(sock: socket.socket) -> None:
        if sock.recv(8)[4:] == b"\x04\xd2\x16\x2f":
            sock.sendall(b"S")
            sock.recv(4096)

    report = examined(speak, tmp_path)
    assert first(report) == ("error", "not_tls")
    assert report.findings[0].evidence["protocol"] == "PostgreSQL"


def test_a_listener_that_waits_for_a_proxy_header_is_told(tmp_path: Path):
    context = server_context(H.setup().write(tmp_path / "live"))

    def header(sock: socket.socket) -> None:
        if sock.recv(5, socket.MSG_PEEK) != b"PROXY":
            raise OSError("no header")
        while sock.recv(1) != b"\n":
            pass

    report = examined(over_tls(context, before=header), tmp_path)
    assert first(report) == ("error", "proxy_protocol_expected")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_INVALID_REQ 0\r\n\r\n",
            "middlebox",
        ),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", "middlebox"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login.hotspot.example/\r\n\r\n", "middlebox"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://localhost/\r\n\r\n", "plain_http"),
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", "plain_http"),
    ],
    ids=["squid", "proxy that wants a login", "captive portal", "redirect to TLS", "plain server"],
)
def test_plain_http_is_told_apart_by_who_answers(answer: bytes, code: str, tmp_path: Path):
    report = examined(saying(answer=answer), tmp_path)
    assert first(report) == ("error", code)
    assert str(report.findings[0].evidence["presented"]).startswith("HTTP/1.1")


def passed_through(setup: Setup, place: Path, answer: bytes = OK) -> Speaking:
    """Something that ends TLS with the certificate of `setup` and asks for none."""
    setup.clients = "none"
    return over_tls(server_context(setup.write(place)), answer)


def test_a_certificate_that_is_not_the_servers_own_is_something_between(tmp_path: Path):
    other = H.setup(server=server_of(Issuer.root("Edge Root", organization="Edge")))
    report = examined(passed_through(other, tmp_path / "live"), tmp_path, both=True)
    assert first(report) == ("error", "middlebox")
    assert "Edge Root" in str(report.findings[0].evidence["presented"])
    assert "Acme Issuing" in str(report.findings[0].evidence["expected"])


def test_an_inspecting_authority_is_known_by_its_name(tmp_path: Path):
    inspector = Issuer.root("Corp TLS Inspection CA", organization="Globex")
    report = examined(passed_through(H.setup(server=server_of(inspector)), tmp_path / "live"), tmp_path)
    assert first(report) == ("error", "middlebox")


def test_a_proxy_that_says_so_is_named_and_no_alarm_by_itself(tmp_path: Path):
    context = server_context(H.setup().write(tmp_path / "live"))
    answer = OK.replace(b"\r\n\r\n", b"\r\nVia: 1.1 varnish\r\n\r\n")
    report = examined(over_tls(context, answer), tmp_path)
    assert report.verdict == "healthy"
    assert [(one.severity, one.evidence["via"]) for one in report.findings if one.code == "middlebox"] == [
        ("info", "1.1 varnish")
    ]


@pytest.mark.parametrize(
    ("days", "verdict", "severity"), [(-1, "broken", "error"), (9, "healthy", "warning")]
)
def test_a_renewed_certificate_that_was_not_loaded_is_told(
    days: int, verdict: str, severity: str, tmp_path: Path
):
    """Expired, it is why the client refuses; still good, it is only worth knowing."""
    older = H.setup(server=server_of(start=-60, days=days)).write(tmp_path / "live")
    report = examined(over_tls(server_context(older)), tmp_path, both=True)
    assert (report.verdict, *first(report)) == (verdict, severity, "not_reloaded")


def test_http2_to_a_client_that_did_not_offer_it_is_an_alpn_mismatch(tmp_path: Path):
    context = server_context(H.setup().write(tmp_path / "live"))
    context.set_alpn_protocols(["h2"])
    settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00d"
    assert first(examined(over_tls(context, settings), tmp_path)) == ("error", "alpn_mismatch")


def test_a_redirect_to_another_origin_is_told(tmp_path: Path):
    context = server_context(H.setup().write(tmp_path / "live"))
    answer = b"HTTP/1.1 302 Found\r\nLocation: https://sso.example/\r\nContent-Length: 0\r\n\r\n"
    report = examined(over_tls(context, answer), tmp_path)
    assert (report.verdict, *first(report)) == ("healthy", "info", "redirected")


def test_a_certificate_asked_for_after_the_request_is_told(tmp_path: Path):
    context = server_context(H.setup().write(tmp_path / "live"), "TLSv1.3")
    context.post_handshake_auth = True

    def speak(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(4096)
            with contextlib.suppress(ssl.SSLError):
                tls.verify_client_post_handshake()
                tls.sendall(OK)
                return
            tls.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    assert first(examined(speak, tmp_path)) == ("error", "post_handshake_authentication")


def test_a_server_that_cannot_start_is_explained_by_its_own_files(tmp_path: Path):
    """Nobody listens, and the server's key is another certificate's: that is why, and it is told first."""
    setup = H.setup().write(tmp_path)
    key = H.issuing.leaf("other").private_key
    (setup.place / "server" / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    client = load("client", setup.place / "client", hostname="localhost")
    server = load("server", setup.place / "server", hostname="localhost")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = examine_server(Target("127.0.0.1", port, "localhost", timeout=2), client, server)
    assert [(one.severity, one.code, one.blame) for one in report.findings] == [
        ("error", "key_mismatch", "server"),
        ("warning", "connection_refused", "network"),
    ]
    alone = examine_server(Target("127.0.0.1", port, "localhost", timeout=2), client)
    assert first(alone) == ("error", "connection_refused")


@pytest.mark.judge
def test_a_renegotiation_for_a_certificate_is_told(tmp_path: Path):
    """Apache asks so for single paths in TLS 1.2; here openssl s_server does, once it has read the request."""
    setup = H.setup().write(tmp_path / "live")
    own = setup.place / "server"
    command = [
        judge("openssl"),
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-tls1_2",
        "-CAfile",
        str(own / "ca.pem"),
    ]
    for flag, file in (("-cert", "cert.pem"), ("-cert_chain", "cert.pem"), ("-key", "key.pem")):
        command += [flag, str(own / file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        keyboard, screen = server.stdin, server.stdout

        def told(line: bytes) -> bool:
            return next((True for one in iter(screen.readline, b"") if one.startswith(line)), False)

        def type_along() -> None:
            while told(b"Connection: close"):
                keyboard.write(b"R\n")
                keyboard.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        port = next(
            int(one.rpartition(b":")[2]) for one in iter(screen.readline, b"") if one.startswith(b"ACCEPT")
        )
        typist = threading.Thread(target=type_along)
        typist.start()
        try:
            client = load("client", setup.place / "client", hostname="localhost")
            report = examine_server(Target("127.0.0.1", port, "localhost", timeout=5), client)
        finally:
            server.terminate()
            typist.join(10)
    assert first(report) == ("error", "post_handshake_authentication")


def test_a_fault_of_the_clock_is_told_with_both_sides_files_too(tmp_path: Path):
    context = server_context(H.setup().write(tmp_path / "live"))
    answer = OK.replace(b"\r\n\r\n", b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n")
    for both in (False, True):
        report = examined(over_tls(context, answer), tmp_path / str(both), both=both)
        assert "clock_skew" in [one.code for one in report.findings]
