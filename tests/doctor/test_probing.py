"""What only a connection shows: no way there, no TLS there, asked too late, and the same answer every time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.doctor.catalogue import FAILURES, HEALTHY, Setup
from tests.doctor.servers import serving
from twoway.doctor.finding import Report
from twoway.doctor.loading import load
from twoway.doctor.material import Material
from twoway.doctor.observing import Target
from twoway.doctor.probe import examine_server

Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def answering(handle: Answer) -> Iterator[int]:
    """A server that does as it is told with each connection."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def loop() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                sock, _ = listener.accept()
                sock.settimeout(5)
                with sock, contextlib.suppress(OSError):
                    handle(sock)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join(10)
        listener.close()


def asked(port: int, client: Material | None = None, **target: float) -> Report:
    return examine_server(
        Target("127.0.0.1", port, "localhost", timeout=3, **target), client or Material("client")
    )  # type: ignore[arg-type]


def identity(setup: Setup, place: Path) -> Material:
    return load("client", setup.write(place).place / "client", hostname="localhost")


def case(name: str) -> Setup:
    return next(one for one in (*FAILURES, *HEALTHY) if one.name == name).make()


def test_nobody_listens(unused_port: int):
    report = asked(unused_port)
    assert (report.verdict, report.findings[0].code, report.findings[0].blame) == (
        "broken",
        "connection_refused",
        "network",
    )


def test_a_name_that_does_not_resolve():
    report = examine_server(
        Target("no-such-host.invalid", 443, "no-such-host.invalid", timeout=5), Material("client")
    )
    assert report.findings[0].code == "dns_failure"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "plain_http"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "not_tls"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "protocol_version_mismatch"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "cipher_mismatch"),
        (b"\x15\x03\x03\x00\x02\x02\x78", "alpn_mismatch"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "wrong_virtual_host"),
        (b"\x15\x03\x03\x00\x02\x02\x50", "server_misconfigured"),
        (b"", "connection_cut"),
    ],
)
def test_what_answers_the_hello_is_told(answer: bytes, code: str):
    def handle(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(answer)

    with answering(handle) as port:
        report = asked(port)
    assert report.verdict == "broken"
    assert report.findings[0].code == code


def test_a_server_that_says_nothing_is_a_timeout():
    released = threading.Event()

    def handle(sock: socket.socket) -> None:
        sock.recv(4096)
        released.wait(5)

    with answering(handle) as port:
        report = examine_server(Target("127.0.0.1", port, "localhost", timeout=0.3), Material("client"))
        released.set()
    assert report.findings[0].code == "timed_out"


def test_a_server_that_asks_after_the_handshake_is_told_apart_from_one_that_never_asks(tmp_path: Path):
    """RFC 8446 §4.6.2: Python's `verify_client_post_handshake`, and servers that ask for some paths only."""
    setup = case("p256")
    client = identity(setup, tmp_path)
    own = tmp_path / "server"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "cert.pem", own / "key.pem")
    context.load_verify_locations(own / "ca.pem")
    context.post_handshake_auth = True

    def handle(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(4096)
            with contextlib.suppress(ssl.SSLError):
                tls.verify_client_post_handshake()
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    context.verify_mode = ssl.CERT_REQUIRED
    with answering(handle) as port:
        report = asked(port, client)
    assert report.verdict == "broken"
    assert report.findings[0].code == "post_handshake_authentication"


def test_a_virtual_host_that_does_not_ask_is_told_apart_from_the_one_that_does(tmp_path: Path):
    """Settings of mutual TLS belong to a virtual host, and the server name chooses which."""
    setup = case("p256")
    client = identity(setup, tmp_path)
    own = tmp_path / "server"
    asking, open_to_all = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in (asking, open_to_all):
        context.load_cert_chain(own / "cert.pem", own / "key.pem")
    asking.load_verify_locations(own / "ca.pem")

    def handle(sock: socket.socket) -> None:
        # As servers with virtual hosts do: the hello is looked at before a context is chosen.
        named = b"localhost" in sock.recv(4096, socket.MSG_PEEK)
        asking.verify_mode = ssl.CERT_REQUIRED
        with (open_to_all if named else asking).wrap_socket(sock, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with answering(handle) as port:
        report = asked(port, client)
    assert report.findings[0].code == "wrong_virtual_host"


@pytest.mark.slow
def test_the_verdict_is_the_same_in_fifty_of_fifty_runs(tmp_path: Path):
    """In TLS 1.3 a server's alert is easily lost; the probe listens before it says anything."""
    setup = case("stranger")
    client = identity(setup, tmp_path)
    with serving("python", setup) as port:
        told = {tuple(one.code for one in asked(port, client).findings) for _ in range(50)}
    assert len(told) == 1
    assert told.pop()[0] == "unknown_authority"
