"""A slow or silent client costs one place for a bounded time, whatever it is slow with."""

from __future__ import annotations

import datetime
import ssl
from typing import Any

import pytest

from tests.server.conftest import Ledger, context_of, fetch, tell, until, wrap
from tests.tls.conftest import NOW, Pki
from twoway.server import background
from twoway.server.pace import ANSWER, BODY, REQUEST, Owed, Pace

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


class Client:
    """A connection that owes what a test says."""

    def __init__(self, owed: Owed | None) -> None:
        self.now_owed = owed

    def owed(self) -> Owed | None:
        return self.now_owed

    def give_up(self, what: str) -> None: ...

    def describe(self) -> str:
        return "a client"


def dropped(pace: Pace, now: float, *clients: object) -> list[tuple[object, str, float]]:
    return list(pace.too_slow(clients, now))


@pytest.mark.parametrize(("what", "limit"), [(REQUEST, 5.0), (BODY, 9.0), (ANSWER, 9.0)])
def test_each_kind_of_waiting_has_its_limit(what: str, limit: float):
    pace, client = Pace(5.0, 9.0), Client(Owed(what, 1))
    assert dropped(pace, 100.0, client) == []
    assert dropped(pace, 100.0 + limit, client) == []
    assert dropped(pace, 100.5 + limit, client) == [(client, what, limit)]


def test_whoever_comes_further_has_the_whole_time_again():
    pace, client = Pace(5.0, 5.0), Client(Owed(BODY, 1))
    assert dropped(pace, 0.0, client) == []
    client.now_owed = Owed(BODY, 2)
    assert dropped(pace, 5.5, client) == []
    assert dropped(pace, 10.0, client) == []
    assert dropped(pace, 11.0, client)


def test_while_the_application_works_nobody_owes_anything():
    pace, client = Pace(1.0, 1.0), Client(Owed(REQUEST, None))
    assert dropped(pace, 0.0, client) == []
    client.now_owed = None
    assert dropped(pace, 50.0, client) == []
    client.now_owed = Owed(REQUEST, None)
    assert dropped(pace, 50.5, client) == []


def test_a_websocket_owes_nothing_and_who_is_gone_is_forgotten():
    pace, client = Pace(1.0, 1.0), Client(Owed(REQUEST, None))
    assert dropped(pace, 0.0, client, object()) == []
    assert dropped(pace, 50.0, object()) == []
    assert dropped(pace, 50.5, client) == []


def everything(sock: ssl.SSLSocket) -> bytes:
    got = b""
    try:
        while part := sock.recv(1 << 16):
            got += part
    except OSError:
        return got + b"<reset>"
    return got


@pytest.mark.parametrize(
    ("sent", "answered", "owed"),
    [
        (b"", b"", REQUEST),
        (HEAD, b"HTTP/1.1 408 ", REQUEST),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf", b"", BODY),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_what_is_never_finished_is_given_up(
    pki: Pki, ledger: Ledger, sent: bytes, answered: bytes, owed: str
):
    short = {"request_seconds": 0.2, "stall_seconds": 0.2}
    with (
        background(tell, identity=pki.server, journal=ledger, **short) as server,
        wrap(server.port, context_of(pki)) as sock,
    ):
        sock.sendall(sent)
        assert everything(sock).startswith(answered)
        told = until(lambda: ledger.named("dropped"))[0]["sentence"]
        assert told.startswith("orders 127.0.0.1:")
        assert told.endswith(f"did not {owed} within 0.2 s")
        assert fetch(server.port, context_of(pki))[0] == 200


async def flood(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An answer that is far larger than all buffers on the way."""
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000):
        await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def test_an_answer_that_nobody_takes_is_given_up(pki: Pki, ledger: Ledger):
    with (
        background(flood, identity=pki.server, journal=ledger, stall_seconds=0.2) as server,
        wrap(server.port, context_of(pki)) as sock,
    ):
        sock.sendall(HEAD + b"\r\n")
        told = until(lambda: ledger.named("dropped"))[0]["sentence"]
        assert told.endswith(f"did not {ANSWER} within 0.2 s")
        assert not everything(sock).endswith(b"0\r\n\r\n")  # its end never came


def test_a_head_without_end_is_refused(pki: Pki, ledger: Ledger):
    """Nothing else bounds what one proven client can make us keep."""
    with (
        background(tell, identity=pki.server, journal=ledger) as server,
        wrap(server.port, context_of(pki)) as sock,
    ):
        sock.sendall(HEAD)
        with pytest.raises(OSError):
            for number in range(1000):
                sock.sendall(b"X-%d: " % number + b"a" * 4000 + b"\r\n")
                sock.settimeout(0.01)
                try:
                    answer = sock.recv(100)
                except TimeoutError:
                    continue
                assert answer.startswith(b"HTTP/1.1 431 ")
                raise ConnectionError
        assert fetch(server.port, context_of(pki))[0] == 200


def test_a_body_of_any_size_is_no_head(pki: Pki, ledger: Ledger):
    with background(tell, identity=pki.server, journal=ledger) as server:
        status, answer = fetch(server.port, context_of(pki), "/", "POST", body=bytes(1 << 20))
        assert (status, b'"length": 1048576' in answer) == (200, True)


def test_a_connection_ends_with_the_certificate_that_opened_it(pki: Pki, ledger: Ledger):
    """A WebSocket would otherwise outlive its caller's identity by as long as it likes."""
    begun = (datetime.datetime.now(datetime.UTC) - NOW).total_seconds()
    brief = pki.issuing.leaf("brief", days=(begun + 3) / 86400)
    with (
        background(tell, identity=pki.server, journal=ledger, rejudge_seconds=0.0) as server,
        wrap(server.port, context_of(pki, brief)) as sock,
    ):
        sock.sendall(HEAD + b"\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
        until(lambda: ledger.refusals)
        assert ledger.refusals[0].code == "certificate_expired"
