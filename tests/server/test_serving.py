"""Applications for proven callers: who is let in, what they learn, and what the log says."""

from __future__ import annotations

import json
import os
import ssl
import threading
from typing import Any

import pytest
from cryptography import x509

from tests.pki import Issuer
from tests.server.conftest import Ledger, context_of, fetch, tell, until, wrap
from tests.tls.conftest import Pki
from twoway.errors import ConfigError, UsageError
from twoway.server import Journal, background, peer
from twoway.tls import client_context
from twoway.trust import Policy


@pytest.mark.parametrize(("version", "number"), [("TLSv1_3", 0x0304), ("TLSv1_2", 0x0303)])
def test_the_application_learns_everything_about_the_connection(
    pki: Pki, ledger: Ledger, version: str, number: int
):
    """The ASGI TLS extension 0.2, complete, in TLS 1.3 and 1.2."""
    context = context_of(pki)
    context.maximum_version = context.minimum_version = getattr(ssl.TLSVersion, version)
    with background(tell, identity=pki.server, journal=ledger) as server:
        status, body = fetch(server.port, context)
    told = json.loads(body)
    tls = told["tls"]
    assert status == 200
    assert told["scheme"] == "https"
    assert told["client"][0] == "127.0.0.1"
    assert tls["tls_version"] == number
    assert isinstance(tls["cipher_suite"], int)
    assert tls["client_cert_name"] == "CN=orders"
    assert tls["client_cert_error"] is None
    chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in tls["client_cert_chain"]]
    assert chain == list(pki.client.chain)
    assert x509.load_pem_x509_certificate(tls["server_cert"].encode()) == pki.server.leaf
    assert told["peer"]["common_name"] == "orders"
    assert told["peer"]["tls_version"] == version.replace("v1_", "v1.")


def test_nobody_becomes_somebody_by_a_header(pki: Pki, ledger: Ledger):
    headers = {
        "X-Forwarded-For": "203.0.113.9",
        "Client-Cert": ":AAAA:",
        "SSL-Client-Verify": "SUCCESS",
        "X-Forwarded-Proto": "http",
    }
    with background(tell, identity=pki.server, clients="optional", journal=ledger) as server:
        _, body = fetch(server.port, client_context(trust=pki.trust), headers=headers)
    told = json.loads(body)
    assert told["peer"] is None
    assert told["tls"]["client_cert_chain"] == []
    assert told["tls"]["client_cert_name"] is None
    assert told["client"][0] == "127.0.0.1"
    assert told["scheme"] == "https"


def test_none_asks_nobody_and_says_so_at_the_start(pki: Pki):
    ledger = Ledger()
    with background(tell, identity=pki.server, clients="none", journal=ledger) as server:
        status, body = fetch(server.port, client_context(trust=pki.trust))
        assert status == 200
        assert json.loads(body)["peer"] is None


@pytest.mark.parametrize(
    ("who", "options", "code"),
    [
        ("nobody", {}, "no_certificate"),
        ("stranger", {}, "unknown_authority"),
        ("client", {"policy": Policy()}, "not_allowed"),
        ("client", {"deny": ["cn=orders"], "allow": ["anyone"]}, "not_allowed"),
    ],
)
def test_who_is_refused_never_reaches_the_application(
    pki: Pki, ledger: Ledger, who: str, options: dict[str, Any], code: str
):
    reached = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            reached.append(scope)

    context = client_context(trust=pki.trust) if who == "nobody" else context_of(pki, who)
    with background(app, identity=pki.server, journal=ledger, **options) as server:
        for _ in range(5):
            with pytest.raises(ssl.SSLError, match="ALERT"):
                fetch(server.port, context)
        until(lambda: len(ledger.refusals) == 5)
    assert reached == []
    lines = ledger.named("refused")
    assert len(lines) == 5
    assert {line["code"] for line in lines} == {code}
    assert all(line["remedy"] and line["step"] == 4 for line in lines)
    assert bool(lines[0]["presented"]) == (who != "nobody")


def test_wsgi_applications_find_the_peer_in_the_environ(pki: Pki, ledger: Ledger):
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        who = peer(environ)
        assert who is not None
        start_response("200 OK", [("content-type", "text/plain")])
        told = [
            who.describe(),
            environ["SSL_CLIENT_VERIFY"],
            environ["SSL_CLIENT_S_DN"],
            environ["wsgi.url_scheme"],
            environ["wsgi.input"].read().decode(),
        ]
        assert x509.load_pem_x509_certificate(environ["SSL_CLIENT_CERT"].encode()) == pki.client.leaf
        assert environ["HTTP_SSL_CLIENT_VERIFY"] == "FORGED"
        return [" ".join(told).encode()]

    with background(app, identity=pki.server, journal=ledger) as server:
        status, body = fetch(
            server.port,
            context_of(pki),
            method="POST",
            body=b"order",
            headers={"SSL-Client-Verify": "FORGED"},
        )
    assert (status, body) == (200, b"orders SUCCESS CN=orders https order")


def test_websockets_know_their_peer(pki: Pki, ledger: Ledger):
    import base64

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        message = await receive()
        who = peer(scope)
        assert who is not None
        assert scope["extensions"]["tls"]["client_cert_name"] == "CN=orders"
        await send({"type": "websocket.send", "text": f"{who.describe()}: {message['text']}"})

    with (
        background(app, identity=pki.server, journal=ledger) as server,
        wrap(server.port, context_of(pki)) as sock,
    ):
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        mask, text = b"\1\2\3\4", b"hello"
        sock.sendall(
            bytes([0x81, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text))
        )
        frame = answer.partition(b"\r\n\r\n")[2]
        while len(frame) < 2 or len(frame) < 2 + frame[1]:
            frame += sock.recv(4096)
        assert frame[2 : 2 + frame[1]] == b"orders: hello"
        (line,) = until(lambda: ledger.named("request"))
        told = {key: line[key] for key in ("peer", "method", "path", "status", "bytes")}
    assert told == {"peer": "orders", "method": "GET", "path": "/chat", "status": 101, "bytes": 13}


def test_peer_says_so_where_nobody_was_proven():
    with pytest.raises(UsageError, match="unknown"):
        peer({"type": "http", "headers": []})


def test_header_and_body_written_apart_leave_in_one_record(pki: Pki, ledger: Ledger):
    """Written apart they would be two packets, and Nagle's algorithm would hold the second for 40 ms."""
    with background(tell, identity=pki.server, journal=ledger) as server:
        context = context_of(pki)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        import socket

        with socket.create_connection(("127.0.0.1", server.port), 10) as raw:

            def pump() -> bytes:
                raw.sendall(outgoing.read())
                data = raw.recv(65536)
                incoming.write(data)
                return data

            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    pump()
            raw.sendall(outgoing.read())
            for _ in range(2):  # the first answer comes with the session tickets, the second alone
                client.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                data = pump()
                plain = b""
                while not plain.endswith(b"}"):
                    try:
                        plain += client.read(65536)
                    except ssl.SSLWantReadError:
                        data += pump()
            records, position = 0, 0
            while position < len(data):
                records += 1
                position += 5 + int.from_bytes(data[position + 3 : position + 5], "big")
            assert records == 1


def test_a_client_that_ends_its_side_still_gets_its_answer(pki: Pki, ledger: Ledger):
    from twoway.tls import ClientContext, ClientSettings, TlsSocket

    with background(tell, identity=pki.server, journal=ledger) as server:
        context = ClientContext(ClientSettings(pki.client))
        connection = TlsSocket.connect("127.0.0.1", server.port, context, server_name="localhost")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.session.close_notify()
        connection._flush(None)
        connection._socket.shutdown(1)
        got = b""
        while part := connection.recv():
            got += part
        assert got.startswith(b"HTTP/1.1 200 ")
        assert got.endswith(b"}")
        connection.close()


def test_large_bodies_go_both_ways(pki: Pki, ledger: Ledger):
    async def mirror(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = [], True
        while more:
            message = await receive()
            body.append(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    payload = os.urandom(1 << 20) * 8
    with background(mirror, identity=pki.server, journal=ledger) as server:
        status, body = fetch(server.port, context_of(pki), method="POST", body=payload)
    assert status == 200
    assert body == payload


def test_a_slow_reader_holds_the_application_back(pki: Pki, ledger: Ledger):
    """Back-pressure: what nobody reads is not made; the application waits in send."""
    sent = []

    async def endless(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            sent.append(65536)
        await send({"type": "http.response.body", "body": b""})

    with (
        background(endless, identity=pki.server, journal=ledger) as server,
        wrap(server.port, context_of(pki)) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(100)
        before = -1
        while len(sent) != before:
            before = len(sent)
            threading.Event().wait(0.2)  # long enough for a server that is not held back to go on
        assert sum(sent) < 32 * 1024 * 1024


def test_the_access_log_names_the_caller_in_one_line(pki: Pki):
    for form in ("json", "text"):
        ledger = Ledger(form)
        with background(tell, identity=pki.server, journal=ledger) as server:
            fetch(server.port, context_of(pki), "/a%0ab%1b[31m")
        lines = [line for line in ledger.text.getvalue().splitlines() if "/a" in line]
        assert len(lines) == 1
        assert "\x1b" not in lines[0]
        if form == "json":
            entry = json.loads(lines[0])
            assert (entry["event"], entry["peer"], entry["status"]) == ("request", "orders", 200)
        else:
            assert " orders 127.0.0.1:" in lines[0]
            assert " GET /a\\nb" in lines[0]
            assert " 200 " in lines[0]


def test_a_name_in_a_certificate_cannot_break_the_log(pki: Pki):
    ledger = Ledger("text")
    evil = Issuer.root("Evil\nCA").leaf("x\n2026 orders 200\x1b[2J", dns=("x",))
    with background(tell, identity=pki.server, journal=ledger) as server:
        with pytest.raises(ssl.SSLError):
            fetch(server.port, context_of(pki, evil))
        until(lambda: ledger.refusals)
    lines = ledger.text.getvalue().splitlines()
    assert len([line for line in lines if "code=unknown_authority" in line]) == 1
    assert all("\x1b" not in line and not line.startswith("2026 orders") for line in lines)


def test_an_application_that_raises_answers_500_and_the_server_lives(
    pki: Pki, ledger: Ledger, caplog: pytest.LogCaptureFixture
):
    async def broken(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            raise RuntimeError("no")

    with background(broken, identity=pki.server, journal=ledger) as server:
        for _ in range(2):
            assert fetch(server.port, context_of(pki))[0] == 500
    assert [entry["status"] for entry in ledger.named("request")] == [500, 500]


def test_descriptors_return_to_where_they_were(pki: Pki, ledger: Ledger):
    with background(tell, identity=pki.server, journal=ledger) as server:
        fetch(server.port, context_of(pki))
        assert server.listener is not None
        until(lambda: not server.listener.connections)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            with pytest.raises(ssl.SSLError):
                fetch(server.port, client_context(trust=pki.trust))
            fetch(server.port, context_of(pki))
        until(lambda: not server.listener.connections)
        assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"identity": "absent"}, "file_missing"),
        ({"port": 99999}, "usage"),
        ({"clients": "some"}, "usage"),
        ({"workers": 0}, "usage"),
        ({"allow": ["x"]}, "bad_rule"),
        ({"policy": Policy(), "allow": ["cn=a"]}, "usage"),
        ({"host": "203.0.113.1"}, "cannot_listen"),
        ({"log_format": "xml"}, "usage"),
    ],
)
def test_what_cannot_work_stops_the_start_with_a_reason(pki: Pki, options: dict[str, Any], code: str):
    with (
        pytest.raises(ConfigError) as caught,
        background(tell, **{"identity": pki.server, **options}, journal=Journal()),
    ):
        raise AssertionError("it must not start")
    assert caught.value.code == code
    assert caught.value.remedy
