"""Reload while connections run, drain at the end, several processes, and starts that fail in words."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.server.conftest import Ledger, context_of, fetch, tell, until, wrap
from tests.server.programs import APP, program
from tests.tls.conftest import Pki
from twoway.credential import chain_pem
from twoway.server import Server, background
from twoway.tls import client_context
from twoway.tls.reload import FileWatch

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def asked(server: Server) -> None:
    assert server.listener is not None
    server.listener.loop.call_soon_threadsafe(server.request_reload)


def answer(sock: ssl.SSLSocket) -> bytes:
    sock.sendall(GET)
    got = b""
    while not got.endswith(b"}"):
        part = sock.recv(65536)
        if not part:
            return got
        got += part
    return got


def presented(port: int, context: ssl.SSLContext) -> bytes:
    with wrap(port, context) as sock:
        der = sock.getpeercert(True)
        assert der is not None
        return der


def test_a_renewed_certificate_is_shown_without_cutting_anybody(pki: Pki, ledger: Ledger, tmp_path: Path):
    pki.server.save(tmp_path)
    renewed = pki.issuing.leaf("api.acme.example", dns=("localhost",), purpose="server")
    with (
        background(tell, identity=tmp_path, journal=ledger) as server,
        wrap(server.port, context_of(pki)) as old,
    ):
        assert answer(old).startswith(b"HTTP/1.1 200")
        renewed.save(tmp_path)
        asked(server)
        until(lambda: server.live.current.number == 2)
        assert presented(server.port, context_of(pki)) == renewed.leaf.public_bytes(Encoding.DER)
        assert answer(old).startswith(b"HTTP/1.1 200")
    assert ledger.named("reloaded")[0]["cut"] == 0


def test_files_are_noticed_without_being_told(pki: Pki, ledger: Ledger, tmp_path: Path):
    """By rename, in place, and by a symlink that now points elsewhere."""
    for name, credential in (
        ("a", pki.server),
        ("b", pki.issuing.leaf("b", dns=("localhost",), purpose="server")),
    ):
        credential.save(tmp_path / name)
    (tmp_path / "now").symlink_to("a")
    with background(tell, identity=tmp_path / "now", journal=ledger) as server:
        (tmp_path / "next").symlink_to("b")
        os.replace(tmp_path / "next", tmp_path / "now")
        until(lambda: server.live.current.number == 2)
        (tmp_path / "b" / "ca.pem").write_bytes(chain_pem([pki.root.certificate, pki.issuing.certificate]))
        until(lambda: server.live.current.number == 3)


def test_a_watch_sees_contents_not_time_stamps(tmp_path: Path):
    file = tmp_path / "f"
    file.write_text("a")
    watch = FileWatch([file, tmp_path / "absent"])
    assert not watch.changed()
    os.utime(file, (1, 1))
    assert not watch.changed()
    file.write_text("b")
    assert watch.changed()
    assert not watch.changed()
    (tmp_path / "absent").write_text("now here")
    assert watch.changed()
    file.unlink()
    assert watch.changed()


def test_a_new_revocation_list_cuts_the_revoked_and_leaves_the_others(
    pki: Pki, ledger: Ledger, tmp_path: Path
):
    pki.server.save(tmp_path)
    crl = tmp_path / "crl.pem"
    crl.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (pki.issuing.crl(), pki.root.crl())))
    other = pki.issuing.leaf("billing")
    with (
        background(tell, identity=tmp_path, journal=ledger) as server,
        wrap(server.port, context_of(pki)) as revoked,
        wrap(server.port, context_of(pki, other)) as fine,
    ):
        assert answer(revoked).startswith(b"HTTP/1.1 200")
        assert answer(fine).startswith(b"HTTP/1.1 200")
        lists = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
        crl.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in lists))
        asked(server)
        until(lambda: ledger.named("reloaded"))
        assert ledger.named("reloaded")[0]["cut"] == 1
        assert revoked.recv(1) == b""
        assert answer(fine).startswith(b"HTTP/1.1 200")
        with pytest.raises(ssl.SSLError, match="REVOKED"):
            fetch(server.port, context_of(pki))
    assert {refusal.code for refusal in ledger.refusals} == {"certificate_revoked"}


def test_a_new_policy_holds_for_open_connections(pki: Pki, ledger: Ledger, tmp_path: Path):
    policy = tmp_path / "policy.toml"
    policy.write_text("[[allow]]\ncn = 'orders'\n")
    with (
        background(tell, identity=pki.server, policy=policy, journal=ledger) as server,
        wrap(server.port, context_of(pki)) as sock,
    ):
        assert answer(sock).startswith(b"HTTP/1.1 200")
        policy.write_text("[[allow]]\ncn = 'billing'\n")
        asked(server)
        until(lambda: ledger.named("reloaded"))
        assert sock.recv(1) == b""
        assert ledger.refusals[0].code == "not_allowed"


@pytest.mark.parametrize("name", ["cert.pem", "key.pem", "ca.pem"])
def test_a_broken_file_is_refused_and_the_old_state_keeps_serving(
    pki: Pki, ledger: Ledger, tmp_path: Path, name: str
):
    pki.server.save(tmp_path)
    with background(tell, identity=tmp_path, journal=ledger) as server:
        (tmp_path / name).write_text("broken\n")
        asked(server)
        until(lambda: ledger.named("reload-failed"))
        assert server.live.current.number == 1
        assert fetch(server.port, context_of(pki))[0] == 200
        entry = ledger.named("reload-failed")[0]
        assert name in entry["sentence"]
        assert entry["remedy"]


def test_a_pair_that_is_replaced_one_file_after_the_other_is_waited_for(
    pki: Pki, ledger: Ledger, tmp_path: Path
):
    pki.server.save(tmp_path)
    renewed = pki.issuing.leaf("new", dns=("localhost",), purpose="server")
    with background(tell, identity=tmp_path, journal=ledger) as server:
        (tmp_path / "key.pem").write_bytes(renewed.key_pem())
        asked(server)
        until(lambda: not server._upkeep.asked.is_set())
        assert fetch(server.port, context_of(pki))[0] == 200
        (tmp_path / "cert.pem").write_bytes(renewed.certificate_pem())
        until(lambda: server.live.current.number == 2)
        assert ledger.named("reload-failed") == []


def test_old_tickets_are_worth_nothing_after_a_reload(pki: Pki, ledger: Ledger):
    from twoway.client import Client, peer

    with (
        background(tell, identity=pki.server, journal=ledger) as server,
        Client(identity=pki.client) as client,
    ):
        url, apart = f"https://localhost:{server.port}/", {"connection": "close"}
        client.get(url, headers=apart)
        second = peer(client.get(url, headers=apart))
        assert second is not None
        assert second.resumed
        asked(server)
        until(lambda: ledger.named("reloaded"))
        third = peer(client.get(url, headers=apart))
        assert third is not None
        assert not third.resumed


# -- as a program -------------------------------------------------------------------------------------


def test_sigterm_lets_running_requests_end_and_exits_with_0(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path / "api")
    with (
        program(tmp_path) as running,
        wrap(running.port, context_of(pki)) as busy,
        wrap(running.port, context_of(pki)) as idle,
    ):
        idle.sendall(GET)
        idle.recv(4096)
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: len(running.events("request")) == 1)
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.events("draining"))
        assert idle.recv(1) == b""
        got = b""
        while part := busy.recv(4096):
            got += part
        assert got.startswith(b"HTTP/1.1 200")
        assert running.process.wait(15) == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", running.port), 1)


def test_a_file_of_revocation_lists_that_is_lost_does_not_end_the_checking(
    pki: Pki, ledger: Ledger, tmp_path: Path
):
    """`rm crl.pem` must not let revoked identities in; the old lists serve until they are stale."""
    lists = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
    dataclasses.replace(pki.server, crls=lists).save(tmp_path)
    with background(tell, identity=tmp_path, journal=ledger) as server:
        (tmp_path / "crl.pem").unlink()
        asked(server)
        failed = until(lambda: ledger.named("reload-failed"))[0]
        assert "expected revocation lists, of which there were 2, got none" in failed["error"]
        assert "bring crl.pem back" in failed["remedy"]
        with pytest.raises((ssl.SSLError, OSError)):
            fetch(server.port, context_of(pki))
    assert ledger.refusals[0].code == "certificate_revoked"


def test_sighup_reloads(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path / "api")
    with program(tmp_path) as running:
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.events("reloaded"))
        assert fetch(running.port, context_of(pki))[0] == 200


def test_several_workers_serve_are_replaced_when_they_die_and_end_together(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path / "api")
    with program(tmp_path, "--workers", "2") as running:
        until(lambda: len(running.events("worker")) >= 2)
        pids = {entry["pid"] for entry in running.events("worker")}
        context = context_of(pki)
        served = set()

        def both() -> bool:
            served.add(int(fetch(running.port, context)[1]))
            return served == pids

        until(both)
        victim = pids.pop()
        os.kill(victim, signal.SIGKILL)
        until(lambda: len([e for e in running.events("worker") if "started" in e["sentence"]]) == 3)
        running.process.send_signal(signal.SIGHUP)
        until(lambda: len(running.events("reloaded")) == 2)
        assert fetch(running.port, context)[0] == 200
        alive = {e["pid"] for e in running.events("worker")} - {victim}
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        for pid in alive:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shop"], ["expected module:name"]),
        (["shopp:app", "--identity", "api"], ["no module shopp"]),
        (["shop:ap", "--identity", "api"], ["has no ap", "did you mean app"]),
        (["shop:not_an_app", "--identity", "api"], ["not an application"]),
        (["broken:app", "--identity", "api"], ["raised ZeroDivisionError"]),
        (["shop:app"], ["no identity", "--identity DIR"]),
        (["shop:app", "--identity", "absent"], ["absent"]),
        (["shop:app", "--identity", "late"], ["expired", "renew"]),
        (["shop:app", "--identity", "alone"], ["ca.pem"]),
        (["shop:app", "--identity", "api", "--allow", "dnss=a"], ["dnss", "did you mean dns"]),
        (["shop:app", "--identity", "api", "--policy", "absent.toml"], ["absent.toml"]),
        (["shop:app", "--identity", "api", "--crl", "absent.pem"], ["absent.pem"]),
        (["shop:app", "--identity", "api", "--clients", "some"], ["some"]),
        (
            ["shop:app", "--identity", "api", "--port", "TAKEN"],
            ["Address already in use", "choose another port"],
        ),
    ],
)
def test_a_start_that_fails_says_why_and_what_to_do(
    pki: Pki, tmp_path: Path, arguments: list[str], words: list[str]
):
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    pki.server.save(tmp_path / "api")
    pki.issuing.leaf("late", start=-20, days=-1, purpose="server").save(tmp_path / "late")
    pki.server.save(tmp_path / "alone")
    (tmp_path / "alone" / "ca.pem").unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        filled = [str(taken.getsockname()[1]) if one == "TAKEN" else one for one in arguments]
        if "--port" not in filled:
            filled += ["--port", "0"]
        if "--identity" not in filled and arguments == ["shop"]:
            filled += ["--identity", "api"]
        done = subprocess.run(
            [Path(sys.executable).with_name("twoway"), "serve", *filled],
            cwd=tmp_path, capture_output=True, text=True, timeout=30, start_new_session=True,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "twoway: error: " in done.stderr
    for word in words:
        assert word in done.stderr


def test_optional_and_warn_are_spelled_out_at_each_start(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path / "api")
    (tmp_path / "crl.pem").write_bytes(pki.root.crl().public_bytes(Encoding.PEM))
    with program(tmp_path, "--clients", "optional", "--crl", "crl.pem", "--crl-rule", "warn") as running:
        assert until(lambda: running.events("revocation"))  # the last thing that is said at the start
        assert until(lambda: len(running.events("weakened")) == 2)
        assert fetch(running.port, client_context(trust=pki.trust))[0] == 200
