"""The way to the targets: names to ask for and to prove, proxies, checks, targets that come and go."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import (
    Backend,
    Ledger,
    Pki,
    ask,
    context_of,
    exactly,
    gateway_of,
    plain,
    running,
    until,
    wrap,
)
from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.gateway.backend import Backend as Balancing
from twoway.gateway.bounds import Bounds


class Proxy:
    """A proxy that answers what a test says; leads on to `target` with what came after the `asked` bytes."""

    def __init__(self, answers: list[bytes], target: Address | None = None) -> None:
        self._answers, self._target = answers, target
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                for answer in self._answers:
                    self.heard.append(sock.recv(65536))
                    sock.sendall(answer)
                if self._target is None:
                    continue
                with socket.create_connection((self._target.host, self._target.port)) as there:
                    back = threading.Thread(target=_pour, args=(there, sock), daemon=True)
                    back.start()
                    _pour(sock, there)
                    back.join(10)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def proxy() -> Iterator[Any]:
    made: list[Proxy] = []

    def make(*answers: bytes, target: Address | None = None) -> Proxy:
        made.append(Proxy(list(answers), target))
        return made[-1]

    yield make
    for one in made:
        one.close()


OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_through_an_http_proxy_with_credentials_from_a_file(
    pki: Pki, backend: Backend, tmp_path: Path, proxy: Any
):
    """CONNECT names the target, the password is shown to the proxy and to nobody else, and is in no log."""
    secret = tmp_path / "proxy"
    secret.write_text("alice:open sesame\n")
    ledger = Ledger()
    with running(gateway_of(pki, backend)) as inner:
        target = Address(host="localhost", port=inner.ports[0])
        via = proxy(OK, target=target)
        more = {"kind": "client", "identity": pki.client, "via_credentials": secret, "ledger": ledger}
        with running(gateway_of(pki, target, via=f"http://127.0.0.1:{via.port}", **more)) as outer:
            assert plain(outer.ports[0]) == b"ping"
            status = str(outer.frontends[0].status())
    assert via.heard[0].startswith(f"CONNECT localhost:{target.port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=" in via.heard[0]
    assert "sesame" not in ledger.text.getvalue() + status + repr(outer.options)


@pytest.mark.parametrize("user", ["", "alice:secret@"])
def test_through_a_socks_proxy(pki: Pki, backend: Backend, proxy: Any, user: str):
    """The proxy gets the target's name, so that it resolves it, not we."""
    granted = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
    with running(gateway_of(pki, backend)) as inner:
        target = Address(host="localhost", port=inner.ports[0])
        answers = (b"\x05\x02", b"\x01\x00", granted) if user else (b"\x05\x00", granted)
        via = proxy(*answers, target=target)
        more = {"kind": "client", "identity": pki.client, "via": f"socks5://{user}127.0.0.1:{via.port}"}
        with running(gateway_of(pki, target, **more)) as outer:
            assert plain(outer.ports[0]) == b"ping"
    assert via.heard[-1] == b"\x05\x01\x00\x03\x09localhost" + target.port.to_bytes(2, "big")
    if user:
        assert via.heard[1] == b"\x01\x05alice\x06secret"


@pytest.mark.parametrize(
    ("scheme", "answers", "told"),
    [
        ("http", [b"HTTP/1.1 403 Not here\r\n\r\n"], "it answered 403 Not here"),
        ("http", [b"HTTP/1.1 407 Who?\r\n\r\n"], "it answered 407 Who?; remedy: give the proxy's user name"),
        ("http", [b"SSH-2.0-OpenSSH\r\n"], "it begins with 'SSH-2.0-OpenSSH'"),
        ("http", [OK + b"\x16\x03"], "bytes follow its answer"),
        ("http", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000], "more than 8192 bytes"),
        ("http", [b""], "it hung up before it had answered"),
        ("socks5", [b"\x05\xff"], "that it wants authentication"),
        ("socks5", [b"\x05\x00", b"\x05\x05\x00\x01"], "connection refused by the target (reply 5)"),
        ("socks5", [b"HTTP/1.1 400 Bad\r\n\r\n"], "it begins with the byte 0x48"),
    ],
)
def test_what_a_proxy_answers_is_told(
    pki: Pki, backend: Backend, proxy: Any, scheme: str, answers: Any, told: str
):
    """A refusal names the proxy and its answer; not one byte of ours reaches the target."""
    via, ledger = proxy(*answers), Ledger("text")
    target = Address(host="api.example", port=443)
    more = {"kind": "client", "identity": pki.client, "via": f"{scheme}://127.0.0.1:{via.port}"}
    with running(gateway_of(pki, target, ledger=ledger, **more)) as gateway:
        assert plain(gateway.ports[0]) == b""
        until(lambda: "no-way" in ledger.text.getvalue())
        assert not gateway.frontends[0].connections
    assert told in ledger.text.getvalue()
    assert f"127.0.0.1:{via.port}" in ledger.text.getvalue()


def test_a_silent_proxy_costs_a_bounded_time(pki: Pki):
    """connect_seconds covers the proxy's answer too."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        more = {"kind": "client", "identity": pki.client, "bounds": Bounds(connect_seconds=0.3)}
        target = Address(host="api.example", port=443)
        via = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with running(gateway_of(pki, target, via=via, **more)) as gateway:
            assert plain(gateway.ports[0]) == b""
            assert gateway.frontends[0].tally.failed["timed_out"] == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"via": "ftp://x:1"}, "names no proxy"),
        ({"via": "http://alice:secret@nowhere"}, "names no proxy"),
        ({"via": "http://x:1/path"}, "names no proxy"),
        ({"via": "socks5://alice@127.0.0.1:1"}, "empty or longer than 255 bytes"),
        ({"via": "http://a%0Ab:c@127.0.0.1:1"}, "characters that cannot be sent"),
        ({"via_credentials": "file"}, "no proxy to show them to"),
        ({"sni": "not a name"}, "no DNS name"),
        ({"kind": "server", "sni": "a.example"}, "for TLS targets"),
        ({"kind": "server", "via": "http://x:1"}, "for TLS targets"),
    ],
)
def test_a_way_that_cannot_be_gone_is_refused_at_the_start(pki: Pki, more: dict[str, Any], told: str):
    """The complaint never shows a password."""
    with pytest.raises(UsageError) as caught:
        gateway_of(pki, Address(host="127.0.0.1", port=1), **{"kind": "client", **more})
    assert told in str(caught.value)
    assert "secret" not in str(caught.value) + caught.value.remedy


@pytest.mark.parametrize(
    ("sni", "asked"), [(None, "localhost"), ("front.example", "front.example"), ("", None)]
)
def test_the_name_to_ask_for_is_apart_from_the_name_to_prove(
    pki: Pki, backend: Backend, sni: Any, asked: Any
):
    """The target hears --sni; its certificate still has to carry --server-name."""
    with running(gateway_of(pki, backend)) as inner:
        target = Address(host="127.0.0.1", port=inner.ports[0])
        more = {"kind": "client", "identity": pki.client, "server_name": "localhost", "sni": sni}
        with running(gateway_of(pki, target, **more)) as outer:
            with socket.create_connection(("127.0.0.1", outer.ports[0]), 10) as sock:
                sock.sendall(b"ping")
                assert exactly(sock, 4) == b"ping"
                (connection,) = inner.frontends[0].connections
                assert connection.session is not None
                assert connection.session.server_name == asked


def down(gateway: Any) -> list[bool]:
    return [not target.is_up for target in gateway.frontends[0].backend.targets]


def test_a_check_of_a_tls_target_makes_the_handshake(pki: Pki, backend: Backend):
    """A port that is open, and proves another name or nothing at all, is down; the next one serves."""
    with running(gateway_of(pki, backend)) as good, socket.create_server(("127.0.0.1", 0)) as mute:
        targets = [
            Address(host="127.0.0.1", port=mute.getsockname()[1]),
            Address(host="127.0.0.1", port=backend.port),
            Address(host="127.0.0.1", port=good.ports[0]),
        ]
        bounds = Bounds(health_seconds=0.1, connect_seconds=0.5)
        more = {"kind": "client", "identity": pki.client, "server_name": "localhost", "bounds": bounds}
        with running(gateway_of(pki, *targets, **more)) as gateway:
            until(lambda: down(gateway) == [True, True, False])
            assert plain(gateway.ports[0]) == b"ping"
            status = gateway.frontends[0].status()
            assert (
                "took longer" in status["targets"][0]["reason"]
                or "handshake" in status["targets"][0]["reason"]
            )


def test_a_target_that_refuses_our_identity_is_down(pki: Pki, backend: Backend):
    """In TLS 1.3 the handshake looks done on our side: the check listens for the alert that follows."""
    with running(gateway_of(pki, backend, allow=["cn=somebody-else"])) as inner:
        target = Address(host="localhost", port=inner.ports[0])
        more = {"kind": "client", "identity": pki.client, "bounds": Bounds(health_seconds=0.1)}
        with running(gateway_of(pki, target, **more)) as gateway:
            until(lambda: down(gateway) == [True])
            assert not gateway.frontends[0].backend.is_ready
            assert "refused" in gateway.frontends[0].status()["targets"][0]["reason"]


def test_a_failed_handshake_moves_on_to_the_next_target(pki: Pki, backend: Backend):
    """Nothing has been sent yet, so the client does not have to notice."""
    with running(gateway_of(pki, backend)) as good:
        targets = [
            Address(host="localhost", port=backend.port),
            Address(host="localhost", port=good.ports[0]),
        ]
        more = {"kind": "client", "identity": pki.client, "bounds": Bounds(connect_seconds=1)}
        with running(gateway_of(pki, *targets, **more)) as gateway:
            for _ in range(3):
                assert plain(gateway.ports[0]) == b"ping"
            assert down(gateway) == [True, False]


def test_a_target_that_swallows_connections_is_passed_over(pki: Pki, backend: Backend):
    """Each target has connect_seconds of its own; one that times out rests, as one that refuses does."""
    mute = socket.socket()
    mute.bind(("127.0.0.1", 0))
    mute.listen(0)
    fillers = []
    try:
        address = mute.getsockname()
        for _ in range(4):  # the queue of the kernel is full: who connects now hears nothing
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            fillers.append(one)
        targets = [Address(host="127.0.0.1", port=address[1]), backend]
        with running(gateway_of(pki, *targets, bounds=Bounds(connect_seconds=0.4))) as gateway:
            for _ in range(3):
                with wrap(gateway.ports[0], context_of(pki)) as sock:
                    assert ask(sock) == b"ping"
            assert down(gateway) == [True, False]
    finally:
        for one in (*fillers, mute):
            one.close()


def test_with_all_targets_down_the_answer_names_each(pki: Pki):
    """Nobody waits: the connection ends at once, and the log has every target's reason."""
    gone = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            gone.append(Address(host="127.0.0.1", port=sock.getsockname()[1]))
    ledger = Ledger()
    with running(gateway_of(pki, *gone, ledger=ledger)) as gateway:
        with (
            pytest.raises((ConnectionResetError, ssl.SSLError)),
            wrap(gateway.ports[0], context_of(pki)) as sock,
        ):
            sock.sendall(b"x")
            assert sock.recv(1)
        told = until(lambda: ledger.named("no-way"))[0]["sentence"]
    assert all(f"{one}: connection refused" in told for one in gone)


def test_a_target_that_flaps_rests_longer_each_time():
    """Down again soon after it came back: its rest doubles, and starts anew once it has been steady."""

    class Clock:
        now = 0.0

        def later(self, seconds: float, _: Any) -> None:
            rests.append(seconds)

    rests: list[float] = []
    clock: Any = Clock()
    backend = Balancing((), None, clock, lambda *_: None)  # type: ignore[arg-type]
    from twoway.gateway.backend import Target

    target = Target(Address(host="127.0.0.1", port=1))
    for at in (0.0, 1.0, 2.0, 3.0, 100.0):
        clock.now = at
        backend.failed(target, OSError("gone"))
        backend.worked(target)
    assert rests == [1.0, 2.0, 4.0, 8.0, 1.0]


def test_a_check_greets_a_backend_that_expects_a_header(pki: Pki):
    """With PROXY v2 a check says LOCAL, so that the backend does not call it broken."""
    from twoway.gateway.proxy_v2 import LOCAL, decode

    backend = Backend(echo=False)
    try:
        with running(
            gateway_of(pki, backend, proxy_protocol=True, bounds=Bounds(health_seconds=5))
        ) as gateway:
            until(lambda: backend.accepted)
            assert exactly(backend.accepted[0], len(LOCAL)) == LOCAL
            assert decode(LOCAL) is not None
            assert gateway.frontends[0].backend.is_ready
    finally:
        backend.close()
