"""Calls by somebody who proves who they are, to servers that do the same, and every way that goes wrong."""

from __future__ import annotations

import copy
import pickle
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.tls.conftest import Pki, pki
from twoway.client import (
    Client,
    PlainHttpRefused,
    RedirectElsewhere,
    peer,
    session,
)
from twoway.errors import PeerRefused, TwowayError, UsageError
from twoway.tls import (
    AlertReceived,
    ConnectFailed,
    ConnectionCut,
    NotTls,
    TimedOut,
    Truncated,
    server_context,
)
from twoway.trust import (
    CertificateExpired,
    CertificateRevoked,
    HostnameMismatch,
    Policy,
    Trust,
    UnknownAuthority,
)

__all__ = ["pki"]
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def failed(pki: Pki, url: str, method: str = "GET", **client: Any) -> Any:
    """The error that a call ends with: one of ours and one of httpx2's at once."""
    arguments: dict[str, Any] = {"identity": pki.client, "trust": pki.trust, **client}
    with Client(**arguments) as caller, pytest.raises(httpx2.TransportError) as caught:
        caller.request(method, url, content=b"x" * 300_000 if method == "POST" else None)
    error = caught.value
    assert isinstance(error, TwowayError)
    assert error.remedy
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, again.step) == (type(error), error.args, error.step)
    assert isinstance(copy.copy(error), httpx2.TransportError)
    return error


def test_a_call_knows_who_answered_and_the_server_who_called(pki: Pki, server: str):
    with Client(identity=pki.client) as client:
        response = client.post(
            f"{server}/order/update", json={"order_id": 1223}, headers={"xyz-Client-Id": "abc"}
        )
    assert response.json()["peer"]["common_name"] == "orders"
    assert ["xyz-client-id", "abc"] in response.json()["headers"]
    answered, connection = peer(response), session(response)
    assert answered is not None
    assert connection is not None
    assert "localhost" in answered.names.dns
    assert connection.group == "X25519MLKEM768"


def test_an_identity_directory_is_enough(pki: Pki, server: str, tmp_path: Path):
    pki.client.save(tmp_path)
    with Client(identity=tmp_path) as client:
        assert client.get(server).status_code == 200


def test_data_files_and_streams_arrive_whole(pki: Pki, server: str):
    with Client(identity=pki.client) as client:
        assert client.post(server, data={"a": "b"}).json()["length"] == 3
        assert client.post(server, content=b"x" * 10_000_000).json()["length"] == 10_000_000
        assert client.post(server, files={"f": ("a.txt", b"y" * 1000)}).json()["length"] > 1000
        assert client.post(server, content=iter([b"a" * 10, b"b" * 10])).json()["length"] == 20


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("who", "alert"),
    [(None, "certificate_required"), ("stranger", "unknown_ca"), ("server", "unsupported_certificate")],
)
def test_a_refusal_names_the_alert_the_step_and_the_remedy(
    pki: Pki, server: str, method: str, who: str | None, alert: str
):
    """In TLS 1.3 it arrives while the request is being sent; it is never a bare end of file."""
    error = failed(pki, server, method, identity=getattr(pki, who) if who else None)
    assert isinstance(error, AlertReceived)
    assert isinstance(error, PeerRefused)
    assert error.alert == alert
    assert error.step == 4
    assert f"alert {alert}" in str(error)
    assert error.request.url.host == "localhost"


def test_a_server_of_pythons_own_delivers_its_refusal_too(pki: Pki, foreign: Callable[..., str]):
    url = foreign(lambda sock: sock.recv(10), server_context(pki.server))
    error = failed(pki, url, identity=None)
    assert isinstance(error, AlertReceived | ConnectionCut)


def test_an_untrusted_server_is_refused_with_who_was_expected(pki: Pki, server: str):
    error = failed(pki, server, trust=Trust((pki.stranger.anchors[0],)))
    assert isinstance(error, UnknownAuthority)
    assert error.step == 3
    assert "verify" not in error.remedy


def test_the_wrong_name_is_refused_with_the_names_it_has(pki: Pki, server: str):
    error = failed(pki, server.replace("localhost", "127.0.0.1"))
    assert isinstance(error, HostnameMismatch)
    assert error.names == ("api.acme.example", "localhost")


def test_an_expired_or_revoked_server_is_refused(pki: Pki, foreign: Callable[..., str]):
    def serve(credential: Any) -> str:
        credential.save(Path(directory))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(directory) / "cert.pem", Path(directory) / "key.pem")
        return foreign(lambda sock: sock.recv(10), context)

    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        late = pki.issuing.leaf("late", dns=("localhost",), purpose="server", start=-20, days=-1)
        assert isinstance(failed(pki, serve(late)), CertificateExpired)
        gone = pki.issuing.leaf("gone", dns=("localhost",), purpose="server")
        trust = Trust((pki.root.certificate,), (pki.issuing.crl(gone.leaf), pki.root.crl()))
        assert isinstance(failed(pki, serve(gone), trust=trust), CertificateRevoked)


def test_a_policy_about_servers_narrows_who_is_talked_to(pki: Pki, server: str):
    error = failed(pki, server, servers=Policy.from_rules(allow=["dns=other.acme.example"]))
    assert error.code == "not_allowed"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [(b"", ConnectionCut), (b"HTTP/1.1 400 Bad Request\r\n\r\n", NotTls)],
)
def test_a_server_that_speaks_no_tls_is_told_apart(
    pki: Pki, foreign: Callable[..., str], answer: bytes, fault: type
):
    def handle(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(answer)

    assert isinstance(failed(pki, foreign(handle)), fault)


def test_nobody_listening_and_nobody_answering_are_told_apart(pki: Pki):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        error = failed(pki, f"https://localhost:{port}", timeout=0.3)
        assert isinstance(error, TimedOut)
        assert isinstance(error, httpx2.TimeoutException)
    error = failed(pki, f"https://localhost:{port}")
    assert isinstance(error, ConnectFailed)
    assert isinstance(error, httpx2.ConnectError)


def test_an_answer_that_is_cut_off_is_an_error(pki: Pki, foreign: Callable[..., str]):
    """Read until the end, a bare end of stream could be anybody's doing (RFC 8446 §6.1)."""

    def handle(sock: ssl.SSLSocket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of i")

    url = foreign(handle, server_context(pki.server))
    with Client(identity=pki.client) as client, pytest.raises(Truncated):
        client.get(url)


def test_a_server_that_hangs_up_without_a_word_is_no_bare_end_of_file(pki: Pki, foreign: Callable[..., str]):
    """Some refuse a certificate that way: the error says in which step it ended."""

    def handle(sock: ssl.SSLSocket) -> None:
        sock.recv(65536)
        sock.unwrap()

    error = failed(pki, foreign(handle, server_context(pki.server)))
    assert isinstance(error, ConnectionCut)
    assert error.step == 4


# -- redirects, plain http, arguments -----------------------------------------------------------------


def test_a_redirect_never_carries_the_identity_elsewhere_unasked(
    pki: Pki, server: str, foreign: Callable[..., str]
):
    def handle(sock: ssl.SSLSocket) -> None:
        sock.recv(65536)
        sock.sendall(f"HTTP/1.1 307 Over There\r\nLocation: {server}/x\r\nContent-Length: 0\r\n\r\n".encode())

    url = foreign(handle, server_context(pki.server), times=2)
    with (
        Client(identity=pki.client, follow_redirects=True) as client,
        pytest.raises(RedirectElsewhere) as caught,
    ):
        client.get(url)
    assert server in caught.value.to_url
    with Client(identity=pki.client, follow_redirects=True, redirect_identity_to=(server,)) as client:
        assert client.get(url).status_code == 200


def test_a_redirect_to_plain_http_is_never_followed(pki: Pki, foreign: Callable[..., str]):
    def handle(sock: ssl.SSLSocket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://localhost/x\r\nContent-Length: 0\r\n\r\n")

    url = foreign(handle, server_context(pki.server))
    with (
        Client(
            identity=pki.client, follow_redirects=True, redirect_identity_to=("http://localhost",)
        ) as client,
        pytest.raises(PlainHttpRefused),
    ):
        client.get(url)


def test_plain_http_is_refused_before_anything_is_sent(pki: Pki):
    assert isinstance(failed(pki, "http://localhost:1/secret"), PlainHttpRefused)


@pytest.mark.parametrize("arguments", [{"verify": False}, {"verify": True}, {"cert": "x"}, {"http2": True}])
def test_there_is_no_way_to_turn_verification_off(pki: Pki, arguments: dict[str, Any]):
    with pytest.raises(UsageError) as caught:
        Client(identity=pki.client, **arguments)
    assert caught.value.remedy


def test_a_client_that_trusts_nobody_cannot_be_made():
    with pytest.raises(UsageError, match="no authority"):
        Client()
