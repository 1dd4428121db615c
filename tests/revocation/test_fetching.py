"""Fetching over HTTP: what is asked, what is taken, and that a hostile server costs bounded time and memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.pki import NOW, Issuer
from tests.revocation.responder import Request, Responder, responding
from twoway.errors import TwowayError
from twoway.revocation.exchange import _Answer, exchange
from twoway.revocation.faults import BadUrl, FetchFailed, ListRejected
from twoway.revocation.list_cache import ListCache
from twoway.revocation.list_source import ListSource, taken
from twoway.revocation.urls import Url, addresses, out_of_bounds
from twoway.tls import server_context

ROOT = Issuer.root("Root")
ISSUING = ROOT.below("Issuing")


def get(url: str, **more: object) -> bytes:
    return exchange(Url.parse(url, configured=True), **{"limit": 1000, "seconds": 5.0, **more})  # type: ignore[arg-type]


def failure(url: str, **more: object) -> str:
    with pytest.raises(FetchFailed) as caught:
        get(url, **more)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://pki.example/a", "expected http or https, got ftp"),
        ("file:///etc/passwd", "expected http or https, got file"),
        ("http:///a.crl", "it names no host"),
        ("http://user:secret@pki.example/a", "it carries a user name"),
        ("http://pki.example:0/a", "nothing listens on port 0"),
        ("http://pki.example:99999/a", "Port out of range"),
        ("http://pki.example/a b", "characters that no address has"),
        ("http://pki.example/a\r\nHost: evil", "characters that no address has"),
        ("http://pki.example/" + "a" * 2048, "longer than 2048"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, reason: str):
    with pytest.raises(BadUrl, match=r".") as caught:
        Url.parse(text, configured=True)
    assert reason in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_or_a_typed_error(text: str):
    for prefix in ("", "http://", "https://h/"):
        try:
            url = Url.parse(prefix + text, configured=False)
        except BadUrl:
            continue
        assert "\r" not in url.target
        assert url.host


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0",
     "::ffff:169.254.169.254", "::ffff:127.0.0.1", "fd00:ec2::254", "100.100.100.200", "224.0.0.1", "ff02::1",
     "255.255.255.255", "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "2001:0:1::1"],
)  # fmt: skip
def test_a_certificate_cannot_send_us_to_this_machine_or_to_its_keepers(address: str):
    """Loopback, link-local, metadata services and nobody's addresses, in every spelling."""
    assert out_of_bounds(address) is not None


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.1", "93.184.216.34", "2001:db9::1", "fd12::1"])
def test_private_networks_may_have_responders(address: str):
    assert out_of_bounds(address) is None


def test_bounds_hold_for_what_a_name_leads_to():
    """The name is resolved first and its address judged; a configured address may lead anywhere."""
    with pytest.raises(FetchFailed, match="this machine itself; configure it"):
        list(addresses(Url.parse("http://localhost:80/x", configured=False)))
    assert list(addresses(Url.parse("http://localhost:80/x", configured=True)))


def test_a_request_is_plain_and_whole():
    with responding(Responder(**{"a": b"body"})) as server:
        assert get(f"{server.url}/a") == b"body"
        assert get(f"{server.url}/a", body=b"asked", kind="application/ocsp-request") == b"body"
    first, second = server.asked
    assert (first.method, first.headers["Host"]) == ("GET", server.url.removeprefix("http://"))
    assert (second.method, second.body) == ("POST", b"asked")
    assert second.headers["Content-Type"] == "application/ocsp-request"


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500, 204])
def test_anything_but_200_is_a_failure_and_no_redirect_is_followed(status: int):
    with responding(Responder(**{"a": b"body"})) as server:
        server.status = status
        assert f"HTTP {status}" in failure(f"{server.url}/a")
        assert len(server.asked) == 1


def test_a_huge_body_is_cut_off():
    with responding(Responder(**{"a": b"x" * 100_000})) as server:
        assert failure(f"{server.url}/a") == "it has more than 1000 bytes"


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"", "the connection ended without an answer"),
        (b"garbage\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nshort", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho", "cut short"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000, ""),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "its header has more than 32768 bytes"),
    ],
)
def test_a_broken_answer_is_told_by_what_is_broken(wire: bytes, reason: str):
    with Raw(wire) as url:
        assert reason in failure(url)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody and what does not belong to it",
    ],
)
def test_every_framing_of_a_whole_body_is_read(wire: bytes):
    with Raw(wire) as url:
        assert get(url) == b"body"


@given(st.binary(max_size=200))
def test_any_answer_is_a_body_or_a_typed_error(wire: bytes):
    answer = _Answer(Url.parse("http://h/", configured=True), 100)
    try:
        answer.feed(b"HTTP/1.1 200 OK\r\n" + wire)
        answer.ended()
    except FetchFailed:
        pass


def test_a_server_that_drips_is_left_after_the_limit():
    """The time is for the whole exchange, not for each byte of it."""
    leave = threading.Event()

    def drip(request: Request) -> None:
        request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while not leave.wait(0.02):
            try:
                request.send(b"x")
            except OSError:
                return

    with responding(Responder(**{"a": drip})) as server:
        assert failure(f"{server.url}/a", seconds=0.3) == "no whole answer within 0.3 s"
        leave.set()


def test_nobody_listening_is_told_as_that():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "refused" in failure(f"http://127.0.0.1:{free.getsockname()[1]}/")


def test_https_is_believed_by_the_anchors_given():
    """A server of the private authority; without its anchor the system's roots do not vouch for it."""
    credential = ISSUING.leaf("localhost", dns=("localhost",), purpose="server")
    context = server_context(credential, clients="none")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                sock, _ = listener.accept()
                try:
                    with context.wrap_socket(sock, server_side=True) as tls:
                        tls.recv(1000)
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
                except (ssl.SSLError, OSError):
                    sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        assert get(url, anchors=(ROOT.certificate,)) == b"body"
        assert "SSLCertVerificationError" in failure(url)
        thread.join(10)


class Raw:
    """A server that sends bytes to whoever connects and closes."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        with sock:
            sock.recv(65536)
            try:
                sock.sendall(self._wire)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except OSError:
                return  # the caller has seen enough

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()


def source(cache: ListCache, jitter: float = 0.0, **more: object) -> ListSource:
    return ListSource("http://pki.example/a.crl", cache, jitter=lambda: jitter, **more)  # type: ignore[arg-type]


def test_a_list_is_due_ahead_of_its_end_and_every_hour(tmp_path: Path):
    """A quarter of its life before nextUpdate, or an hour after the last look; jitter brings it forward."""
    cache = ListCache(tmp_path, "http://pki.example/a.crl")
    assert source(cache).due() == 0
    crl = ISSUING.crl(start=0, days=2 / 24)  # two hours
    cache.store(crl.public_bytes(Encoding.DER), verified=True)
    start = crl.last_update_utc.timestamp()
    os.utime(cache.path, (start + 3600, start + 3600))
    assert source(cache).due() == start + 3600 + 1800
    assert source(cache, 1.0).due() == start + 3600 + 1620
    long = ISSUING.crl(start=0, days=7)
    cache.store(long.public_bytes(Encoding.DER), verified=True)
    os.utime(cache.path, (start, start))
    assert source(cache).due() == start + 3600


def test_failures_are_retried_ever_more_slowly(tmp_path: Path):
    cache = ListCache(tmp_path, "http://pki.example/a.crl")

    def nowhere(url: Url) -> object:
        raise FetchFailed(str(url), "down")

    one = source(cache, resolve=nowhere)
    now, delays = 1000.0, []
    for _ in range(9):
        with pytest.raises(FetchFailed):
            one.refresh(now)
        delays.append(one.due() - now)
        now = one.due()
    assert delays == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    assert (one.failures, one.fetched["failed"]) == (9, 9)


def test_a_process_that_fetches_keeps_the_others_from_it(tmp_path: Path):
    """Workers share the cache: one fetches, the others look again a little later."""
    cache, other = (ListCache(tmp_path, "http://pki.example/a.crl") for _ in range(2))
    with cache.alone() as mine:
        assert mine
        assert source(other).refresh(1000.0) is False


def test_a_list_whose_issuer_is_not_known_yet_does_not_replace_the_last_good_one(tmp_path: Path):
    """Both are kept until one is verified: who forges lists on the way locks nobody out."""
    cache = ListCache(tmp_path, "http://pki.example/a.crl")
    good, forged = ISSUING.crl(), ROOT.below("Issuing").crl(start=-0.5)
    cache.store(good.public_bytes(Encoding.DER), verified=True)
    for _ in range(3):
        cache.store(forged.public_bytes(Encoding.DER), verified=False)
    assert cache.before.read_bytes() == good.public_bytes(Encoding.DER)
    assert len(cache.files) == 2
    cache.store(good.public_bytes(Encoding.DER), verified=True)
    assert cache.files == (cache.path,)


@pytest.mark.parametrize(
    ("crl", "reason"),
    [
        (lambda: ISSUING.crl(days=-0.5), "was to be replaced"),
        (lambda: ISSUING.crl(start=-3), "older than the one that is there"),
        (lambda: ROOT.crl(), "expected a list of CN=Issuing, got one of CN=Root"),
        (lambda: ISSUING.crl(start=1), "it holds only from"),
    ],
)
def test_what_is_not_taken_is_told(crl: object, reason: str):
    data = crl().public_bytes(Encoding.DER)  # type: ignore[operator]
    with pytest.raises(ListRejected, match=reason):
        taken(data, "there", (ISSUING.crl(),), (), NOW)


def test_what_is_taken_says_whether_its_issuer_signed_it():
    data = ISSUING.crl().public_bytes(Encoding.DER)
    assert taken(data, "there", (), (ISSUING.certificate,), NOW)[1] is True
    assert taken(data, "there", (), (ROOT.certificate,), NOW)[1] is False
    other = ROOT.below("Issuing").certificate
    with pytest.raises(ListRejected, match="has not signed it"):
        taken(data, "there", (), (other,), NOW)


def test_an_address_may_serve_several_lists_in_pem():
    """As `twoway ca crl` writes them; each is judged, and all of them have to be in order."""
    both = b"".join(one.public_bytes(Encoding.PEM) for one in (ISSUING.crl(), ROOT.crl()))
    crls, verified = taken(both, "there", (), (ISSUING.certificate, ROOT.certificate), NOW)
    assert ([one.issuer for one in crls], verified) == (
        [ISSUING.certificate.subject, ROOT.certificate.subject],
        True,
    )
    assert taken(both, "there", (), (ROOT.certificate,), NOW)[1] is False
    stale = both + ROOT.crl(days=-0.5).public_bytes(Encoding.PEM)
    with pytest.raises(ListRejected, match="was to be replaced"):
        taken(stale, "there", (), (), NOW)
    with pytest.raises(ListRejected, match="it has 17 lists, more than 16"):
        taken(ROOT.crl().public_bytes(Encoding.PEM) * 17, "there", (), (), NOW)


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 255))
def test_any_bytes_are_a_list_or_a_typed_error(data: bytes, at: int, value: int):
    mutated = bytearray(ISSUING.crl().public_bytes(Encoding.DER))
    mutated[at % len(mutated)] = value
    for one in (data, bytes(mutated), b"-----BEGIN X509 CRL-----\n" + data):
        with contextlib.suppress(TwowayError):
            taken(one, "there", (), (ISSUING.certificate,), NOW + dt.timedelta(hours=1))
