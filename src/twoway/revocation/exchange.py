"""One HTTP exchange: bounded in bytes and in time, without redirects, cookies, proxies or anything else."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence

import httptools
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.revocation.faults import FetchFailed
from twoway.revocation.urls import Address, Url, addresses

_CHUNK = 65536
MAX_HEAD = 32768

Resolve = Callable[[Url], Iterator[Address]]


class _Answer:
    """A response as it arrives, through the parser's callbacks. Bytes in, facts out: no socket."""

    def __init__(self, url: Url, limit: int) -> None:
        self._url, self._limit = url, limit
        self._parser = httptools.HttpResponseParser(self)
        self._head = 0
        self.body = bytearray()
        self.complete = self.begun = self._length_told = False

    def on_header(self, name: bytes, _: bytes) -> None:
        self._length_told = self._length_told or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self.begun = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True

    def feed(self, data: bytes) -> None:
        """Take what has arrived; raises FetchFailed for what is no answer, or more than the bound."""
        if not self.begun:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                raise FetchFailed(str(self._url), f"the answer is not HTTP ({error})") from None
        if not self.begun and self._head > MAX_HEAD:
            raise FetchFailed(str(self._url), f"its header has more than {MAX_HEAD} bytes")
        if len(self.body) > self._limit:
            raise FetchFailed(str(self._url), f"it has more than {self._limit} bytes")
        if self.begun and self.status != 200:
            raise FetchFailed(str(self._url), f"the answer is HTTP {self.status}")

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    def ended(self) -> bytes:
        """What there is when the connection ends: whole only where no length was promised (RFC 9112 §6.3)."""
        if not self.begun:
            raise FetchFailed(str(self._url), "the connection ended without an answer")
        if not self.complete and self._length_told:
            raise FetchFailed(str(self._url), "the answer was cut short")
        return bytes(self.body)


def exchange(
    url: Url,
    *,
    body: bytes | None = None,
    kind: str = "",
    limit: int,
    seconds: float,
    anchors: Sequence[x509.Certificate] = (),
    resolve: Resolve = addresses,
) -> bytes:
    """The body of the answer to a GET, or with `body` to a POST of this media type `kind`; raises FetchFailed.

    Blocks for at most `seconds` in all. Anything but 200 is a failure: redirects are not followed. For https the
    system's roots and `anchors` are believed; what is fetched is signed by an authority either way.
    """
    end = time.monotonic() + seconds
    answer = _Answer(url, limit)
    try:
        with _connected(url, end, anchors, resolve) as sock:
            sock.settimeout(_left(end))
            sock.sendall(_request(url, body, kind))
            while not answer.complete:
                sock.settimeout(_left(end))
                data = sock.recv(_CHUNK)
                if not data:
                    return answer.ended()
                answer.feed(data)
    except TimeoutError:
        raise FetchFailed(str(url), f"no whole answer within {seconds:g} s") from None
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
        raise FetchFailed(str(url), f"{type(error).__name__}: {reason}") from None
    return bytes(answer.body)


def _request(url: Url, body: bytes | None, kind: str) -> bytes:
    lines = [
        f"{'GET' if body is None else 'POST'} {url.target} HTTP/1.1",
        f"Host: {url.host_header}",
        "User-Agent: twoway",
        "Accept: */*",
        "Connection: close",
    ]
    if body is not None:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


@contextlib.contextmanager
def _connected(
    url: Url, end: float, anchors: Sequence[x509.Certificate], resolve: Resolve
) -> Iterator[socket.socket]:
    trouble: OSError | None = None
    for family, place in resolve(url):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(end))
            sock.connect(place)
        except OSError as error:
            sock.close()
            trouble = error
            continue
        with sock:
            if url.scheme == "https":
                sock.settimeout(_left(end))
                with _tls(anchors).wrap_socket(sock, server_hostname=url.host) as wrapped:
                    yield wrapped
            else:
                yield sock
        return
    raise trouble or FetchFailed(str(url), "the name has no address")


def _tls(anchors: Sequence[x509.Certificate]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if anchors:
        context.load_verify_locations(cadata=b"".join(one.public_bytes(Encoding.DER) for one in anchors))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
