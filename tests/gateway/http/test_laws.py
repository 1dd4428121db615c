"""Laws of whole conversations, over real sockets: cutting changes nothing, and no bytes confuse both sides about each other."""

from __future__ import annotations

import contextlib
import itertools
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.http.conftest import Caller, HttpBackend, Ledger, Pki, context_of, http_gateway, running
from twoway.gateway import Gateway


class Place(NamedTuple):
    gateway: Gateway
    backend: HttpBackend
    ledger: Ledger
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def place(pki: Pki) -> Iterator[Place]:
    backend, ledger = HttpBackend(), Ledger()
    with running(http_gateway(pki, backend, ledger=ledger)) as gateway:
        yield Place(gateway, backend, ledger, context_of(pki))
    backend.close()


class Asking(NamedTuple):
    """One request as a client writes it, and what of it must arrive."""

    wire: bytes
    path: str
    body: bytes


def _plain(path: str) -> Asking:
    return Asking(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode(), path, b"")


def _sized(path: str, body: bytes) -> Asking:
    head = b"POST %b HTTP/1.1\r\nhost:localhost\r\nContent-Length:%d\r\n\r\n" % (path.encode(), len(body))
    return Asking(head + body, path, body)


def _chunked(path: str, chunks: list[bytes]) -> Asking:
    head = b"PUT %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
    wire = b"".join(b"%x;a=b\r\n%b\r\n" % (len(one), one) for one in chunks) + b"0\r\nX: y\r\n\r\n"
    return Asking(head + wire, path, b"".join(chunks))


_PATHS = st.from_regex(r"/[a-z0-9]{0,8}", fullmatch=True)
# Bodies that look like requests, so that a wrong end would be seen as one more of them.
_BODIES = st.one_of(
    st.binary(max_size=60), st.just(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
)
_ASKING = st.one_of(
    st.builds(_plain, _PATHS),
    st.builds(_sized, _PATHS, _BODIES),
    st.builds(_chunked, _PATHS, st.lists(_BODIES.filter(bool), max_size=3)),
)
_SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_SETTINGS
@given(st.lists(_ASKING, min_size=1, max_size=5), st.lists(st.integers(1, 600), max_size=8))
def test_cutting_never_changes_what_arrives(place: Place, asked: list[Asking], cuts: list[int]):
    """However requests are cut into records, the target gets the same ones, in order, and each has its answer."""
    seen = len(place.backend.requests)
    wire = b"".join(one.wire for one in asked)
    edges = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})
    with Caller(place.gateway, place.context) as caller:
        for start, end in itertools.pairwise(edges):
            caller.send(wire[start:end])
        for _ in asked:
            assert caller.reply().body == b"ok"
        assert caller.held == b""
    arrived = [(one.lines[0].split()[1], one.body) for one in place.backend.requests[seen:]]
    assert arrived == [(one.path, one.body) for one in asked]


@_SETTINGS
@given(
    st.lists(_ASKING, min_size=1, max_size=3), st.integers(0, 2000), st.integers(0, 255), st.sampled_from(("set", "insert", "delete"))
)  # fmt: skip
def test_a_changed_byte_never_makes_a_request_of_a_body(
    place: Place, asked: list[Asking], at: int, byte: int, how: str
):
    """One byte is changed, added or left out: what arrives are whole requests of the paths that were asked for, or none."""
    seen = len(place.backend.requests)
    wire = bytearray(b"".join(one.wire for one in asked))
    at %= len(wire)
    wire[at : at + (how != "insert")] = b"" if how == "delete" else bytes([byte])
    with Caller(place.gateway, place.context) as caller:
        caller.send(bytes(wire))
        with contextlib.suppress(OSError):
            caller.sock.unwrap()  # the client has no more to say
        with contextlib.suppress(EOFError, OSError, ValueError):
            while True:
                caller.reply()
    arrived = place.backend.requests[seen:]
    assert len(arrived) <= len(asked) + 1
    for one in arrived:
        assert len(one.values("host")) == 1
        assert len(one.values("client-cert")) == 1
        assert not (one.values("content-length") and one.values("transfer-encoding"))
    assert not place.ledger.named("internal-error")
    with Caller(place.gateway, place.context) as caller:
        assert caller.ask().body == b"ok"
