"""The same as streams.py for asyncio and trio.

An event loop closes a socket whose write has failed, with all that the other side said before: its alert would
be lost. So until the server has been heard a second descriptor of the socket is kept, and read in that case.
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

from twoway.client.conversation import (
    CHUNK,
    LINGER_SECONDS,
    Conversation,
    name_in_errors,
    rest_of,
    second_handle,
)
from twoway.client.faults import as_call_error, naming
from twoway.client.source import IdentitySource
from twoway.errors import TwowayError


class AsyncTlsStream(httpcore2.AsyncNetworkStream):
    """TLS of ours over another asynchronous stream."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream, talk: Conversation) -> None:
        self._inner, self._talk = inner, talk
        self._handle = second_handle(inner)

    async def handshake(self, timeout: float | None) -> None:
        session, inner, talk = self._talk.session, self._inner, self._talk
        try:
            while not session.advance():
                await self._flush(timeout)
                data = await inner.read(CHUNK, timeout)
                if not data:
                    session.eof()
                session.receive(data)
            with contextlib.suppress(httpcore2.WriteError):  # what the server said meanwhile is read next
                await self._flush(timeout)
        except (httpcore2.ReadTimeout, httpcore2.WriteTimeout):
            await self._close()
            raise talk.too_slow("the handshake", timeout, httpx2.ConnectTimeout) from None
        except (httpcore2.ReadError, httpcore2.WriteError) as error:
            fault = talk.last_words(self._rest(), error)
            await self._close()
            raise as_call_error(fault) from error
        except TwowayError as fault:
            await self._refuse()
            raise as_call_error(fault) from fault
        except BaseException:
            await self._close()
            raise

    async def _flush(self, timeout: float | None) -> None:
        if data := self._talk.session.outgoing():
            await self._inner.write(data, timeout)

    def _rest(self) -> bytes:
        handle, self._handle = self._handle, None
        return rest_of(handle)

    def _forget(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    async def _close(self) -> None:
        self._forget()
        await self._inner.aclose()

    async def _refuse(self) -> None:
        """Deliver the alert, end our side, and let the server read it before the socket goes."""
        until = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, OSError):
            await self._flush(LINGER_SECONDS)
            if self._handle is not None:
                self._handle.shutdown(socket.SHUT_WR)
                while (left := until - time.monotonic()) > 0 and await self._inner.read(CHUNK, left):
                    pass
        await self._close()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        talk = self._talk
        session = talk.session
        try:
            while True:
                data = session.read()
                with contextlib.suppress(httpcore2.WriteError):
                    await self._flush(timeout)
                if data:
                    self._forget()
                    talk.heard()
                    return data
                if data is not None:
                    return talk.goodbye()
                try:
                    arrived = await self._inner.read(CHUNK, timeout)
                except httpcore2.ReadError:
                    arrived = self._rest()
                    if not arrived:
                        raise
                if not arrived:
                    return talk.ended()
                session.receive(arrived)
        except httpcore2.ReadTimeout:
            raise talk.too_slow("the server's answer", timeout, httpx2.ReadTimeout) from None
        except httpcore2.ReadError as error:
            raise as_call_error(talk.broke(error)) from error
        except TwowayError as fault:
            raise as_call_error(fault) from fault

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._talk.session.write(buffer)
            try:
                await self._flush(timeout)
            except httpcore2.WriteTimeout:
                raise self._talk.too_slow("sending the request", timeout, httpx2.WriteTimeout) from None

    async def aclose(self) -> None:
        with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException, TwowayError, OSError):
            self._talk.session.close_notify()
            await self._flush(0.1)
        await self._close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return await start_tls(self, self._talk.source, server_hostname, self._talk.target, timeout)

    def get_extra_info(self, info: str) -> Any:
        return self._talk.fact(info, self._inner)


async def start_tls(
    inner: httpcore2.AsyncNetworkStream,
    source: IdentitySource,
    server_name: str | None,
    target: str,
    timeout: float | None,
) -> httpcore2.AsyncNetworkStream:
    try:
        talk = Conversation(source, server_name or target, name_in_errors(server_name, target))
    except TwowayError as fault:
        await inner.aclose()
        raise as_call_error(fault) from fault
    stream = AsyncTlsStream(inner, talk)
    await stream.handshake(timeout)
    return stream


class _Plain(httpcore2.AsyncNetworkStream):
    """A socket's stream that knows where it leads, until TLS begins on it; TLS to a proxy is not ours."""

    def __init__(
        self, inner: httpcore2.AsyncNetworkStream, source: IdentitySource, target: str, ours: ssl.SSLContext
    ) -> None:
        self._inner, self._source, self._target, self._ours = inner, source, target, ours
        self.read, self.write, self.aclose = inner.read, inner.write, inner.aclose  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        if ssl_context is not self._ours:
            covered = await self._inner.start_tls(ssl_context, server_hostname, timeout)
            return _Plain(covered, self._source, self._target, self._ours)
        return await start_tls(self._inner, self._source, server_hostname, self._target, timeout)


class AsyncBackend(httpcore2.AsyncNetworkBackend):
    """Connects sockets for httpcore2; TLS on them is ours where the context is `ours`, which is a mark only."""

    def __init__(self, source: IdentitySource, ours: ssl.SSLContext) -> None:
        self._source, self._ours, self._inner = source, ours, httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        target = f"{host}:{port}"
        with naming(target):
            stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Plain(stream, self._source, target, self._ours)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        with naming(path):
            stream = await self._inner.connect_unix_socket(path, timeout, socket_options)
        return _Plain(stream, self._source, path, self._ours)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
