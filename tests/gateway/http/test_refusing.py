"""Who and what is not passed on: "refused" always means that not one byte reached the target."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.gateway.http.conftest import (
    GET,
    Caller,
    HttpBackend,
    Ledger,
    Pki,
    context_of,
    http_gateway,
    running,
    until,
)
from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.tls import client_context
from twoway.trust import BadRule


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: y\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
        (b"\r\n\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"a" * 40000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET http://other/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_what_is_no_single_request_reaches_nobody(
    pki: Pki, http_backend: HttpBackend, data: bytes, status: int
):
    """It is answered by the gateway, which then ends the connection: what follows could be anything."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            reply = caller.ask(data + GET)
            assert reply.status == status
            assert reply.value("connection") == "close"
            assert caller.ended()
    assert ledger.refusals[0].code == "bad_message"
    assert http_backend.received == b""
    assert not http_backend.accepted


def test_a_faulty_chunk_ends_the_request_and_nothing_behind_it_passes(pki: Pki, http_backend: HttpBackend):
    """The target sees a request that breaks off, never a second one."""
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        reply = caller.ask(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0x0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert reply.status == 400
        assert caller.ended()
    assert b"smuggled" not in http_backend.received
    assert http_backend.requests == []


def test_a_body_that_breaks_off_is_no_whole_request_for_the_target(pki: Pki, http_backend: HttpBackend):
    """A client that leaves in the middle: the target's connection is reset, not ended."""
    with running(http_gateway(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
            until(lambda: b"half" in http_backend.received)
        until(lambda: not gateway.frontends[0].connections)
    assert http_backend.requests == []


# -- policy -------------------------------------------------------------------------------------------

RULES: dict[str, Any] = {
    "allow": ["cn=orders,path=/orders/**", "cn=orders,method=GET,path=/status", "cn=billing"],
    "deny": ["path=/orders/admin/**"],
}


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("GET /orders/1", 200),
        ("DELETE /orders/1?x=/../y", 200),
        ("GET /status", 200),
        ("POST /status", 403),
        ("GET /", 403),
        ("GET /orders", 403),
        ("GET /orders/admin/x", 403),
        ("GET /orders/%61dmin/x", 403),
        ("GET /orders/../status", 400),
        ("GET /orders/%2e%2e/x", 400),
        ("GET /orders//admin/x", 400),
        ("GET /orders/x%2f..%2fadmin", 400),
        ("GET /orders/;/admin/x", 400),
        ("OPTIONS *", 403),
    ],
)
def test_the_policy_decides_about_each_request(pki: Pki, http_backend: HttpBackend, first: str, status: int):
    """By who asks, method and path; a path that servers read differently is refused; the connection goes on."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger, **RULES)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(f"{first} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).status == status
            if status != 200:
                assert http_backend.received == b""
            assert caller.ask(b"GET /orders/next HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
    if status == 403:
        assert ledger.refusals[0].code == "request_not_allowed"
        assert ledger.refusals[0].evidence["peer"] == "orders"
        told = str(ledger.refusals[0].reason)
        assert "--deny #1" in told or "no allow rule matches" in told
    if status == 400:
        assert ledger.refusals[0].code == "ambiguous_path"


def test_who_can_be_allowed_nothing_does_not_even_connect(pki: Pki, http_backend: HttpBackend):
    """A peer that no rule could ever let in is refused in the handshake."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger, allow=["cn=billing,path=/x"])) as gateway:
        with pytest.raises((ssl.SSLError, ConnectionError)), Caller(gateway, context_of(pki)) as caller:
            caller.ask()
        until(lambda: ledger.refusals)
    assert ledger.refusals[0].code == "not_allowed"
    assert not http_backend.accepted


def test_without_rules_about_paths_every_path_passes_as_it_is(pki: Pki, http_backend: HttpBackend):
    """What nobody decides by is the target's own affair."""
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.ask(b"GET /a//b/..%2fc;x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert http_backend.requests[0].lines[0] == "GET /a//b/..%2fc;x HTTP/1.1"


def test_who_shows_no_certificate_is_judged_too(pki: Pki, http_backend: HttpBackend):
    """With optional certificates, rules about requests say what everybody may do."""
    rules = {"allow": ["path=/public/**", "cn=orders"], "clients": "optional"}
    with running(http_gateway(pki, http_backend, **rules)) as gateway:
        with Caller(gateway, client_context(None, trust=pki.trust)) as caller:
            assert caller.ask(b"GET /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
            assert caller.ask(b"GET /private HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 403
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(b"GET /private HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


def test_a_shadow_policy_is_asked_about_each_request(pki: Pki, http_backend: HttpBackend, tmp_path: Path):
    shadow = tmp_path / "next.toml"
    shadow.write_text('[[allow]]\ncn = "orders"\npath = "/new/**"\n')
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger, shadow=shadow)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(b"GET /old HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
            assert caller.ask(b"GET /new/x HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
        tally = gateway.frontends[0].tally
        assert (tally.shadow["denied"], tally.shadow["allowed"]) == (1, 1)
    assert "/old" in ledger.named("shadow-denied")[0]["sentence"]


# -- host and server name -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost", 200),
        (b"LOCALHOST:8443", 200),
        (b"localhost.", 200),
        (b"other", 421),
        (b"localhost.evil", 421),
        (b"127.0.0.1", 421),
    ],
)
def test_a_host_other_than_the_server_name_is_misdirected(
    pki: Pki, http_backend: HttpBackend, host: bytes, status: int
):
    """RFC 9110 §15.5.20: the handshake was judged under one name, so nothing is asked under another."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert caller.ask(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").status == status
            if status == 421:
                assert http_backend.received == b""
            assert caller.ask().status == 200
    assert [one.code for one in ledger.refusals] == ([] if status == 200 else ["misdirected_request"])


def test_without_a_server_name_any_host_without_rules_of_its_own_passes(pki: Pki, http_backend: HttpBackend):
    with running(http_gateway(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki), name=None) as caller:
            assert caller.ask(b"GET / HTTP/1.1\r\nHost: whatever\r\n\r\n").status == 200


# -- how it is told -----------------------------------------------------------------------------------


def test_a_refusal_is_told_as_json_page_or_text(
    pki: Pki, http_backend: HttpBackend, tmp_path: Path, run_twoway: Command
):
    """By Accept; its id leads to the full record, and the rule that decided stays there."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger, **RULES)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:

            def refused(accept: str) -> Any:
                return caller.ask(f"GET /x HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())

            problem = refused("application/json")
            page = refused("text/html,*/*")
            text = refused("*/*")
            head = caller.ask(b"HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n", bodyless=True)
    assert problem.value("content-type") == "application/problem+json"
    told = json.loads(problem.body)
    assert told["status"] == 403
    assert told["code"] == "request_not_allowed"
    assert told["detail"] == "orders may not GET this"
    assert told["refusal"] == ledger.refusals[0].id
    assert page.value("content-type") == "text/html; charset=utf-8"
    assert b"orders may not GET this" in page.body
    assert ledger.refusals[1].id.encode() in page.body
    assert text.body.startswith(b"403 Forbidden: orders may not GET this\n")
    assert (head.status, head.body) == (403, b"")
    for reply in (problem, page, text):
        assert b"allow" not in reply.body.replace(b"request_not_allowed", b"")
        assert reply.value("cache-control") == "no-store"
    log = tmp_path / "log"
    log.write_text(ledger.text.getvalue())
    done = run_twoway("explain", "--refusal", told["refusal"], "--log", log)
    assert done.returncode == 0
    assert "orders may not GET /x" in done.stdout
    assert "no allow rule matches" in done.stdout


def test_a_target_that_is_gone_is_told_without_its_address(pki: Pki, http_backend: HttpBackend):
    """502 with an id; the connection goes on, and so does the target when it is back."""
    gone = HttpBackend()
    gone.close()
    ledger = Ledger()
    with (
        running(http_gateway(pki, gone, ledger=ledger)) as gateway,
        Caller(gateway, context_of(pki)) as caller,
    ):
        for _ in range(2):
            reply = caller.ask()
            assert reply.status == 502
            assert str(gone.address.port).encode() not in reply.body
    assert ledger.refusals[0].code == "no_target"
    assert str(gone.address.port) in ledger.refusals[0].reason


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40000 + b"\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,
    ],
)
def test_an_answer_with_two_readings_is_not_passed_on(pki: Pki, http_backend: HttpBackend, answer: bytes):
    """502, and the target's connection is not used again."""
    http_backend.answer = answer
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        reply = caller.ask()
        while reply.status == 103:
            reply = caller.reply()
        assert reply.status == 502
        caller.ask()
    assert len(http_backend.accepted) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_never_taken_for_whole(
    pki: Pki, http_backend: HttpBackend, answer: bytes
):
    """The client's connection is reset: neither the rest of its length nor a last chunk comes."""

    def break_off(_: Any, sock: socket.socket) -> None:
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_RDWR)

    http_backend.answer = break_off
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            caller.ask()


def test_what_a_target_sends_unasked_reaches_nobody(pki: Pki, http_backend: HttpBackend):
    """Bytes behind an answer are not the next client's answer: the link is not used again."""
    http_backend.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    )
    with running(http_gateway(pki, http_backend)) as gateway:
        for _ in range(3):
            with Caller(gateway, context_of(pki)) as caller:
                assert caller.ask().body == b"ok"
    assert len(http_backend.accepted) == 3


# -- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"proxy_protocol": True}, "serves several clients"),
        ({"kind": "client"}, "reads none of it"),
        ({"http": False, "headers": ["X-Client=cn"]}, "reads none"),
        ({"headers": ["X-Client"]}, "expected NAME=FACT"),
        ({"headers": ["X_Client=cn"]}, "expected NAME=FACT"),
        ({"headers": ["X-Client=colour"]}, "no fact 'colour'"),
        ({"headers": ["X-Client=cn", "x-client=uri"]}, "given twice"),
        ({"headers": ["Host=cn"]}, "means something else"),
        ({"headers": ["Client-Cert=pem"]}, "written already"),
        ({"client_cert_headers": "both"}, "no form 'both'"),
    ],
)
def test_options_that_cannot_work_are_told(pki: Pki, options: dict[str, Any], problem: str):
    with pytest.raises(UsageError, match=problem):
        gateway_without(pki, {"http": True, **options})


def gateway_without(pki: Pki, options: dict[str, Any]) -> None:
    from tests.gateway.conftest import gateway_of

    gateway_of(pki, Address.parse("127.0.0.1:9"), **options)


def test_rules_about_requests_are_refused_where_nobody_reads_them(pki: Pki, tmp_path: Path):
    """At start, with the place: a relay would never apply them. The same for a shadow policy."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[allow]]\ncn = "orders"\npath = "/orders/**"\n')
    for options in ({"policy": policy}, {"shadow": policy}):
        with pytest.raises(BadRule, match=r"policy\.toml:[13]: the rule asks for method or path") as caught:
            gateway_without(pki, options)
        assert "--http" in caught.value.remedy


@pytest.mark.parametrize("why", ["the policy", "the target is gone"])
def test_thousands_of_requests_sent_ahead_are_refused_one_by_one(
    pki: Pki, http_backend: HttpBackend, why: str
):
    """However many are refused in a row: each gets its answer, and the connection goes on."""
    ledger = Ledger()
    target, rules, path = http_backend, {"allow": ["cn=orders,path=/ok"]}, b"/no"
    if why == "the target is gone":
        target, rules, path = HttpBackend(), {}, b"/ok"
        target.close()
    with running(http_gateway(pki, target, ledger=ledger, **rules)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            for _ in range(4):
                caller.send(
                    b"".join(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for _ in range(1000))
                )
                statuses = [caller.reply().status for _ in range(1000)]
                assert set(statuses) == {403 if why == "the policy" else 502}
    assert not ledger.named("internal-error")


def test_a_client_that_breaks_off_in_the_middle_is_not_answered_but_ended(
    pki: Pki, http_backend: HttpBackend
):
    """A FIN without close_notify within a body is no request of ours to refuse: the target sees a reset."""
    ledger = Ledger()
    with running(http_gateway(pki, http_backend, ledger=ledger)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
            caller.sock.shutdown(socket.SHUT_WR)
            until(lambda: gateway.frontends[0].tally.ended["truncated"] == 1)
    assert ledger.refusals == []
    assert http_backend.requests == []
