"""Reload by generation, limits, drain, and the eyes of an operator."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from twoway.credential import chain_pem
from twoway.gateway.addresses import Address
from twoway.gateway.admin import AdminUnreachable
from twoway.gateway.admin import ask as ask_admin
from twoway.gateway.bounds import Bounds


def save(pki: Pki, place: Path, credential: Any = None) -> Path:
    (credential or pki.server).save(place)
    (place / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    return place


def test_a_new_list_cuts_exactly_whom_it_names(pki: Pki, backend: Backend, tmp_path: Path):
    """Revoked while connected: that connection is cut, the other one lives on."""
    place = save(pki, tmp_path / "api")
    other = pki.issuing.leaf("billing")
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, identity=place, trust=None)) as gateway:
        with (
            wrap(gateway.ports[0], context_of(pki)) as first,
            wrap(gateway.ports[0], context_of(pki, other)) as second,
        ):
            assert ask(first) == ask(second) == b"ping"
            lists = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
            (place / "crl.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in lists))
            gateway.request_reload()
            until(lambda: ledger.named("reloaded"))
            assert ask(second) == b"ping"
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                while first.recv(1):
                    pass
    assert ledger.named("reloaded")[0]["cut"] == 1
    assert ledger.refusals[0].code == "certificate_revoked"


def test_a_broken_file_leaves_the_old_generation_in_force(pki: Pki, backend: Backend, tmp_path: Path):
    """A reload that fails is told in the log and in the status, and cuts nobody."""
    place = save(pki, tmp_path / "api")
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, identity=place, trust=None)) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            (place / "cert.pem").write_text("no certificate\n")
            gateway.request_reload()
            until(lambda: ledger.named("reload-failed"))
            assert ask(sock) == b"ping"
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
        tally = gateway.frontends[0].tally
        assert tally.reloads_failed == 1
        assert "cert.pem" in tally.last_reload_error


def test_identities_and_authorities_change_under_load_without_one_failure(
    pki: Pki, backend: Backend, tmp_path: Path
):
    """Both orders of rotation, while clients connect all the time: every handshake succeeds."""
    place = save(pki, tmp_path / "api")
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, identity=place, trust=None)) as gateway:
        stop, failures, done = threading.Event(), [], []

        def load() -> None:
            context = context_of(pki)
            while not stop.is_set():
                try:
                    with wrap(gateway.ports[0], context) as sock:
                        assert ask(sock) == b"ping"
                        done.append(1)
                except Exception as error:
                    failures.append(error)

        clients = [threading.Thread(target=load) for _ in range(3)]
        for client in clients:
            client.start()
        for count in range(1, 5):
            renewed = pki.issuing.leaf("api.acme.example", dns=("localhost",), purpose="server")
            if count % 2:
                renewed.save(place)
                (place / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
            anchors = (pki.root.certificate, *((pki.stranger.anchors[0],) if count % 2 else ()))
            (place / "ca.pem").write_bytes(chain_pem(anchors))
            gateway.request_reload()
            until(lambda n=count: len(ledger.named("reloaded")) >= n and len(done) >= 5 * n)
        stop.set()
        for client in clients:
            client.join(20)
    assert failures == []
    assert len(done) > 10


def test_a_policy_that_tightens_makes_old_tickets_worthless(pki: Pki, backend: Backend, tmp_path: Path):
    """A ticket of the old generation is not resumed; the full handshake is refused by the new policy."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[allow]]\ncn = "orders"\n')
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, policy=policy)) as gateway:
        context = context_of(pki)
        with wrap(gateway.ports[0], context) as sock:
            assert ask(sock) == b"ping"
            session = sock.session
        policy.write_text('[[allow]]\ncn = "billing"\n')
        gateway.request_reload()
        until(lambda: ledger.named("reloaded"))
        raw = socket.create_connection(("127.0.0.1", gateway.ports[0]), 10)
        with (
            pytest.raises(ssl.SSLError),
            context.wrap_socket(raw, server_hostname="localhost", session=session) as sock,
        ):
            sock.sendall(b"secret")
            assert sock.recv(1)
    assert ledger.refusals[0].code == "not_allowed"
    assert b"secret" not in backend.everything


def test_silent_and_slow_clients_cost_a_bounded_time(pki: Pki, backend: Backend):
    """Half a hello and then nothing: the slot is free again after the limit, and others pass meanwhile."""
    bounds = Bounds(handshake_seconds=1.0)
    with running(gateway_of(pki, backend, bounds=bounds)) as gateway:
        slow = [socket.create_connection(("127.0.0.1", gateway.ports[0]), 10) for _ in range(20)]
        for sock in slow:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
        until(lambda: not gateway.frontends[0].connections)
        for sock in slow:
            sock.close()
        assert not backend.accepted or len(backend.accepted) == 1


def test_more_connections_than_allowed_are_turned_away(pki: Pki, backend: Backend):
    """The limit counts what is open; a place that becomes free is given again."""
    with running(gateway_of(pki, backend, bounds=Bounds(connections=2))) as gateway:
        tally = gateway.frontends[0].tally
        with wrap(gateway.ports[0], context_of(pki)) as one, wrap(gateway.ports[0], context_of(pki)) as two:
            assert ask(one) == ask(two) == b"ping"
            with pytest.raises((ConnectionResetError, ssl.SSLError, OSError)):
                wrap(gateway.ports[0], context_of(pki))
            assert tally.turned_away["too_many_connections"] == 1
        until(lambda: not gateway.frontends[0].connections)
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"


def test_one_peer_cannot_take_all_places(pki: Pki, backend: Backend):
    """connections_per_peer counts by certificate; another peer still passes."""
    ledger, other = Ledger(), pki.issuing.leaf("billing")
    with running(gateway_of(pki, backend, ledger=ledger, bounds=Bounds(connections_per_peer=1))) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as one:
            assert ask(one) == b"ping"
            with (
                pytest.raises((ssl.SSLError, ConnectionResetError)),
                wrap(gateway.ports[0], context_of(pki)) as two,
            ):
                two.sendall(b"x")
                if not two.recv(1):
                    raise ConnectionResetError
            assert ledger.refusals[0].code == "too_many_connections_of_peer"
            with wrap(gateway.ports[0], context_of(pki, other)) as three:
                assert ask(three) == b"ping"
        until(lambda: not gateway.frontends[0].connections)
        with wrap(gateway.ports[0], context_of(pki)) as again:
            assert ask(again) == b"ping"


def test_handshakes_of_one_address_are_bounded(pki: Pki, backend: Backend):
    """A bucket of two seconds' worth: beyond it connections are closed before any work is done."""
    with running(gateway_of(pki, backend, bounds=Bounds(handshakes_per_second=1.0))) as gateway:
        for _ in range(6):
            try:
                with wrap(gateway.ports[0], context_of(pki)) as sock:
                    ask(sock)
            except OSError:
                pass
        assert gateway.frontends[0].tally.turned_away["too_many_handshakes"] >= 2


def test_an_idle_connection_ends(pki: Pki, backend: Backend):
    """Nothing carried for idle_seconds: both sides are closed, and the log says why."""
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, bounds=Bounds(idle_seconds=0.3))) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                while sock.recv(1):
                    pass
    assert ledger.named("connection")[0]["ended"] == "outlived_limit"


def test_a_drain_lets_running_connections_finish(pki: Pki, backend: Backend):
    """After `stop` nobody new is taken, and what runs goes on until it ends by itself."""
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, drain=30)) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
            gateway.stop()
            until(lambda: ledger.named("draining"))
            assert ask(sock, b"still here") == b"still here"
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", gateway.ports[0]), 1).recv(1)
        until(lambda: ledger.named("stopped"))
    assert ledger.named("stopped")[0]["sentence"] == "all connections have ended"


def test_the_admin_socket_is_the_owners_and_cuts(pki: Pki, backend: Backend, tmp_path: Path):
    """Mode 0600; lists who is connected and cuts by number."""
    path = tmp_path / "admin.sock"
    with running(gateway_of(pki, backend, admin=path)) as gateway:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
            (row,) = ask_admin(path, {"do": "connections"})["connections"]
            assert (row["peer"], row["up"], row["down"]) == ("orders", 4, 4)
            assert ask_admin(path, {"do": "cut", "number": row["number"]}) == {"cut": 1}
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                while sock.recv(1):
                    pass
        status = ask_admin(path, {"do": "status"})
        assert status["listeners"][0]["admitted"] == 1
        assert "error" in ask_admin(path, {"do": "dance"})
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            raw.sendall(b"not json\n")
            assert b"expected one JSON object" in raw.recv(4096)
    assert not path.exists()
    with pytest.raises(AdminUnreachable):
        ask_admin(path, {"do": "status"})


def test_metrics_health_and_readiness(pki: Pki, backend: Backend):
    """A counter per refusal reason, an expiry gauge, and 503 once no target is up."""
    dead = Address(host="127.0.0.1", port=1)
    with running(gateway_of(pki, backend, metrics=Address(host="127.0.0.1"))) as gateway:
        assert gateway.metrics is not None
        base = f"http://127.0.0.1:{gateway.metrics.port}"
        with (
            pytest.raises((ssl.SSLError, ConnectionResetError)),
            wrap(gateway.ports[0], context_of(pki, "stranger")) as s,
        ):
            assert s.recv(1)
        until(lambda: gateway.frontends[0].tally.refused)
        text = urllib.request.urlopen(f"{base}/metrics", timeout=10).read().decode()
        assert 'code="unknown_authority"} 1' in text
        assert "twoway_gateway_certificate_expiry_seconds{" in text
        assert urllib.request.urlopen(f"{base}/ready", timeout=10).status == 200
        assert json.loads(urllib.request.urlopen(f"{base}/health", timeout=10).read()) == {"status": "alive"}
    with running(gateway_of(pki, dead, metrics=Address(host="127.0.0.1"))) as gateway:
        assert gateway.metrics is not None
        with (
            pytest.raises((ssl.SSLError, ConnectionResetError)),
            wrap(gateway.ports[0], context_of(pki)) as sock,
        ):
            sock.sendall(b"x")
            assert sock.recv(1)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{gateway.metrics.port}/ready", timeout=10)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_real_program_serves_reloads_and_drains(pki: Pki, backend: Backend, tmp_path: Path, workers: int):
    """`twoway gateway server` as a process, with one worker and with two: serve, SIGHUP, SIGTERM, exit 0."""
    place = save(pki, tmp_path / "api")
    command = [
        str(Path(sys.executable).with_name("twoway")), "gateway", "server", "--listen", "127.0.0.1:0", "--target", str(backend.address), "--identity",
        str(place), "--allow", "cn=orders", "--log-format", "json", "--workers", str(workers),
    ]  # fmt: skip
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})

    def events(name: str) -> list[dict[str, Any]]:
        lines = (tmp_path / "log").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["event"] == name]

    try:
        until(lambda: events("listening"))
        port = events("listening")[0]["port"]
        for _ in range(6):
            with wrap(port, context_of(pki)) as sock:
                assert ask(sock) == b"ping"
        process.send_signal(signal.SIGHUP)
        until(lambda: len(events("reloaded")) == workers)
        with wrap(port, context_of(pki)) as sock:
            assert ask(sock) == b"ping"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert len(events("listening")) == 1
        assert len(events("stopped")) == workers
    finally:
        process.kill()
        process.wait()
        log.close()
