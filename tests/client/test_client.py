"""Calls by somebody who proves who they are, to servers that do the same, and every way that goes wrong."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.pki import Issuer
from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.client import (
    AsyncClient,
    Client,
    IdentitySource,
    PlainHttpRefused,
    RedirectElsewhere,
    peer,
    session,
)
from twoway.errors import PeerRefused, TwowayError, UsageError
from twoway.server import background
from twoway.tls import (
    AlertReceived,
    ConnectFailed,
    ConnectionCut,
    NotTls,
    TimedOut,
    Truncated,
    client_context,
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


@pytest.fixture
def server(pki: Pki) -> Iterator[str]:
    with background(tell, identity=pki.server, journal=Ledger()) as running:
        yield f"https://localhost:{running.port}"


@pytest.fixture
def foreign() -> Iterator[Callable[..., str]]:
    """A server of Python's own: each connection goes to `handle`; with a context it speaks TLS."""
    threads: list[threading.Thread] = []
    listeners: list[socket.socket] = []

    def start(handle: Callable[[Any], None], context: ssl.SSLContext | None = None, times: int = 1) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(10)
        listeners.append(listener)

        def run() -> None:
            for _ in range(times):
                try:
                    sock, _ = listener.accept()
                except (TimeoutError, OSError):
                    return
                with sock:
                    try:
                        with context.wrap_socket(sock, server_side=True) if context else sock as talking:
                            handle(talking)
                    except OSError:
                        continue

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return f"https://localhost:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(15)


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


# -- many at once, and over time ----------------------------------------------------------------------


def test_sessions_are_resumed_unless_that_is_off(pki: Pki, server: str):
    apart = {"connection": "close"}
    for resume in (True, False):
        with Client(identity=pki.client, resume=resume) as client:
            seen = [peer(client.get(server, headers=apart)) for _ in range(3)]
        assert [one.resumed for one in seen if one is not None] == [False, resume, resume]


def test_a_connection_is_kept_and_used_again(pki: Pki, server: str):
    with Client(identity=pki.client) as client:
        ports = {client.get(server).json()["client"][1] for _ in range(5)}
    assert len(ports) == 1


def test_threads_share_a_client(pki: Pki, server: str):
    results: list[int] = []
    with Client(identity=pki.client) as client:
        threads = [
            threading.Thread(target=lambda: results.append(client.get(server).status_code)) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [200] * 16


def test_two_identities_in_one_process_never_mix(pki: Pki, server: str):
    billing = pki.issuing.leaf("billing")
    with Client(identity=pki.client) as one, Client(identity=billing) as two:
        seen = [
            client.get(server, headers={"connection": "close"}).json()["peer"]["common_name"]
            for client in (one, two) * 5
        ]
    assert seen == ["orders", "billing"] * 5


def test_a_renewed_identity_is_shown_on_the_next_connection(pki: Pki, server: str, tmp_path: Path):
    pki.client.save(tmp_path)
    now = [0.0]
    source = IdentitySource(tmp_path, None, clock=lambda: now[0])
    before = source.context()
    renewed = pki.issuing.leaf("orders")
    (tmp_path / "key.pem").write_bytes(renewed.key_pem())
    now[0] += 2
    assert source.context() is before  # the pair does not match yet: the old one stays in use
    (tmp_path / "cert.pem").write_bytes(renewed.certificate_pem())
    assert source.context() is before  # asked again within the second
    now[0] += 2
    after = source.context()
    assert after is not before
    assert after.settings.credential is not None
    assert after.settings.credential.fingerprint == renewed.fingerprint


def test_the_asynchronous_client_does_the_same(pki: Pki, server: str):
    async def story() -> None:
        async with AsyncClient(identity=pki.client) as client:
            answers = await asyncio.gather(*(client.post(server, content=b"x" * 100_000) for _ in range(20)))
            assert {answer.json()["peer"]["common_name"] for answer in answers} == {"orders"}
        async with AsyncClient(trust=pki.trust) as client:
            with pytest.raises(AlertReceived) as caught:
                await client.post(server, content=b"x" * 300_000)
            assert caught.value.alert == "certificate_required"
        async with AsyncClient(identity=pki.client, timeout=0.2) as client:
            with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimedOut):
                await client.get(f"https://localhost:{silent.getsockname()[1]}")

    asyncio.run(story())


def test_through_a_proxy_the_tls_is_still_ours(pki: Pki, server: str, foreign: Callable[..., str]):
    """A tunnel (CONNECT): the proxy sees addresses, the server sees the identity."""
    asked: list[bytes] = []

    def relay(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            return

    def handle(sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        asked.append(head.split(b"\r\n")[0])
        with socket.create_connection(("localhost", int(server.rpartition(":")[2]))) as onward:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            thread = threading.Thread(target=relay, args=(onward, sock))
            thread.start()
            relay(sock, onward)
            onward.shutdown(socket.SHUT_RDWR)
            thread.join()

    proxy = foreign(handle).replace("https", "http")
    with Client(identity=pki.client, proxy=proxy) as client:
        assert client.get(server).json()["peer"]["common_name"] == "orders"
    assert asked[0].startswith(b"CONNECT localhost:")


def test_post_quantum_certificates_work_end_to_end():
    root = Issuer.root("PQ Root", "mldsa65").below("PQ Issuing", "mldsa65")
    identity = root.leaf("localhost", purpose="server", key_type="mldsa65")
    caller = root.leaf("orders", key_type="mldsa44")
    with background(tell, identity=identity, journal=Ledger()) as running, Client(identity=caller) as client:
        response = client.get(f"https://localhost:{running.port}")
    assert response.json()["peer"]["key_type"] == "mldsa44"


def test_a_context_of_ours_serves_httpx2_itself(pki: Pki, server: str):
    with httpx2.Client(verify=client_context(pki.client)) as client:
        assert client.get(server).json()["peer"]["common_name"] == "orders"
