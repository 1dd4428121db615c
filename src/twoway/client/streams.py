"""Our TLS as streams of httpcore2, over whatever stream it has to the other side: a socket, or a tunnel.

In TLS 1.3 the handshake is over for a client before the server has judged its certificate. So a failed
write is never the last word: httpcore2 reads after it, and what the server said comes out there.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from twoway.client.conversation import CHUNK, LINGER_SECONDS, Conversation, name_in_errors
from twoway.client.faults import as_call_error, naming
from twoway.client.source import IdentitySource
from twoway.errors import TwowayError


class TlsStream(httpcore2.NetworkStream):
    """TLS of ours over another blocking stream."""

    def __init__(self, inner: httpcore2.NetworkStream, talk: Conversation) -> None:
        self._inner, self._talk = inner, talk

    def handshake(self, timeout: float | None) -> None:
        session, inner, talk = self._talk.session, self._inner, self._talk
        try:
            while not session.advance():
                self._flush(timeout)
                data = inner.read(CHUNK, timeout)
                if not data:
                    session.eof()
                session.receive(data)
            with contextlib.suppress(httpcore2.WriteError):  # what the server said meanwhile is read next
                self._flush(timeout)
        except (httpcore2.ReadTimeout, httpcore2.WriteTimeout):
            self.close()
            raise talk.too_slow("the handshake", timeout, httpx2.ConnectTimeout) from None
        except (httpcore2.ReadError, httpcore2.WriteError) as error:
            fault = talk.last_words(self._rest(), error)
            self.close()
            raise as_call_error(fault) from error
        except TwowayError as fault:
            self._refuse()
            raise as_call_error(fault) from fault
        except BaseException:
            self.close()
            raise

    def _flush(self, timeout: float | None) -> None:
        if data := self._talk.session.outgoing():
            self._inner.write(data, timeout)

    def _rest(self) -> bytes:
        try:
            return self._inner.read(CHUNK, LINGER_SECONDS)
        except (httpcore2.NetworkError, httpcore2.TimeoutException):
            return b""

    def _refuse(self) -> None:
        """Deliver the alert, end our side, and let the server read it before the socket goes."""
        until = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, OSError):
            self._flush(LINGER_SECONDS)
            sock = self._inner.get_extra_info("socket")
            if sock is not None:
                sock.shutdown(socket.SHUT_WR)
                while (left := until - time.monotonic()) > 0 and self._inner.read(CHUNK, left):
                    pass
        self._inner.close()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        talk = self._talk
        session = talk.session
        try:
            while True:
                data = session.read()
                self._flush(timeout)
                if data:
                    talk.heard()
                    return data
                if data is not None:
                    return talk.goodbye()
                arrived = self._inner.read(CHUNK, timeout)
                if not arrived:
                    return talk.ended()
                session.receive(arrived)
        except httpcore2.ReadTimeout:
            raise talk.too_slow("the server's answer", timeout, httpx2.ReadTimeout) from None
        except httpcore2.ReadError as error:
            raise as_call_error(talk.broke(error)) from error
        except TwowayError as fault:
            raise as_call_error(fault) from fault

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._talk.session.write(buffer)
            try:
                self._flush(timeout)
            except httpcore2.WriteTimeout:
                raise self._talk.too_slow("sending the request", timeout, httpx2.WriteTimeout) from None

    def close(self) -> None:
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, TwowayError, OSError):
            self._talk.session.close_notify()
            self._flush(0.1)
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return start_tls(self, self._talk.source, server_hostname, self._talk.target, timeout)

    def get_extra_info(self, info: str) -> Any:
        return self._talk.fact(info, self._inner)


def start_tls(
    inner: httpcore2.NetworkStream,
    source: IdentitySource,
    server_name: str | None,
    target: str,
    timeout: float | None,
) -> httpcore2.NetworkStream:
    try:
        talk = Conversation(source, server_name or target, name_in_errors(server_name, target))
    except TwowayError as fault:
        inner.close()
        raise as_call_error(fault) from fault
    stream = TlsStream(inner, talk)
    stream.handshake(timeout)
    return stream


class _Plain(httpcore2.NetworkStream):
    """A socket's stream that knows where it leads, until TLS begins on it.

    TLS to a server is ours. TLS to a proxy is httpcore2's own, with the proxy's own context: a proxy is no
    business of our identity.
    """

    def __init__(
        self, inner: httpcore2.NetworkStream, source: IdentitySource, target: str, ours: ssl.SSLContext
    ) -> None:
        self._inner, self._source, self._target, self._ours = inner, source, target, ours
        self.read, self.write, self.close = inner.read, inner.write, inner.close  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        if ssl_context is not self._ours:
            covered = self._inner.start_tls(ssl_context, server_hostname, timeout)
            return _Plain(covered, self._source, self._target, self._ours)
        return start_tls(self._inner, self._source, server_hostname, self._target, timeout)


class Backend(httpcore2.NetworkBackend):
    """Connects sockets for httpcore2; TLS on them is ours where the context is `ours`, which is a mark only."""

    def __init__(self, source: IdentitySource, ours: ssl.SSLContext) -> None:
        self._source, self._ours, self._inner = source, ours, httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        target = f"{host}:{port}"
        with naming(target):
            stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Plain(stream, self._source, target, self._ours)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        with naming(path):
            stream = self._inner.connect_unix_socket(path, timeout, socket_options)
        return _Plain(stream, self._source, path, self._ours)
