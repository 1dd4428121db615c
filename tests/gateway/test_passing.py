"""Who may pass, black-box: "refused" always means that not one byte reached the backend."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.pki import NOW
from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.tls import client_context
from twoway.trust import Trust


def refused(port: int, context: ssl.SSLContext) -> str:
    """Try to send something; the alert's name, or what happened instead."""
    try:
        with wrap(port, context) as sock:
            sock.sendall(b"secret")
            return "passed" if sock.recv(1) else "closed"
    except ssl.SSLError as error:
        return str(error.reason)
    except ConnectionResetError:
        return "reset"


def test_a_proven_client_passes_both_ways(pki: Pki, backend: Backend):
    """What it sends reaches the backend, and the answer comes back."""
    with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
        assert ask(sock, b"order 1223") == b"order 1223"
    assert backend.everything == b"order 1223"


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({"allow": ["cn=orders"]}, True),
        ({"allow": ["dns=orders"]}, True),
        ({"allow": ["cn=billing"]}, False),
        ({"allow": ["cn=billing", "cn=orders"]}, True),
        ({"allow": ["cn=orders,dns=billing"]}, False),
        ({"allow": ["cn=*"], "deny": ["cn=orders"]}, False),
        ({"allow_anyone_proven": True, "deny": ["cn=orders"]}, False),
        ({"allow_anyone_proven": True, "deny": ["cn=billing"]}, True),
    ],
)
def test_the_policy_decides_with_its_reason(pki: Pki, backend: Backend, rule: dict[str, Any], passes: bool):
    """A rule that does not match keeps a proven client out, and the log names the reason."""
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, **rule)) as gateway:
        result = refused(gateway.ports[0], context_of(pki))
        if passes:
            assert result == "passed"
            return
        until(lambda: ledger.refusals)
    assert result != "passed"
    assert ledger.refusals[0].code == "not_allowed"
    assert backend.everything == b""
    assert not backend.accepted


def _bad(pki: Pki) -> dict[str, tuple[Any, str]]:
    now = NOW
    return {
        "unknown_authority": (pki.stranger, "unknown_authority"),
        "expired": (pki.issuing.leaf("old", start=-30, days=-1), "certificate_expired"),
        "not yet valid": (pki.issuing.leaf("young", start=2), "certificate_not_yet_valid"),
        "server's purpose": (pki.issuing.leaf("web", purpose="server"), "wrong_purpose"),
        "now": (now, ""),
    }


@pytest.mark.parametrize("kind", ["unknown_authority", "expired", "not yet valid", "server's purpose"])
def test_every_kind_of_bad_certificate_has_its_own_reason(pki: Pki, backend: Backend, kind: str):
    """The refusal's code says which check failed; nothing reaches the backend."""
    credential, code = _bad(pki)[kind]
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger)) as gateway:
        context = client_context(credential, trust=pki.trust)
        assert refused(gateway.ports[0], context) != "passed"
        until(lambda: ledger.refusals)
    assert ledger.refusals[0].code == code
    assert backend.everything == b""


def test_no_certificate_is_refused_by_name(pki: Pki, backend: Backend):
    """A client that shows none is told that one is required."""
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger)) as gateway:
        assert (
            "CERTIFICATE_REQUIRED" in refused(gateway.ports[0], client_context(None, trust=pki.trust)).upper()
        )
        until(lambda: ledger.refusals)
    assert ledger.refusals[0].code == "no_certificate"
    assert backend.everything == b""


def test_a_revoked_client_is_refused(pki: Pki, backend: Backend):
    """A serial on the issuer's list ends the handshake with certificate_revoked."""
    trust = Trust((pki.root.certificate,), (pki.issuing.crl(pki.client.leaf), pki.root.crl()))
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, trust=trust)) as gateway:
        assert "REVOKED" in refused(gateway.ports[0], context_of(pki)).upper()
    assert ledger.refusals[0].code == "certificate_revoked"
    assert backend.everything == b""


def test_optional_lets_nobody_proven_pass(pki: Pki, backend: Backend):
    """Where certificates are optional, one that is shown is still checked."""
    with running(gateway_of(pki, backend, clients="optional")) as gateway:
        assert refused(gateway.ports[0], client_context(None, trust=pki.trust)) == "passed"
        assert refused(gateway.ports[0], client_context(pki.stranger, trust=pki.trust)) != "passed"


def test_plain_http_is_told_what_this_port_speaks(pki: Pki, backend: Backend):
    """An HTTP request to the TLS port gets an answer in HTTP, and the backend nothing."""
    with running(gateway_of(pki, backend)) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.ports[0]), 10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"speaks TLS" in answer
    assert not backend.accepted


def test_a_resumed_session_is_judged_again(pki: Pki, backend: Backend):
    """A ticket resumes, and the peer is the same; the count of resumed handshakes shows it."""
    with running(gateway_of(pki, backend)) as gateway:
        context = context_of(pki)
        with wrap(gateway.ports[0], context) as first:
            assert ask(first) == b"ping"
            session = first.session
        sock = socket.create_connection(("127.0.0.1", gateway.ports[0]), 10)
        with context.wrap_socket(sock, server_hostname="localhost", session=session) as second:
            assert second.session_reused
            assert ask(second) == b"ping"
        until(lambda: gateway.frontends[0].tally.resumed == 1)


def test_a_shadow_policy_tells_and_decides_nothing(pki: Pki, backend: Backend, tmp_path: Path):
    """What a new policy would refuse passes, and the log says so."""
    shadow = tmp_path / "new.toml"
    shadow.write_text('[[allow]]\ncn = "billing"\n')
    ledger = Ledger()
    with running(gateway_of(pki, backend, ledger=ledger, shadow=shadow)) as gateway:
        assert refused(gateway.ports[0], context_of(pki)) == "passed"
        assert gateway.frontends[0].tally.shadow["denied"] == 1
    assert ledger.named("shadow-denied")[0]["peer"] == "orders"


def test_a_gateway_without_a_policy_does_not_start(pki: Pki):
    """Nobody passes by omission."""
    with pytest.raises(UsageError, match="no policy says who may pass"):
        gateway_of(pki, Address.parse("127.0.0.1:9"), allow=())


@pytest.mark.parametrize(
    "unsafe",
    [
        {"targets": (Address.parse("192.0.2.1:80"),)},
        {"kind": "client", "listen": Address.parse("0.0.0.0:80")},
    ],
)
def test_the_plain_side_stays_on_this_machine(pki: Pki, unsafe: dict[str, Any]):
    """A plain address that others could read is refused unless the option says unsafe."""
    with pytest.raises(UsageError, match="readable for others"):
        gateway_of(pki, Address.parse("127.0.0.1:9"), **unsafe)


def test_a_certificate_that_expires_ends_its_connection_by_choice(pki: Pki, backend: Backend):
    """With end_at_expiry the connection of an expired certificate is cut at the next look."""
    short = pki.issuing.leaf(
        "short", days=(dt.datetime.now(dt.UTC) - NOW).total_seconds() / 86400 + 3 / 86400
    )
    with running(gateway_of(pki, backend, end_at_expiry=True)) as gateway:
        gateway.frontends[0]._next_slow = 0.0
        with wrap(gateway.ports[0], client_context(short, trust=pki.trust)) as sock:
            assert ask(sock) == b"ping"
            sock.settimeout(20)
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                while sock.recv(1):
                    pass
        assert gateway.frontends[0].tally.ended["outlived_limit"] == 1
