"""What third-party programs showed to be wrong, each as a rule that needs none of them."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from twoway.client import Client
from twoway.steps import Step
from twoway.tls import (
    AlertReceived,
    ClientContext,
    ClientSettings,
    ConnectionCut,
    ServerContext,
    ServerSettings,
    Session,
    TlsSocket,
)

from .conftest import BOTH, Pki


@pytest.mark.parametrize(
    "alert", ["certificate_required", "handshake_failure", "bad_certificate", "decode_error", "unknown_ca"]
)
def test_whoever_presented_nothing_is_told_that_something_was_wanted(alert: str):
    """Java answers nobody with bad_certificate and GnuTLS in TLS 1.2 with decode_error."""
    error = AlertReceived(alert, Step.SERVER_CHECKS, "client", None)
    assert error.meanings[0] == "it requires a client certificate and got none"
    assert str(error).endswith("it requires a client certificate and got none")
    assert not any("the certificate is" in meaning for meaning in error.meanings)
    assert "--identity" in error.remedy


@pytest.mark.parametrize("alert", ["unknown_ca", "bad_certificate", "certificate_unknown"])
def test_an_unknown_authority_is_among_what_an_alert_can_mean(alert: str):
    """OpenSSL says unknown_ca for it, GnuTLS bad_certificate, Java certificate_unknown."""
    error = AlertReceived(alert, Step.SERVER_CHECKS, "client", "orders")
    assert any("does not trust the authority" in meaning for meaning in error.meanings)


def test_nobody_in_step_one_is_no_missing_certificate():
    error = AlertReceived("handshake_failure", Step.HELLO, "client", None)
    assert error.meanings[0].startswith("no protocol version, cipher suite")


def test_a_failure_of_the_server_is_no_missing_certificate():
    error = AlertReceived("internal_error", Step.SERVER_CHECKS, "client", None)
    assert "--identity" not in error.remedy
    assert "certificate" not in error.meanings[0]


@pytest.fixture(params=["ends", "resets"])
def silent(request: pytest.FixtureRequest, pki: Pki) -> Iterator[int]:
    """A server that completes handshakes and then hangs up without a word, as uvicorn and Node refuse."""
    context, stop = ServerContext(ServerSettings(pki.server)), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    sock, _ = listener.accept()
                except TimeoutError:
                    continue
                sock.settimeout(10)
                session = Session(context)
                with sock:
                    while not session.advance():
                        sock.sendall(session.outgoing())
                        session.receive(sock.recv(65536))
                    sock.sendall(session.outgoing())
                    if request.param == "resets":
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        thread.join()


@pytest.mark.parametrize("version", BOTH)
def test_a_server_that_hangs_up_without_a_word_has_refused(pki: Pki, silent: int, version: str):
    """Neither a truncated answer nor a broken network: nothing was ever answered."""
    context = ClientContext(ClientSettings(pki.client, minimum_version=version, maximum_version=version))
    with TlsSocket.connect("localhost", silent, context) as connection:
        connection.session.write(b"order 1223")
        with pytest.raises(ConnectionCut) as caught:
            connection.recv()
    assert caught.value.step is Step.SERVER_CHECKS
    assert "instead of sending an alert" in caught.value.remedy


def test_so_says_the_client_for_requests(pki: Pki, silent: int):
    with Client(identity=pki.client) as client, pytest.raises(ConnectionCut) as caught:
        client.get(f"https://localhost:{silent}/")
    assert caught.value.step is Step.SERVER_CHECKS
