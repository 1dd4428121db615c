"""Heads and bodies as bytes: one reading or none, however they are cut, and llhttp as a second reader."""

from __future__ import annotations

import itertools
from typing import Any

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twoway.gateway.http.bodies import MAX_TRAILERS, Body, ChunkedBody, EndlessBody, LengthBody
from twoway.gateway.http.faults import BadMessage
from twoway.gateway.http.fields import request_kinds, response_kinds
from twoway.gateway.http.heads import MAX_FIELDS, MAX_HEAD, RequestHead, parse_request, parse_response
from twoway.gateway.http.identity import CLAIMS
from twoway.gateway.http.reader import Reader

REQUESTS, RESPONSES = request_kinds(CLAIMS), response_kinds()


def request(*lines: str, first: str = "GET / HTTP/1.1", host: str | None = "Host: a") -> RequestHead:
    head = "\r\n".join([first, *([host] if host else []), *lines])
    return parse_request(head.encode("latin-1"), REQUESTS)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], "both"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], "both"),
        (["Content-Length: 5", "Content-Length: 5"], "not one number"),
        (["Content-Length: 5, 5"], "not one number"),
        (["Content-Length: +5"], "not one number"),
        (["Content-Length: -1"], "not one number"),
        (["Content-Length: 0x5"], "not one number"),
        (["Content-Length: 5 5"], "not one number"),
        (["Content-Length:"], "not one number"),
        (["Content-Length: " + "9" * 19], "not one number"),
        (["Content-Length: \xb2"], "not one number"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "not chunked and nothing else"),
        (["Transfer-Encoding: gzip, chunked"], "not chunked and nothing else"),
        (["Transfer-Encoding: chunked, identity"], "not chunked and nothing else"),
        (["Transfer-Encoding: xchunked"], "not chunked and nothing else"),
        (["Transfer-Encoding: \x0bchunked"], "control characters"),
        (["Transfer-Encoding : chunked"], "space before its colon"),
        (["Transfer_Encoding: chunked"], "taken for another one"),
        (["Transfer.Encoding: chunked"], "taken for another one"),
        (["content_length: 5"], "taken for another one"),
        (["X: a", " folded"], "folded"),
        (["X: a", "\tfolded"], "folded"),
        ([" Host: b"], "folded"),
        (["X a"], "no field name"),
        ([": a"], "no field name"),
        (["X\xe9: a"], "no field name"),
        (["X(: a"], "no field name"),
        (["X: a\nContent-Length: 5"], "control characters"),
        (["X: a\rContent-Length: 5"], "control characters"),
        (["X: a\x00"], "control characters"),
        (["X: \x7f"], "control characters"),
        (["Host: b"], "more than one Host"),
        (["Connection: content-length"], "names content-length"),
        (["Connection: close, Host"], "names host"),
        (["Expect: 200-ok"], "100-continue"),
        (["X: y"] * MAX_FIELDS, "more than 128 fields"),
    ],
)  # fmt: skip
def test_a_head_with_two_readings_is_refused(lines: list[str], problem: str):
    """Request smuggling lives where two servers read one head differently (RFC 9112 §11.2)."""
    with pytest.raises(BadMessage, match=problem):
        request(*lines)


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("GET  / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("GET\t/\tHTTP/1.1", 400),
        ("GET / http/1.1", 400),
        ("GET /", 400),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET /a#b HTTP/1.1", 400),
        ("GET /\xe4 HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ftp://a/ HTTP/1.1", 400),
        ("GET http://user@a/ HTTP/1.1", 400),
        ("GET http://b/ HTTP/1.1", 400),
        ("CONNECT a:443 HTTP/1.1", 501),
        ("G{T / HTTP/1.1", 400),
        ("A" * 33 + " / HTTP/1.1", 400),
        ("", 400),
    ],
)
def test_a_first_line_that_is_none_is_refused(first: str, status: int):
    with pytest.raises(BadMessage) as caught:
        request(first=first, host="Host: a")
    assert caught.value.status == status


@pytest.mark.parametrize(
    "host",
    [None, "Host:", "Host: a b", "Host: a/b", "Host: a@b", "Host: a:", "Host: a:b", "Host: [::1", "Host: ä"],
)
def test_a_host_that_is_none_is_refused(host: str | None):
    with pytest.raises(BadMessage, match="Host"):
        request(host=host)


def test_http_1_0_has_no_chunks():
    """RFC 9112 §6.1: its framing is faulty, whatever it says."""
    with pytest.raises(BadMessage, match=r"HTTP/1\.0"):
        request("Transfer-Encoding: chunked", first="POST / HTTP/1.0")


@pytest.mark.parametrize(
    "name",
    [
        "Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "client_cert", "Client.Cert", "Client~Cert",
        "Client'Cert", "X-Forwarded-Client-Cert", "x_forwarded_client_cert", "X_Forwarded-For", "Forwarded",
        "X-Real_IP", "X-SSL-Client-Verify", "Client-Cert_Chain",
    ],
)  # fmt: skip
def test_a_claim_is_stripped_in_every_spelling(name: str):
    """Whatever CGI or WSGI would fold to a name that speaks for the client goes no further."""
    head = request(f"{name}: forged", "X-Other: kept", f"{name}: again")
    assert head.lines == [b"X-Other: kept"]


def test_only_websocket_is_ever_upgraded_to():
    """h2c would let requests pass that nobody has judged."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    assert request(*upgrade).upgrade
    assert b"Upgrade: websocket" in request(*upgrade).encode(b"")
    for lines in (
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"),
        ("Connection: Upgrade", "Upgrade: websocket, h2c"),
        ("Upgrade: websocket",),
        (*upgrade, "Content-Length: 5"),
    ):
        sent = request(*lines)
        assert not sent.upgrade
        assert b"pgrade" not in sent.encode(b"")
        assert b"HTTP2" not in sent.encode(b"")
    assert not request(*upgrade, first="POST / HTTP/1.1").upgrade


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        "HTTP/1.1 200 OK\r\nX: a\r\n b",
        "HTTP/1.1 200 OK\r\nX : a",
        "HTTP/1.1 200 OK\nX: a",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1  200 OK",
        "HTTP/2 200",
        "ICY 200 OK",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        "\r\nHTTP/1.1 200 OK",
    ],
)
def test_an_answer_with_two_readings_is_refused(head: str):
    with pytest.raises(BadMessage):
        parse_response(head.encode(), b"GET", RESPONSES)


# -- bodies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"g\r\n", b" 5\r\n", b"5 \r\nhello", b"0x5\r\n", b"+5\r\n", b"-5\r\n", b"\r\n", b"5\nhello", b"5\r\nhelloo\r\n",
        b"5\r\nhello\n", b"5\r\nhello\rX", b"5\r\nhello0\r\n\r\n", b"fffffffffffffffff\r\n", b"5;a\rb\r\n", b"5;a\nb\r\n",
        b"5;" + b"a" * 300 + b"\r\n", b"0\r\nX\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\n folded\r\n\r\n", b"0\r\nX: y\n\r\n",
        b"0\r\n" + b"X: y\r\n" * MAX_TRAILERS, b"0\r\nX: " + b"y" * MAX_TRAILERS,
    ],
)  # fmt: skip
def test_a_chunk_that_is_none_is_refused(data: bytes):
    """No byte behind a faulty size is ever taken for a body or for a request."""
    with pytest.raises(BadMessage):
        ChunkedBody().take(data)


def test_chunks_go_on_in_one_spelling():
    """No leading zeros, no extensions, no trailers: what is forged in a trailer goes no further."""
    body = ChunkedBody()
    sent, at = body.take(b"0005;name=value\r\nhello\r\n0\r\nClient-Cert: forged\r\n\r\nGET")
    assert sent == b"5\r\nhello\r\n0\r\n\r\n"
    assert body.done
    assert at == len(b"0005;name=value\r\nhello\r\n0\r\nClient-Cert: forged\r\n\r\n")


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def _all(body: Body, pieces: list[bytes]) -> tuple[bytes, bool, bytes]:
    """What a body sends on, whether it is over, and what lies behind it."""
    sent, rest = b"", b""
    for piece in pieces:
        if body.done:
            rest += piece
            continue
        out, at = body.take(piece)
        sent += out
        rest += piece[at:]
    return sent, body.done, rest


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.binary(max_size=10),
    st.lists(st.integers(0, 400)),
)
def test_cutting_never_changes_a_body(chunks: list[bytes], behind: bytes, cuts: list[int]):
    """However the bytes arrive, the same body goes on and the same bytes lie behind it."""
    wire = b"".join(b"%X\r\n%b\r\n" % (len(one), one) for one in chunks) + b"0\r\nX: y\r\n\r\n" + behind
    plain = b"".join(chunks)
    assert _all(ChunkedBody(in_chunks=False), _pieces(wire, cuts)) == (plain, True, behind)
    sent, _, rest = _all(ChunkedBody(), _pieces(wire, cuts))
    assert rest == behind
    assert _all(ChunkedBody(in_chunks=False), [sent]) == (plain, True, b"")
    if plain:
        assert _all(LengthBody(len(plain)), _pieces(plain + behind, cuts)) == (plain, True, behind)
    endless = EndlessBody(in_chunks=True)
    told, _, _ = _all(endless, _pieces(plain, cuts))
    assert _all(ChunkedBody(in_chunks=False), [told + endless.close()]) == (plain, True, b"")


@given(st.binary(max_size=80))
@example(b"\r")
@example(b"0\r\n\r")
def test_no_bytes_break_a_body(data: bytes):
    """A piece, or BadMessage; and cutting it byte by byte ends the same way."""

    def outcome(pieces: list[bytes]) -> Any:
        body = ChunkedBody(in_chunks=False)
        try:
            return (*_all(body, pieces), body._line)
        except BadMessage:
            return "refused"

    for wire in (data, b"5\r\nhello\r\n" + data, b"0\r\n" + data):
        assert outcome([wire]) == outcome([wire[n : n + 1] for n in range(len(wire))])


# -- heads, cut and mutated ---------------------------------------------------------------------------

_TOKEN = st.text("abcXYZ019!#$%&'*+.^_`|~-", min_size=1, max_size=12)
_VALUE = st.text(
    st.characters(codec="latin-1", exclude_characters="".join(map(chr, [*range(32), 127]))), max_size=20
)
_FIELDS = st.lists(st.tuples(_TOKEN, _VALUE), max_size=6)


@given(_FIELDS, st.lists(st.integers(0, 500)))
def test_cutting_never_changes_a_head(lines: list[tuple[str, str]], cuts: list[int]):
    """A reader gives the same head, and keeps the same rest, however the bytes arrive."""
    head = "\r\n".join(["GET /x HTTP/1.1", "Host: a", *(f"{name}: {value}" for name, value in lines)]).encode(
        "latin-1"
    )
    reader, found = Reader(), None
    for piece in _pieces(head + b"\r\n\r\nrest", cuts):
        reader.feed(piece)
        found = found or reader.head()
    assert found == head
    assert reader.held == b"rest"


def _events(data: bytes) -> list[Any]:
    """What llhttp, another reader, makes of a request."""
    seen: list[Any] = []

    class Events:
        def on_header(self, name: bytes, value: bytes) -> None:
            seen.append((name, value.rstrip(b" \t")))

        def on_url(self, url: bytes) -> None:
            seen.append(url)

        def on_body(self, body: bytes) -> None:
            seen.append(body)

        def on_message_complete(self) -> None:
            seen.append("complete")

    httptools.HttpRequestParser(Events()).feed_data(data)
    return seen


@given(_FIELDS, st.integers(0, 300), st.integers(0, 255))
def test_a_mutated_head_is_read_alike_or_refused(lines: list[tuple[str, str]], at: int, byte: int):
    """One byte is changed: a head that passes is read by llhttp as the same fields; any other is BadMessage."""
    head = bytearray(
        "\r\n".join(["POST /x HTTP/1.1", "Host: a", "Content-Length: 0", *(f"{n}: {v}" for n, v in lines)]),
        "latin-1",
    )
    head[at % len(head)] = byte
    try:
        parsed = parse_request(bytes(head), REQUESTS)
    except BadMessage:
        return
    if b"\r\n\r\n" in head:
        return  # two messages: a reader ends the first at the empty line
    sent = parsed.encode(b"Via: x\r\n")
    try:
        events = _events(sent)
    except httptools.HttpParserError as error:
        # Methods are a fixed list there.
        assert "method" in str(error).lower()
        return
    expected = [(line.partition(b":")[0], line.partition(b":")[2].strip(b" \t")) for line in parsed.lines]
    told = [event for event in events if isinstance(event, tuple)]
    assert told[0] == (b"Host", parsed.host)
    assert told[1 : 1 + len(expected)] == expected
    assert events[-1] == "complete"
    assert events.count("complete") == 1


@given(st.binary(max_size=200))
def test_no_bytes_break_the_head_readers(data: bytes):
    """A head, or BadMessage: nothing else, for requests and answers."""
    for read in (
        lambda: parse_request(data, REQUESTS),
        lambda: parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + data, REQUESTS),
        lambda: parse_response(data, b"GET", RESPONSES),
        lambda: parse_response(b"HTTP/1.1 200 OK\r\n" + data, b"GET", RESPONSES),
    ):
        try:
            read()
        except BadMessage as fault:
            assert fault.status in (400, 417, 431, 501, 505)


def test_a_reader_holds_one_head_at_most():
    """A head without an end is refused at its limit, and one with bare line feeds at once."""
    reader = Reader()
    with pytest.raises(BadMessage, match="longer") as caught:
        for _ in range(MAX_HEAD):
            reader.feed(b"X: " + b"a" * 100 + b"\r\n")
            assert reader.head() is None
    assert caught.value.status == 431
    assert len(reader.held) < MAX_HEAD + 200
    bare = Reader()
    bare.feed(b"GET / HTTP/1.1\nHost: a\n\n")
    with pytest.raises(BadMessage, match="LF alone"):
        bare.head()


@given(st.lists(_TOKEN, max_size=50))
def test_what_is_known_of_names_is_bounded(names: list[str]):
    """A client cannot fill the memory with names that nobody else uses."""
    kinds = request_kinds(CLAIMS)
    for n in range(60):
        for name in names:
            assert kinds[f"{name}{n}".encode()] is not None
    assert len(kinds) <= 2048
