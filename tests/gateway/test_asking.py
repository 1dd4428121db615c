"""The admin socket under anybody's bytes, and the peek at a hello: answers or errors, never a fault."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conftest import Backend, Pki, gateway_of, running, until
from twoway.gateway.desk import ACTS, BadRequest, read_request
from twoway.wire.peek import NeedMore, server_name_of

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["do", "number", "fingerprint", "listener", "x"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(st.one_of(st.binary(max_size=80), _JSON.map(lambda value: json.dumps(value).encode())))
def test_no_line_breaks_the_reader_of_requests(line: bytes):
    """A request that the desk knows, or BadRequest with a sentence."""
    try:
        request = read_request(line)
    except BadRequest as error:
        assert str(error)
    else:
        assert request["do"] in ACTS


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"do": "dance"}, "there is no 'dance'"),
        ({"do": "cover"}, "there is no 'cover'"),
        ({"do": "cut"}, "a number or a fingerprint"),
        ({"do": "cut", "number": 1, "fingerprint": "a"}, "a number or a fingerprint"),
        ({"do": "cut", "number": True}, "expected int for number"),
        ({"do": "cut", "number": 1, "listener": 5}, "expected str for listener"),
        ([], "expected one JSON object"),
    ],
)
def test_what_cannot_be_done_is_said(request_: object, told: str):
    """What workers are told by their parent cannot be asked for from outside."""
    with pytest.raises(BadRequest) as caught:
        read_request(json.dumps(request_).encode())
    assert told in str(caught.value)


def test_a_bad_line_is_answered_and_the_next_one_works(pki: Pki, backend: Backend, tmp_path: Path):
    """Requests in one packet are answered in order; a line without end is cut off at its bound."""
    with running(gateway_of(pki, backend, admin=tmp_path / "admin")):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(tmp_path / "admin"))
            sock.sendall(b'nonsense\n{"do": "cut", "number": 7}\n{"do": "ready"}\n')
            with sock.makefile("rb") as lines:
                assert "expected one JSON object" in json.loads(lines.readline())["error"]
                assert json.loads(lines.readline()) == {"cut": 0}
                assert json.loads(lines.readline())["ready"] is True
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                while True:
                    sock.sendall(b"x" * 65536)


def test_who_asks_and_leaves_costs_nothing(pki: Pki, backend: Backend, tmp_path: Path):
    """An answer that nobody takes is dropped, with its socket."""
    with running(gateway_of(pki, backend, admin=tmp_path / "admin")) as gateway:
        for _ in range(40):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(tmp_path / "admin"))
                sock.sendall(b'{"do": "status"}\n' * 5)
        assert gateway.admin is not None
        until(lambda: not gateway.admin._clients)


@given(st.binary(max_size=120))
def test_no_bytes_break_the_peek_at_a_hello(data: bytes):
    """A name, no name, or more wanted; the same however often it is asked."""
    for candidate in (
        data,
        b"\x16\x03\x01" + data,
        b"\x16\x03\x01" + len(data).to_bytes(2, "big") + b"\x01" + data,
    ):
        found = server_name_of(candidate)
        assert found is None or found is NeedMore or isinstance(found, str)
        assert server_name_of(candidate) == found
