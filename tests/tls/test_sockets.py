"""The same on real sockets: the alert arrives, the end is told apart from a cut, nothing hangs."""

from __future__ import annotations

import socket

import pytest

from twoway.tls import (
    AlertReceived,
    ClientContext,
    ClientSettings,
    ConnectFailed,
    ConnectionCut,
    NotTls,
    ServerContext,
    ServerSettings,
    TimedOut,
    TlsSocket,
    Truncated,
)

from .conftest import BOTH, Pki

versions = pytest.mark.parametrize("version", BOTH)


def client_of(pki: Pki, version: str = "TLSv1.3", **arguments: object) -> ClientContext:
    arguments = {"credential": pki.client} | arguments
    return ClientContext(ClientSettings(minimum_version=version, maximum_version=version, **arguments))  # type: ignore[arg-type]


@versions
def test_an_echo_comes_back(pki: Pki, echo_server, version: str):
    port, _ = echo_server(ServerContext(ServerSettings(pki.server)))
    with TlsSocket.connect("localhost", port, client_of(pki, version)) as connection:
        payload = b"order 1223 " * 50_000
        connection.sendall(payload[:100_000])
        got = b""
        while len(got) < 100_000:
            got += connection.recv()
        assert got == payload[:100_000]


@versions
@pytest.mark.parametrize(
    ("who", "alerts"),
    [("nobody", {"certificate_required", "handshake_failure"}), ("stranger", {"unknown_ca"})],
)
def test_every_refused_client_sees_the_alert(pki: Pki, echo_server, version: str, who: str, alerts: set[str]):
    """Twenty in a row, each of which writes before it reads."""
    port, _ = echo_server(ServerContext(ServerSettings(pki.server)))
    credential = None if who == "nobody" else pki.stranger
    context = client_of(pki, version, credential=credential, trust=pki.trust)
    for _ in range(20):
        with (
            pytest.raises(AlertReceived) as caught,
            TlsSocket.connect("localhost", port, context) as connection,
        ):
            connection.sendall(b"x" * 10_000)
            connection.recv()
        assert caught.value.alert in alerts


def test_a_cut_connection_is_no_proper_end(pki: Pki, echo_server):
    port, seen = echo_server(ServerContext(ServerSettings(pki.server)))
    connection = TlsSocket.connect("localhost", port, client_of(pki))
    connection.sendall(b"x")
    assert connection.recv() == b"x"
    connection._socket.close()
    with socket.create_server(("127.0.0.1", 0)):
        pass
    for _ in range(200):
        if any(isinstance(entry, Truncated) for entry in seen):
            break
        with TlsSocket.connect("localhost", port, client_of(pki)) as other:
            other.sendall(b"y")
            other.recv()
    assert any(isinstance(entry, Truncated) for entry in seen)


def test_nobody_listening_is_told_with_the_address(pki: Pki):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed) as caught:
        TlsSocket.connect("127.0.0.1", port, client_of(pki))
    assert f"127.0.0.1:{port}" in str(caught.value)


def test_a_silent_server_costs_a_bounded_time(pki: Pki):
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TimedOut):
        TlsSocket.connect("127.0.0.1", listener.getsockname()[1], client_of(pki), timeout=0.2)


@pytest.mark.parametrize(
    ("answer", "fault"), [(b"", ConnectionCut), (b"HTTP/1.1 400 Bad Request\r\n\r\n", NotTls)]
)
def test_a_server_that_does_not_speak_tls_is_told_apart_from_one_that_hangs_up(
    pki: Pki, answer: bytes, fault
):
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            sock.recv(65536)
            sock.sendall(answer)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(fault):
            TlsSocket.connect("127.0.0.1", listener.getsockname()[1], client_of(pki), server_name="localhost")
        thread.join()
