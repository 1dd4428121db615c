"""Our TLS as streams of httpcore2, over whatever stream it has to the other side: a socket, or a tunnel.

In TLS 1.3 the handshake is over for a client before the server has judged its certificate. So a failed
write is never the last word: httpcore2 reads after it, and what the server said comes out there.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2

from twoway.client.faults import as_call_error
from twoway.client.source import IdentitySource
from twoway.errors import NetworkError, TwowayError
from twoway.steps import Step
from twoway.tls import (
    ClientContext,
    ConnectFailed,
    ConnectionBroke,
    ConnectionCut,
    Session,
    TimedOut,
    Truncated,
)

_CHUNK = 65536
_LINGER_SECONDS = 1.0


class _Conversation:
    """What the blocking and the asynchronous stream share: the session, and the meaning of its ends."""

    def __init__(self, source: IdentitySource, server_name: str, target: str) -> None:
        self.source, self.target = source, target
        self.context: ClientContext = source.context()
        self.session = Session(
            self.context,
            server_name=server_name,
            target=target,
            ticket=source.take_ticket(target, self.context),
        )
        self._heard = False

    def heard(self) -> None:
        """The server has sent application data: it has judged us, and its tickets have come."""
        if not self._heard:
            self._heard = True
            self.source.keep_ticket(self.target, self.context, self.session.ticket())

    def ended(self) -> bytes:
        """The transport has ended: b"" where that is a proper end; raises what else it is."""
        try:
            self.session.eof()
        except Truncated:
            if self._heard:
                raise
            raise self.closed_unheard() from None
        return self.goodbye()

    def goodbye(self) -> bytes:
        """The server said close_notify: a proper end, unless it never said anything else."""
        if self._heard:
            return b""
        raise self.closed_unheard()

    def closed_unheard(self) -> TwowayError:
        """Hung up after the handshake without a word: some servers refuse a certificate that way."""
        return ConnectionCut(Step.SERVER_CHECKS, "client", self.target)

    def broke(self, error: Exception) -> TwowayError:
        if not self.session.complete:
            return ConnectionCut(self.session.step, "client", self.target)
        if not self._heard:
            return self.closed_unheard()
        return ConnectionBroke(self.target, str(error) or "reset by the other side")

    def fact(self, info: str, inner: Any) -> Any:
        if info == "twoway.session":
            return self.session
        if info == "twoway.peer":
            return self.session.peer
        if info == "ssl_object":
            return None  # we offer HTTP/1.1 only, and have no ssl.SSLObject
        return inner.get_extra_info(info)


class TlsStream(httpcore2.NetworkStream):
    """TLS of ours over another blocking stream."""

    def __init__(self, inner: httpcore2.NetworkStream, talk: _Conversation) -> None:
        self._inner, self._talk = inner, talk

    def handshake(self, timeout: float | None) -> None:
        session, inner = self._talk.session, self._inner
        try:
            while not session.advance():
                self._flush(timeout)
                data = inner.read(_CHUNK, timeout)
                if not data:
                    session.eof()
                session.receive(data)
            self._flush(timeout)
        except (httpcore2.ReadTimeout, httpcore2.WriteTimeout):
            self.close()
            raise as_call_error(TimedOut("the handshake", timeout or 0)) from None
        except (httpcore2.ReadError, httpcore2.WriteError) as error:
            self.close()
            raise as_call_error(self._talk.broke(error)) from error
        except TwowayError as fault:
            self._refuse()
            raise as_call_error(fault) from fault
        except BaseException:
            self.close()
            raise

    def _flush(self, timeout: float | None) -> None:
        if data := self._talk.session.outgoing():
            self._inner.write(data, timeout)

    def _refuse(self) -> None:
        """Deliver the alert, end our side, and let the server read it before the socket goes."""
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, OSError):
            self._flush(_LINGER_SECONDS)
            sock = self._inner.get_extra_info("socket")
            if sock is not None:
                sock.shutdown(socket.SHUT_WR)
                while self._inner.read(_CHUNK, _LINGER_SECONDS):
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
                arrived = self._inner.read(_CHUNK, timeout)
                if not arrived:
                    return talk.ended()
                session.receive(arrived)
        except httpcore2.ReadError as error:
            raise as_call_error(talk.broke(error)) from error
        except TwowayError as fault:
            raise as_call_error(fault) from fault

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._talk.session.write(buffer)
            self._flush(timeout)

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


class AsyncTlsStream(httpcore2.AsyncNetworkStream):
    """TLS of ours over another asynchronous stream."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream, talk: _Conversation) -> None:
        self._inner, self._talk = inner, talk

    async def handshake(self, timeout: float | None) -> None:
        session, inner = self._talk.session, self._inner
        try:
            while not session.advance():
                await self._flush(timeout)
                data = await inner.read(_CHUNK, timeout)
                if not data:
                    session.eof()
                session.receive(data)
            await self._flush(timeout)
        except (httpcore2.ReadTimeout, httpcore2.WriteTimeout):
            await inner.aclose()
            raise as_call_error(TimedOut("the handshake", timeout or 0)) from None
        except (httpcore2.ReadError, httpcore2.WriteError) as error:
            await inner.aclose()
            raise as_call_error(self._talk.broke(error)) from error
        except TwowayError as fault:
            await self._refuse()
            raise as_call_error(fault) from fault
        except BaseException:
            await inner.aclose()
            raise

    async def _flush(self, timeout: float | None) -> None:
        if data := self._talk.session.outgoing():
            await self._inner.write(data, timeout)

    async def _refuse(self) -> None:
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, OSError):
            await self._flush(_LINGER_SECONDS)
            sock = self._inner.get_extra_info("socket")
            if sock is not None:
                sock.shutdown(socket.SHUT_WR)
                while await self._inner.read(_CHUNK, _LINGER_SECONDS):
                    pass
        await self._inner.aclose()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        talk = self._talk
        session = talk.session
        try:
            while True:
                data = session.read()
                await self._flush(timeout)
                if data:
                    talk.heard()
                    return data
                if data is not None:
                    return talk.goodbye()
                arrived = await self._inner.read(_CHUNK, timeout)
                if not arrived:
                    return talk.ended()
                session.receive(arrived)
        except httpcore2.ReadError as error:
            raise as_call_error(talk.broke(error)) from error
        except TwowayError as fault:
            raise as_call_error(fault) from fault

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._talk.session.write(buffer)
            await self._flush(timeout)

    async def aclose(self) -> None:
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, TwowayError, OSError):
            self._talk.session.close_notify()
            await self._flush(0.1)
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return await start_tls_async(self, self._talk.source, server_hostname, self._talk.target, timeout)

    def get_extra_info(self, info: str) -> Any:
        return self._talk.fact(info, self._inner)


def start_tls(
    inner: httpcore2.NetworkStream,
    source: IdentitySource,
    server_name: str | None,
    target: str,
    timeout: float | None,
) -> httpcore2.NetworkStream:
    stream = TlsStream(inner, _Conversation(source, server_name or target, _named(server_name, target)))
    stream.handshake(timeout)
    return stream


async def start_tls_async(
    inner: httpcore2.AsyncNetworkStream,
    source: IdentitySource,
    server_name: str | None,
    target: str,
    timeout: float | None,
) -> httpcore2.AsyncNetworkStream:
    stream = AsyncTlsStream(inner, _Conversation(source, server_name or target, _named(server_name, target)))
    await stream.handshake(timeout)
    return stream


def _named(server_name: str | None, target: str) -> str:
    """What errors call the server: through a tunnel the socket leads to the proxy, the name to the server."""
    host = target.rpartition(":")[0]
    return target if server_name in (None, host) else f"{server_name} (through {target})"


class _Plain(httpcore2.NetworkStream):
    """A socket's stream that knows where it leads, until TLS begins on it."""

    def __init__(self, inner: httpcore2.NetworkStream, source: IdentitySource, target: str) -> None:
        self._inner, self._source, self._target = inner, source, target
        self.read, self.write, self.close = inner.read, inner.write, inner.close  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return start_tls(self._inner, self._source, server_hostname, self._target, timeout)


class _AsyncPlain(httpcore2.AsyncNetworkStream):
    def __init__(self, inner: httpcore2.AsyncNetworkStream, source: IdentitySource, target: str) -> None:
        self._inner, self._source, self._target = inner, source, target
        self.read, self.write, self.aclose = inner.read, inner.write, inner.aclose  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return await start_tls_async(self._inner, self._source, server_hostname, self._target, timeout)


class Backend(httpcore2.NetworkBackend):
    """Connects sockets for httpcore2; TLS on them is ours."""

    def __init__(self, source: IdentitySource) -> None:
        self._source, self._inner = source, httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        except httpcore2.ConnectTimeout:
            raise as_call_error(TimedOut(f"connecting to {host}:{port}", timeout or 0)) from None
        except httpcore2.ConnectError as error:
            raise as_call_error(connect_failed(host, port, error)) from error
        return _Plain(stream, self._source, f"{host}:{port}")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        return _Plain(self._inner.connect_unix_socket(path, timeout, socket_options), self._source, path)


class AsyncBackend(httpcore2.AsyncNetworkBackend):
    """The same for asyncio and trio."""

    def __init__(self, source: IdentitySource) -> None:
        self._source, self._inner = source, httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        except httpcore2.ConnectTimeout:
            raise as_call_error(TimedOut(f"connecting to {host}:{port}", timeout or 0)) from None
        except httpcore2.ConnectError as error:
            raise as_call_error(connect_failed(host, port, error)) from error
        return _AsyncPlain(stream, self._source, f"{host}:{port}")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _AsyncPlain(
            await self._inner.connect_unix_socket(path, timeout, socket_options), self._source, path
        )

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def connect_failed(host: str, port: int, error: Exception) -> NetworkError:
    cause = error.__cause__ or error.__context__
    reason = (cause.strerror if isinstance(cause, OSError) else None) or str(error) or "no reason given"
    return ConnectFailed(f"{host}:{port}", reason)
