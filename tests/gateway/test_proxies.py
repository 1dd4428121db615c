"""What proxies answer: laws of the two readers, and real proxies as judges."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import judge
from tests.gateway.conftest import Backend, Pki, gateway_of, plain, running, until
from twoway.gateway.addresses import Address
from twoway.gateway.via import MAX_ANSWER, BadProxyAnswer, ProxyRefused, Via

TARGET = Address(host="api.example", port=443)
HTTP, SOCKS = Via.parse("http://proxy.example:3128"), Via.parse("socks5://u:p@proxy.example:1080")

ANSWERS = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda tail: b"\x05" + tail),
    st.binary(max_size=60).map(lambda tail: b"\x05\x02\x01\x00\x05\x00\x00" + tail),
    st.binary(max_size=60).map(lambda tail: b"HTTP/1.1 200 " + tail),
    st.integers(100, 599).map(lambda code: f"HTTP/1.1 {code} x\r\na: b\r\n\r\n".encode()),
)


def outcome(via: Via, chunks: list[bytes]) -> Any:
    """How a dialogue ends: what was sent, and whether the way is open; or the error."""
    dialogue = via.dialogue(TARGET)
    sent = dialogue.first()
    try:
        for chunk in chunks:
            if dialogue.done:
                break
            sent += dialogue.receive(chunk)
    except (BadProxyAnswer, ProxyRefused) as fault:
        return type(fault)
    return sent, dialogue.done


@given(st.sampled_from([HTTP, SOCKS]), ANSWERS)
def test_no_answer_breaks_a_dialogue(via: Via, answer: bytes):
    """Open, waiting, or one of two typed errors that name the proxy."""
    dialogue = via.dialogue(TARGET)
    dialogue.first()
    try:
        dialogue.receive(answer)
    except (BadProxyAnswer, ProxyRefused) as fault:
        assert "proxy.example" in str(fault)
        assert fault.remedy
        assert str(fault).isprintable()


@given(st.sampled_from([HTTP, SOCKS]), ANSWERS, st.data())
def test_how_an_answer_is_cut_into_pieces_changes_nothing(via: Via, answer: bytes, data: Any):
    """Unless the way is open before the end: then what follows is an error only where it is seen."""
    at = data.draw(st.integers(0, len(answer)))
    whole, cut = outcome(via, [answer]), outcome(via, [answer[:at], answer[at:]])
    assert whole == cut or (whole is BadProxyAnswer and (cut is ProxyRefused or cut[1]))


def test_an_answer_without_an_end_is_bounded():
    """8 KiB of headers, and not one more."""
    dialogue = HTTP.dialogue(TARGET)
    dialogue.receive(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(BadProxyAnswer):
        for _ in range(MAX_ANSWER):
            dialogue.receive(b"x")


def test_an_interim_response_is_passed_over():
    """RFC 9110 §15.2: 1xx comes before the final answer."""
    dialogue = HTTP.dialogue(TARGET)
    dialogue.receive(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n")
    assert dialogue.done


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("192.0.2.7", b"\x01\xc0\x00\x02\x07"),
        ("2001:db8::7", b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x07"),
        ("a.example", b"\x03\x09a.example"),
    ],
)
def test_a_socks_request_has_the_address_in_its_own_form(host: str, asked: bytes):
    """RFC 1928 §5: four bytes, sixteen, or a length and a name."""
    dialogue = Via.parse("socks5://127.0.0.1:1").dialogue(Address(host=host, port=443))
    dialogue.first()
    assert dialogue.receive(b"\x05\x00") == b"\x05\x01\x00" + asked + b"\x01\xbb"


def test_a_proxy_as_text_has_no_password():
    """Neither the text nor the representation, which end up in logs."""
    via = Via.parse("http://alice:open%20sesame@[::1]:3128")
    assert (via.user, via.password, str(via)) == ("alice", "open sesame", "http://[::1]:3128")
    assert "sesame" not in repr(via)


@pytest.mark.judge
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_real_proxies_lead_to_the_target(pki: Pki, backend: Backend, tmp_path: Path, scheme: str):
    """tinyproxy and microsocks, each with a user name and a password, as judges of what we say to them."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    if scheme == "http":
        conf = tmp_path / "tinyproxy.conf"
        conf.write_text(f'Port {port}\nListen 127.0.0.1\nBasicAuth alice sesame\nLogFile "{tmp_path}/log"\n')
        command = [judge("tinyproxy"), "-d", "-c", str(conf)]
    else:
        command = [judge("microsocks"), "-i", "127.0.0.1", "-p", str(port), "-u", "alice", "-P", "sesame"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port))
        with running(gateway_of(pki, backend)) as inner:
            target = Address(host="localhost", port=inner.ports[0])
            for password, passes in (("sesame", b"ping"), ("wrong", b"")):
                more = {
                    "kind": "client",
                    "identity": pki.client,
                    "via": f"{scheme}://alice:{password}@127.0.0.1:{port}",
                }
                with running(gateway_of(pki, target, **more)) as outer:
                    assert plain(outer.ports[0]) == passes
                    if not passes:
                        assert outer.frontends[0].tally.failed["proxy_refused"] == 1
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
