"""Open connections are judged again by both of their ends, and by what was asked for over them."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.gateway.conftest import Backend, Ledger, Pki, gateway_of, running, until
from tests.gateway.http.conftest import (
    Asked,
    Caller,
    HttpBackend,
    context_of,
    http_backend,
    http_gateway,
)
from tests.gateway.test_ocsp import nonce_of, now, options, saying
from tests.revocation.answers import answer
from tests.revocation.responder import responding
from twoway.credential import chain_pem
from twoway.gateway.addresses import Address
from twoway.gateway.bounds import Bounds

__all__ = ["http_backend"]

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
def orders(pki: Pki, tmp_path: Path) -> Path:
    """The identity directory of a client listener."""
    place = tmp_path / "orders"
    pki.client.save(place)
    (place / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    return place


def _revoke(pki: Pki, place: Path, *leaves: Any) -> None:
    new = place / "crl.new"
    lists = (pki.issuing.crl(*leaves), pki.root.crl())
    new.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in lists))
    new.replace(place / "crl.pem")


def _outer(orders: Path, pki: Pki, *targets: Any, **more: Any) -> Any:
    return gateway_of(
        pki, *targets, kind="client", identity=orders, trust=None, server_name="localhost", **more
    )


def _echoes(sock: socket.socket) -> bool:
    sock.sendall(b"ping")
    return sock.recv(16) == b"ping"


def test_a_target_that_is_revoked_while_connected_is_cut_and_the_other_one_lives_on(
    pki: Pki, backend: Backend, orders: Path
):
    """On the way out the target is who was proven: what a new list says of it counts for open connections too."""
    other = pki.issuing.leaf("api-2", dns=("localhost",), purpose="server")
    ledger = Ledger()
    with running(gateway_of(pki, backend)) as one, running(gateway_of(pki, backend, identity=other)) as two:
        targets = [Address(host="127.0.0.1", port=inner.ports[0]) for inner in (one, two)]
        with running(_outer(orders, pki, *targets, ledger=ledger)) as outer:
            socks = [socket.create_connection(("127.0.0.1", outer.ports[0]), 10) for _ in targets]
            assert all(map(_echoes, socks))
            assert [len(inner.frontends[0].connections) for inner in (one, two)] == [1, 1]
            _revoke(pki, orders, pki.server.leaf)
            until(lambda: ledger.named("reloaded"))
            assert ledger.named("reloaded")[0]["cut"] == 1
            until(lambda: not one.frontends[0].connections)
            assert len(two.frontends[0].connections) == 1
            for sock in socks:
                sock.close()
            assert dict(outer.frontends[0].tally.failed) == {"certificate_revoked": 1}


def test_a_handshake_with_a_target_that_a_reload_overtakes_is_judged_by_the_new_list(
    pki: Pki, orders: Path, tmp_path: Path
):
    """What it was begun with is no longer in force when it ends: nothing is sent."""
    server = tmp_path / "server"
    pki.server.save(server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server / "cert.pem", server / "key.pem")
    ledger = Ledger()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Address(host="127.0.0.1", port=listener.getsockname()[1])
        bounds = Bounds(connect_seconds=20)
        with running(_outer(orders, pki, target, ledger=ledger, bounds=bounds)) as outer:
            client = socket.create_connection(("127.0.0.1", outer.ports[0]), 10)
            client.sendall(b"secret")
            slow, _ = listener.accept()
            _revoke(pki, orders, pki.server.leaf)
            until(lambda: ledger.named("reloaded"))
            with client, slow, context.wrap_socket(slow, server_side=True, suppress_ragged_eofs=False) as tls:
                tls.settimeout(10)
                with pytest.raises(OSError):
                    assert tls.recv(16) != b"secret"
                    raise ConnectionResetError
            until(lambda: outer.frontends[0].tally.failed)
    assert list(outer.frontends[0].tally.failed) == ["certificate_revoked"]


def test_a_target_is_asked_about_again_while_it_is_connected(pki: Pki, backend: Backend):
    """A responder's new word about a server ends what is open to it."""
    reply = lambda status: lambda nonce: answer(pki.issuing, pki.server.leaf, status, now=now(), nonce=nonce)  # noqa: E731
    ledger = Ledger()
    with running(gateway_of(pki, backend)) as inner, responding(saying(reply("good"))) as responder:
        target = Address(host="127.0.0.1", port=inner.ports[0])
        more = {"kind": "client", "identity": pki.client, "server_name": "localhost", **options(responder)}
        with running(gateway_of(pki, target, ledger=ledger, **more)) as outer:
            with socket.create_connection(("127.0.0.1", outer.ports[0]), 10) as sock:
                assert _echoes(sock)
                responder.answers["/ocsp"] = lambda request: reply("revoked")(nonce_of(request))
                inquiry = outer.frontends[0].material.checks[0].inquiry
                assert inquiry is not None
                inquiry.forget()
                outer._upkeep.turn(time.time())
                with pytest.raises(ConnectionResetError):
                    while sock.recv(1):
                        pass
            until(lambda: ledger.named("asked-again"))
    assert ledger.named("asked-again")[0]["cut"] == 1


def test_a_websocket_ends_when_its_path_is_no_longer_allowed(
    pki: Pki, http_backend: HttpBackend, tmp_path: Path
):
    """The connection may still ask for other things, but what goes on over it is what the new policy forbids."""

    def echo(asked: Asked, sock: socket.socket) -> None:
        sock.sendall(SWITCH)
        while data := sock.recv(1024):
            sock.sendall(data)

    http_backend.answer = echo
    policy, ledger = tmp_path / "policy.toml", Ledger()

    def allow(*paths: str) -> None:
        rules = "".join(f'[[allow]]\ncn = "orders"\npath = "{path}"\n' for path in paths)
        policy.with_suffix(".new").write_text(rules)
        policy.with_suffix(".new").replace(policy)

    def switched(gateway: Any, path: str) -> Caller:
        caller = Caller(gateway, context_of(pki))
        caller.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
        )
        assert caller.reply().status == 101
        return caller

    allow("/feed", "/chat")
    with running(http_gateway(pki, http_backend, policy=policy, ledger=ledger)) as gateway:
        with switched(gateway, "/feed") as feed, switched(gateway, "/chat") as chat:
            allow("/chat")
            until(lambda: ledger.named("reloaded"))
            assert _echoes(chat.sock)
            with pytest.raises(OSError):
                while feed.sock.recv(1):
                    pass
    assert ledger.named("reloaded")[0]["cut"] == 1
    assert [one.code for one in ledger.refusals] == ["request_not_allowed"]
