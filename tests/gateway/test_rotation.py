"""Rotations under load: authorities and identities in both orders, with a rogue and with broken files in between."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.program import Load, Program
from tests.pki import Issuer
from twoway.credential import chain_pem
from twoway.tls import client_context
from twoway.trust import Trust


class Rogue:
    """A client of an authority that nobody believes, who tries all the time. `let_in` must stay 0."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.tried = self.let_in = 0
        self._port, self._context, self._stop = port, context, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            self.tried += 1
            try:
                with wrap(self._port, self._context) as sock:
                    sock.sendall(b"rogue")
                    self.let_in += sock.recv(1) != b""
            except (ssl.SSLError, ConnectionError):
                pass

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["trust first", "identity first"])
def test_an_authority_is_replaced_under_load(pki: Pki, backend: Backend, tmp_path: Path, order: str):
    """From the old authority to the new one, in two workers: no handshake of a proven client fails on the way.

    Broken files in between change nothing; a rogue is never let in; the old one's clients are refused once it is gone.
    """
    new = Issuer.root("New Root").below("New Issuing")
    roots = pki.root.certificate, new.anchor
    both = Trust(roots)
    server = new.leaf("api.acme.example", dns=("localhost",), purpose="server")
    program = Program(pki, backend, tmp_path, gateway="workers = 2")
    identity = tmp_path / "api"

    def trust(*anchors: Any) -> Callable[[], object]:
        return lambda: (identity / "ca.pem").write_bytes(chain_pem(anchors))

    def show(credential: Any) -> Callable[[], None]:
        """Key and certificate, one after the other, as an agent would; whom we believe stays as it was."""

        def work() -> None:
            credential.save(tmp_path / "renewed")
            for name in ("key.pem", "cert.pem"):
                (tmp_path / "renewed" / name).replace(identity / name)

        return work

    def break_it(name: str) -> Callable[[], object]:
        return lambda: (identity / name).write_text("-----BEGIN CERTIFICATE-----\nbroken\n")

    def reload(change: Callable[[], object], *, works: bool = True) -> None:
        change()
        done = program.ask("reload")
        assert done.returncode == (0 if works else 1), done.stderr
        load.more(6)

    class Belief:
        trust = both

    port = program.port
    load = Load(Belief(), port, credential=pki.client)  # type: ignore[arg-type]
    rogue = Rogue(port, client_context(pki.stranger, trust=both))
    try:
        load.more(6)
        steps = [trust(*roots), show(server)] if order == "trust first" else [show(server), trust(*roots)]
        reload(break_it("ca.pem"), works=False)
        reload(trust(pki.root.certificate))
        reload(steps[0])
        reload(break_it("cert.pem"), works=False)
        reload(show(server if order == "identity first" else pki.server))
        reload(steps[1])
        load.stop()
        assert load.failures == []
        load = Load(Belief(), port, credential=new.leaf("orders"))  # type: ignore[arg-type]
        load.more(6)
        reload(trust(new.anchor))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with wrap(port, client_context(pki.client, trust=both)) as sock:
                assert sock.recv(1)
    finally:
        load.stop()
        rogue.stop()
        program.close()
    assert load.failures == []
    assert rogue.tried > 3
    assert rogue.let_in == 0
    assert b"rogue" not in backend.everything


@pytest.mark.parametrize("tightened", ["crl", "trust", "deny"])
def test_a_ticket_is_worth_nothing_once_its_owner_is_not(
    pki: Pki, backend: Backend, tmp_path: Path, tightened: str
):
    """Resumption never gets around what has been tightened since: the refusal has today's reason."""
    identity, policy = tmp_path / "api", tmp_path / "policy.toml"
    pki.server.save(identity)
    (identity / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    policy.write_text('[[allow]]\ncn = "*"\n')
    ledger = Ledger()
    options = {"identity": identity, "trust": None, "policy": policy, "ledger": ledger}
    with running(gateway_of(pki, backend, **options)) as gateway:
        context = context_of(pki)
        with wrap(gateway.ports[0], context) as sock:
            assert ask(sock) == b"ping"
            session = sock.session
        if tightened == "crl":
            lists = pki.issuing.crl(pki.client.leaf), pki.root.crl()
            (identity / "crl.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in lists))
        elif tightened == "trust":
            other = Issuer.root("Another Root")
            (identity / "ca.pem").write_bytes(chain_pem((other.certificate,)))
        else:
            policy.write_text('[[allow]]\ncn = "*"\n[[deny]]\ncn = "orders"\n')
        gateway.request_reload()
        until(lambda: ledger.named("reloaded"))
        raw = socket.create_connection(("127.0.0.1", gateway.ports[0]), 10)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as sock:
                sock.sendall(b"secret")
                assert sock.recv(1)
        until(lambda: ledger.refusals)
    expected = {"crl": "certificate_revoked", "trust": "unknown_authority", "deny": "not_allowed"}
    assert ledger.refusals[0].code == expected[tightened]
    assert b"secret" not in backend.everything
