"""Many calls at once and over time: resumption, threads, renewal, proxies, other libraries."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.pki import Issuer
from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.client import (
    AsyncClient,
    Client,
    IdentitySource,
    peer,
)
from twoway.server import background
from twoway.tls import (
    AlertReceived,
    TimedOut,
    client_context,
)

__all__ = ["pki"]
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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
