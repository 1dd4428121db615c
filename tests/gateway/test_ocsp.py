"""Clients asked about at their authority's responder, black-box: each evil answer with its own reason.

"Refused" always means that not one byte reached the backend.
"""

from __future__ import annotations

import datetime as dt
import http.client
import http.server
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.test_passing import refused
from tests.pki import Issuer
from tests.revocation.answers import answer, responder_of, unsigned
from tests.revocation.responder import Request, Responder, responding
from twoway.gateway.addresses import Address
from twoway.gateway.bounds import Bounds

Reply = Callable[[bytes | None], bytes]


def nonce_of(request: Request) -> bytes | None:
    asked = ocsp.load_der_ocsp_request(request.body)
    try:
        return asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None


def saying(reply: Reply) -> Responder:
    return Responder(ocsp=lambda request: reply(nonce_of(request)))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def about(pki: Pki, status: str = "good", **more: Any) -> Reply:
    return lambda nonce: answer(pki.issuing, pki.client.leaf, status, now=now(), nonce=nonce, **more)


def options(responder: Responder, rule: str = "hard", **more: Any) -> dict[str, Any]:
    return {"ocsp": rule, "ocsp_url": f"{responder.url}/ocsp", "revocation_depth": "leaf", **more}


@pytest.mark.parametrize("rule", ["soft", "hard"])
@pytest.mark.parametrize("delegated", [False, True])
def test_whom_the_responder_calls_good_passes(pki: Pki, backend: Backend, rule: str, delegated: bool):
    """Asked once, with a nonce; the next connections are let in by what is remembered."""
    by = responder_of(pki.issuing) if delegated else None
    with responding(saying(about(pki, by=by))) as responder:
        with running(gateway_of(pki, backend, **options(responder, rule, ocsp_nonce="require"))) as gateway:
            for _ in range(3):
                with wrap(gateway.ports[0], context_of(pki)) as sock:
                    assert ask(sock) == b"ping"
                    (connection,) = gateway.frontends[0].connections
                    assert connection.peer is not None
                    assert connection.peer.revocation == "good"
                until(lambda: not gateway.frontends[0].connections)
            told = gateway.frontends[0].status()["ocsp"]
        assert told == [{"rule": rule, "answers": {"good": 1, "remembered": 2}}]
    assert [request.headers["Content-Type"] for request in responder.asked] == ["application/ocsp-request"]


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_whom_the_responder_calls_revoked_is_refused_within_the_handshake(
    pki: Pki, backend: Backend, rule: str
):
    """The alert is certificate_revoked, and no byte gets through, not even on a second try."""
    ledger = Ledger()
    with responding(saying(about(pki, "revoked"))) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder, rule))) as gateway:
            for _ in range(2):
                assert "REVOKED" in refused(gateway.ports[0], context_of(pki)).upper()
            until(lambda: len(ledger.refusals) == 2)
    assert [one.code for one in ledger.refusals] == ["certificate_revoked"] * 2
    assert ledger.refusals[0].alert == "certificate_revoked"
    assert ledger.refusals[0].evidence["reason"] == "keyCompromise"
    assert backend.everything == b""
    assert not backend.accepted


def _evil(pki: Pki) -> dict[str, tuple[Reply, str, str]]:
    issuing, leaf = pki.issuing, pki.client.leaf
    twin = pki.root.below("Acme Issuing")

    def by(**more: Any) -> Reply:
        return lambda nonce: answer(issuing, leaf, now=now(), nonce=nonce, **more)

    return {
        "wrong signer": (by(by=Issuer.root("Mallory")), "ocsp_unusable", "has not authorized CN=Mallory"),
        "same name, other key": (
            lambda nonce: answer(twin, leaf, now=now(), of=issuing.certificate),
            "ocsp_unusable",
            "its signature does not verify",
        ),
        "not authorized": (
            by(by=responder_of(issuing, signing=False)),
            "ocsp_unusable",
            "no id-kp-OCSPSigning",
        ),
        "of another authority": (by(by=responder_of(pki.root)), "ocsp_unusable", "has not authorized"),
        "responder expired": (
            by(by=responder_of(issuing, start=-9, days=-2)),
            "ocsp_unusable",
            "is valid from",
        ),
        "stale": (by(start=-9000, seconds=-3600), "ocsp_stale", "held until"),
        "of the future": (by(start=3600, seconds=7200), "ocsp_unusable", "it holds only from"),
        "other serial": (
            lambda nonce: answer(issuing, pki.server.leaf, now=now(), nonce=nonce),
            "ocsp_unusable",
            "expected it about the serial",
        ),
        "other nonce": (
            lambda nonce: answer(issuing, leaf, now=now(), nonce=b"replayed" * 4),
            "ocsp_unusable",
            "another nonce",
        ),
        "tryLater": (
            lambda nonce: unsigned(ocsp.OCSPResponseStatus.TRY_LATER),
            "ocsp_unavailable",
            "it is busy (tryLater)",
        ),
        "unauthorized": (
            lambda nonce: unsigned(ocsp.OCSPResponseStatus.UNAUTHORIZED),
            "ocsp_unavailable",
            "(unauthorized)",
        ),
        "huge": (lambda nonce: b"0" * 1_000_000, "ocsp_unavailable", "it has more than 65536 bytes"),
        "garbage": (lambda nonce: b"\x00\xff" * 99, "ocsp_unusable", "it does not decode"),
        "truncated": (
            lambda nonce: answer(issuing, leaf, now=now())[:-9],
            "ocsp_unusable",
            "it does not decode",
        ),
        "empty": (lambda nonce: b"", "ocsp_unusable", "it does not decode"),
    }


EVIL = ("wrong signer", "same name, other key", "not authorized", "of another authority", "responder expired", "stale",
        "of the future", "other serial", "other nonce", "tryLater", "unauthorized", "huge", "garbage", "truncated", "empty")  # fmt: skip


@pytest.mark.parametrize("kind", EVIL)
def test_an_answer_that_proves_nothing_refuses_under_hard(pki: Pki, backend: Backend, kind: str):
    """Each with its own reason in the log, and nothing at the backend."""
    reply, code, reason = _evil(pki)[kind]
    ledger = Ledger()
    with responding(saying(reply)) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder))) as gateway:
            assert refused(gateway.ports[0], context_of(pki)) != "passed"
            until(lambda: ledger.refusals)
    assert (ledger.refusals[0].code, reason in ledger.refusals[0].reason) == (code, True)
    assert backend.everything == b""
    assert not backend.accepted


@pytest.mark.parametrize("kind", EVIL)
def test_the_same_answer_lets_pass_under_soft_and_is_told_loudly(pki: Pki, backend: Backend, kind: str):
    """No proof is no refusal there; the log has the reason, and the peer is marked."""
    reply, _, reason = _evil(pki)[kind]
    ledger = Ledger()
    with responding(saying(reply)) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder, "soft"))) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
                (connection,) = gateway.frontends[0].connections
                assert connection.peer is not None
                assert connection.peer.revocation == "warned"
    assert reason in ledger.named("ocsp-failed")[0]["error"]


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_unknown_is_refused_under_both_rules(pki: Pki, backend: Backend, rule: str):
    """The authority does not know the certificate: that is an answer."""
    ledger = Ledger()
    with responding(saying(about(pki, "unknown"))) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder, rule))) as gateway:
            assert refused(gateway.ports[0], context_of(pki)) != "passed"
            until(lambda: ledger.refusals)
    assert ledger.refusals[0].code == "ocsp_unknown"
    assert backend.everything == b""


def test_a_slow_responder_holds_up_only_whom_it_is_about(pki: Pki, backend: Backend):
    """While one handshake waits, others are let in by what is remembered about them, and relays go on."""
    other = pki.issuing.leaf("billing")
    go = threading.Event()

    def reply(request: Request) -> bytes:
        asked = ocsp.load_der_ocsp_request(request.body)
        leaf = pki.client.leaf if asked.serial_number == pki.client.leaf.serial_number else other.leaf
        if leaf is other.leaf:
            assert go.wait(10)
        return answer(pki.issuing, leaf, now=now(), nonce=nonce_of(request))

    with responding(Responder(ocsp=reply)) as responder:
        more = options(responder, ocsp_seconds=10)
        with running(gateway_of(pki, backend, **more)) as gateway:
            (port,) = gateway.ports
            with wrap(port, context_of(pki)) as first:
                assert ask(first) == b"ping"
                done: list[bytes] = []

                def slow() -> None:
                    with wrap(port, context_of(pki, other)) as sock:
                        done.append(ask(sock, b"late"))

                thread = threading.Thread(target=slow)
                thread.start()
                until(lambda: len(responder.asked) == 2)
                for _ in range(5):
                    with wrap(port, context_of(pki)) as second:
                        assert ask(second) == ask(first) == b"ping"
                assert b"late" not in backend.everything
                go.set()
                thread.join(10)
                assert done == [b"late"]


def test_a_silent_responder_costs_its_limit_and_no_more(pki: Pki, backend: Backend):
    """After ocsp_seconds the rule decides: here it refuses, naming the limit."""
    ledger, leave = Ledger(), threading.Event()

    def silent(_: Request) -> None:
        leave.wait(10)

    with responding(Responder(ocsp=silent)) as responder:
        more = options(responder, ocsp_seconds=0.3)
        with running(gateway_of(pki, backend, ledger=ledger, **more)) as gateway:
            began = time.monotonic()
            assert refused(gateway.ports[0], context_of(pki)) != "passed"
            assert time.monotonic() - began < 5
            until(lambda: ledger.refusals)
        leave.set()
    assert "no whole answer within 0.3 s" in ledger.refusals[0].reason
    assert backend.everything == b""


def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(pki: Pki, backend: Backend):
    """The handshake's own limit holds too; afterwards no connection is left, and the gateway serves."""
    leave = threading.Event()

    def slow(request: Request) -> bytes:
        leave.wait(10)
        return answer(pki.issuing, pki.client.leaf, now=now(), nonce=nonce_of(request))

    with responding(Responder(ocsp=slow)) as responder:
        more = options(responder, ocsp_seconds=10, bounds=Bounds(handshake_seconds=0.2))
        with running(gateway_of(pki, backend, **more)) as gateway:
            sock = wrap(gateway.ports[0], context_of(pki))
            until(lambda: responder.asked)
            sock.close()
            time.sleep(0.3)
            leave.set()
            until(lambda: not gateway.frontends[0].connections)
            with wrap(gateway.ports[0], context_of(pki)) as again:
                assert ask(again) == b"ping"
    assert backend.everything == b"ping"


def test_strangers_lead_to_no_question(pki: Pki, backend: Backend):
    """A certificate of another authority is refused before anybody is asked about it."""
    with responding(saying(about(pki))) as responder:
        with running(gateway_of(pki, backend, **options(responder))) as gateway:
            assert refused(gateway.ports[0], context_of(pki, "stranger")) != "passed"
        assert responder.asked == []


def test_a_certificate_cannot_make_the_gateway_call_its_own_machine(pki: Pki, backend: Backend):
    """An address in a trusted client's certificate that leads to the loopback is not asked."""
    from tests.revocation.answers import asking_at

    ledger = Ledger()
    with responding(saying(about(pki))) as responder:
        inner = pki.issuing.leaf("inner", extensions=asking_at(f"{responder.url}/ocsp"))
        with running(
            gateway_of(pki, backend, ledger=ledger, ocsp="hard", revocation_depth="leaf")
        ) as gateway:
            assert refused(gateway.ports[0], context_of(pki, inner)) != "passed"
            until(lambda: ledger.refusals)
        assert responder.asked == []
    assert "this machine itself; configure it if it is right" in ledger.refusals[0].reason
    assert backend.everything == b""


def test_who_is_revoked_while_connected_is_cut(pki: Pki, backend: Backend):
    """Open connections are asked about again when what was said is no longer fresh."""
    ledger = Ledger()
    with responding(saying(about(pki))) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder))) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
                responder.answers["/ocsp"] = lambda request: about(pki, "revoked")(nonce_of(request))
                inquiry = gateway.frontends[0].material.checks[0].inquiry
                assert inquiry is not None
                inquiry.forget()
                gateway._upkeep.turn(time.time())
                with pytest.raises(OSError):
                    while sock.recv(1):
                        pass
            until(lambda: ledger.named("asked-again"))
    assert ledger.named("asked-again")[0]["cut"] == 1
    assert ledger.refusals[0].code == "certificate_revoked"


def test_a_resumed_client_is_asked_about_too(pki: Pki, backend: Backend):
    """A ticket of yesterday does not get around an answer of today."""
    ledger = Ledger()
    with responding(saying(about(pki))) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder))) as gateway:
            context = context_of(pki)
            with wrap(gateway.ports[0], context) as sock:
                assert ask(sock) == b"ping"
                session = sock.session
            responder.answers["/ocsp"] = lambda request: about(pki, "revoked")(nonce_of(request))
            inquiry = gateway.frontends[0].material.checks[0].inquiry
            assert inquiry is not None
            inquiry.forget()
            raw = socket.create_connection(("127.0.0.1", gateway.ports[0]), 10)
            with pytest.raises(OSError):
                with context.wrap_socket(raw, server_hostname="localhost", session=session) as sock:
                    sock.sendall(b"secret")
                    if not sock.recv(1):
                        raise ConnectionResetError
            until(lambda: ledger.refusals)
    assert ledger.refusals[0].code == "certificate_revoked"
    assert backend.everything == b"ping"


def test_a_client_gateway_asks_about_its_targets(pki: Pki, backend: Backend):
    """Without a staple the responder is asked: a revoked server gets no byte."""
    reply = lambda status: lambda nonce: answer(pki.issuing, pki.server.leaf, status, now=now(), nonce=nonce)  # noqa: E731
    with running(gateway_of(pki, backend)) as inner, responding(saying(reply("good"))) as responder:
        target = Address(host="127.0.0.1", port=inner.ports[0])
        more = {"kind": "client", "identity": pki.client, "server_name": "localhost", **options(responder)}
        with running(gateway_of(pki, target, **more)) as outer:
            with socket.create_connection(("127.0.0.1", outer.ports[0]), 10) as sock:
                sock.sendall(b"ping")
                assert sock.recv(10) == b"ping"
        responder.answers["/ocsp"] = lambda request: reply("revoked")(nonce_of(request))
        with running(gateway_of(pki, target, **more)) as outer:
            with socket.create_connection(("127.0.0.1", outer.ports[0]), 10) as sock:
                with pytest.raises(ConnectionResetError):
                    sock.sendall(b"secret")
                    if not sock.recv(10):
                        raise ConnectionResetError
            until(lambda: outer.frontends[0].tally.failed)
            assert dict(outer.frontends[0].tally.failed) == {"certificate_revoked": 1}
    assert backend.everything == b"ping"


def test_requests_of_http_mode_wait_for_the_answer_too(pki: Pki):
    """Kept alive, the second request of a connection asks nobody again."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        target = Address(host="127.0.0.1", port=server.server_address[1])
        with responding(saying(about(pki))) as responder:
            with running(gateway_of(pki, target, http=True, **options(responder))) as gateway:
                for _ in range(2):
                    client = http.client.HTTPSConnection(
                        "localhost", gateway.ports[0], context=context_of(pki), timeout=10
                    )
                    for _ in range(2):
                        client.request("GET", "/")
                        assert client.getresponse().read() == b"ok"
                    client.close()
            assert len(responder.asked) == 1
        server.shutdown()
        thread.join(10)
