"""Client and AsyncClient: httpx2's clients, on our engine, with an identity."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from twoway.client.aio_streams import AsyncBackend
from twoway.client.faults import PlainHttpRefused, RedirectElsewhere, as_call_error, typed
from twoway.client.source import IdentitySource
from twoway.client.streams import Backend
from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import UsageError
from twoway.tls import Session
from twoway.trust import Peer, Policy, Trust
from twoway.trust.revocation import CrlRule

if TYPE_CHECKING:
    from twoway.client.messages import Messages
    from twoway.message.recipient import Addressee


class Transport(httpx2.HTTPTransport):
    """httpx2's transport whose every TLS connection to a server is made by our engine.

    `identity` and `trust` are those of Client, or `identity` is an IdentitySource; all other arguments are
    httpx2's, without `verify` and `cert`. http:// addresses raise PlainHttpRefused. What only Client does:
    redirects are not judged, messages not signed.
    """

    def __init__(
        self,
        identity: IdentitySource | Credential | str | Path | None = None,
        *,
        trust: Trust | str | Path | None = None,
        dangerously_allow_plain_http: bool = False,
        **arguments: Any,
    ) -> None:
        _refuse_switches(arguments)
        ours = _unused_context()
        super().__init__(verify=ours, **arguments)
        self._plain_http = dangerously_allow_plain_http
        self._pool._network_backend = Backend(_source(identity, trust), ours)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._plain_http:
            _refuse_plain_http(request.url)
        with typed(request):
            response = super().handle_request(request)
        response.stream = _Body(response.stream, request)
        return response


class AsyncTransport(httpx2.AsyncHTTPTransport):
    """The same for asyncio and trio."""

    def __init__(
        self,
        identity: IdentitySource | Credential | str | Path | None = None,
        *,
        trust: Trust | str | Path | None = None,
        dangerously_allow_plain_http: bool = False,
        **arguments: Any,
    ) -> None:
        _refuse_switches(arguments)
        ours = _unused_context()
        super().__init__(verify=ours, **arguments)
        self._plain_http = dangerously_allow_plain_http
        self._pool._network_backend = AsyncBackend(_source(identity, trust), ours)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._plain_http:
            _refuse_plain_http(request.url)
        with typed(request):
            response = await super().handle_async_request(request)
        response.stream = _AsyncBody(response.stream, request)
        return response


def _source(
    identity: IdentitySource | Credential | str | Path | None, trust: Trust | str | Path | None
) -> IdentitySource:
    return identity if isinstance(identity, IdentitySource) else IdentitySource(identity, trust)


def _refuse_switches(arguments: dict[str, Any]) -> None:
    for name in ("verify", "cert"):
        if name in arguments:
            raise UsageError(
                f"a twoway client has no {name}=: it always checks, and always shows its identity",
                "pass identity= (who you are) and trust= (the bundle of authorities you believe)",
            )
    if arguments.get("http2"):
        raise UsageError("a twoway client speaks HTTP/1.1", "leave http2 out")


def _refuse_plain_http(url: httpx2.URL) -> None:
    if url.scheme in ("http", "ws"):
        raise as_call_error(PlainHttpRefused(str(url.copy_with(userinfo=None))))


class _Body(httpx2.SyncByteStream):
    """The body of an answer, whose errors are typed too."""

    def __init__(self, inner: Any, request: httpx2.Request) -> None:
        self._inner, self._request = inner, request

    def __iter__(self) -> Iterator[bytes]:
        with typed(self._request):
            yield from self._inner

    def close(self) -> None:
        self._inner.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, inner: Any, request: httpx2.Request) -> None:
        self._inner, self._request = inner, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with typed(self._request):
            async for part in self._inner:
                yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


def _unused_context() -> ssl.SSLContext:
    """The mark of TLS that is ours. It trusts nobody: if it were ever used, every handshake would fail."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _Calls:
    """What both clients add to httpx2's."""

    _source: IdentitySource
    _plain_http: bool
    _redirects: frozenset[str]
    _messages: Messages | None
    _transport_class: type[Any]

    def __init__(
        self,
        *,
        identity: Credential | str | Path | None = None,
        trust: Trust | str | Path | None = None,
        crl: str | Path | tuple[str | Path, ...] = (),
        crl_rule: CrlRule = "refuse",
        servers: Policy | None = None,
        passphrase: Passphrase = None,
        resume: bool = True,
        sign: bool = False,
        seal_for: Addressee | None = None,
        redirect_identity_to: Collection[str] = (),
        dangerously_allow_plain_http: bool = False,
        **arguments: Any,
    ) -> None:
        _refuse_switches(arguments)
        self._plain_http = dangerously_allow_plain_http
        self._redirects = frozenset(redirect_identity_to)
        self._source = IdentitySource(
            identity, trust, crl, crl_rule=crl_rule, policy=servers, passphrase=passphrase, resume=resume
        )
        if seal_for is not None and not sign:
            raise UsageError(
                "a sealed call is signed too, or nobody knows whose it is", "pass sign=True beside seal_for="
            )
        self._messages = None
        if sign:
            from twoway.client.messages import Messages  # not everybody signs, and it costs a while to import

            self._messages = Messages(self._source, seal_for)
        super().__init__(**arguments)

    def _init_transport(self, transport: Any = None, **arguments: Any) -> Any:
        return transport if transport is not None else self._our_transport(arguments)

    def _init_proxy_transport(self, proxy: Any, **arguments: Any) -> Any:
        return self._our_transport({**arguments, "proxy": proxy})

    def _our_transport(self, arguments: dict[str, Any]) -> Any:
        given = {name: value for name, value in arguments.items() if name not in ("verify", "cert")}
        # Each request has been through `_check`.
        return self._transport_class(self._source, dangerously_allow_plain_http=True, **given)

    def _check(self, request: httpx2.Request) -> None:
        """Nothing goes out in clear, and no redirect is followed to where the identity was not to be shown."""
        if not self._plain_http:
            _refuse_plain_http(request.url)
        origin = request.extensions.get(_REDIRECTED_BY)
        if (
            origin is not None
            and origin != _origin(request.url)
            and _origin(request.url) not in self._redirects
        ):
            raise as_call_error(RedirectElsewhere(origin, str(request.url)))

    def _build_redirect_request(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Request:
        following: httpx2.Request = super()._build_redirect_request(request, response)  # type: ignore[misc]
        following.extensions = {**request.extensions, _REDIRECTED_BY: _origin(request.url)}
        return following


_REDIRECTED_BY = "twoway.redirected_by"


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _remember_peer(response: httpx2.Response) -> httpx2.Response:
    response.extensions["twoway.peer"] = peer(response)
    return response


class Client(_Calls, httpx2.Client):  # type: ignore[misc]  # the two hooks take what httpx2 passes
    """An httpx2.Client that shows who it is and lets itself be answered only by a proven server.

    `identity` is an identity directory, a PKCS#12 file or a Credential (None calls without a certificate);
    `trust` a bundle of authorities, by default the one beside the identity; `crl` revocation lists. A
    directory is read again when its files change. `servers` may narrow by policy which proven servers are
    talked to. A redirect to another origin raises RedirectElsewhere unless `redirect_identity_to` names it,
    an http:// address PlainHttpRefused. `sign` signs each request (RFC 9421) and believes only answers that the
    server signed for it, the signer being in `response.extensions["twoway.signer"]`; `seal_for` seals bodies for
    a partner's certificate, and his answers come sealed. All other arguments are httpx2's, without `verify` and `cert`.

    Whatever goes wrong in a connection is raised as a TwowayError that is an httpx2.TransportError too. Who
    the server proved to be is in `response.extensions["twoway.peer"]`. TLS to an https:// proxy is made without
    the identity, which a proxy has no business with.
    """

    _transport_class = Transport

    def _send_single_request(self, request: httpx2.Request) -> httpx2.Response:
        self._check(request)
        if self._messages is None:
            return _remember_peer(super()._send_single_request(request))
        request.read()
        signed, exchange = self._messages.outgoing(request)
        response = _remember_peer(super()._send_single_request(signed))
        try:
            return exchange.incoming(response, b"".join(response.iter_raw()))
        finally:
            response.close()


class AsyncClient(_Calls, httpx2.AsyncClient):  # type: ignore[misc]  # as above
    """An httpx2.AsyncClient that shows who it is; as Client, on asyncio and trio."""

    _transport_class = AsyncTransport

    async def _send_single_request(self, request: httpx2.Request) -> httpx2.Response:
        self._check(request)
        if self._messages is None:
            return _remember_peer(await super()._send_single_request(request))
        await request.aread()
        signed, exchange = self._messages.outgoing(request)
        response = _remember_peer(await super()._send_single_request(signed))
        try:
            return exchange.incoming(response, b"".join([part async for part in response.aiter_raw()]))
        finally:
            await response.aclose()


def session(response: httpx2.Response) -> Session | None:
    """The TLS session that a response came over; None over plain HTTP."""
    stream = response.extensions.get("network_stream")
    return stream.get_extra_info("twoway.session") if stream is not None else None


def peer(response: httpx2.Response) -> Peer | None:
    """Who the server of a response proved to be; None over plain HTTP."""
    found = session(response)
    return found.peer if found is not None else None
