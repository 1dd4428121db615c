"""SignedMessages: an application that hears only signed requests, in clear, and whose answers are signed."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import PeerUntrusted, TwowayError, UsageError
from twoway.message.faults import MessageError
from twoway.message.http.exchange import Judged, ServerSide
from twoway.message.http.exchanged import HttpRequest, HttpResponse, values_of
from twoway.message.http.faults import BodyTooLarge, ExchangeRefused, SignatureMalformed
from twoway.message.http.replay import ReplayCache
from twoway.message.http.verifying import Verifier
from twoway.server.peer import EXTENSION
from twoway.tls.reload import FileWatch
from twoway.tls.settings import trust_of
from twoway.trust import Peer, Trust

log = logging.getLogger("twoway.server")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
KEY = "twoway.message"
MAX_BODY = 8 * 1024 * 1024
CHECK_SECONDS = 1.0
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class SignedMessages:
    """ASGI middleware: who signed a request is proven before the application hears of it.

    `identity` opens what is sealed and signs the answers; a directory is read again when its files change.
    `trust` (by default the authorities beside the identity) says whose signatures count. `origin` is how callers
    address the application, where something in front changes that: "https://api.acme.example". `require_sealed`
    refuses bodies in clear. `replays` remembers nonces, for this process and in a bounded number. Bodies of both directions are held in memory, up to `max_body` bytes.

    Who signed is `twoway.signer(scope)`. A request that is refused is answered with 400, 401 or 413 and a problem
    document with the reason. WebSockets are closed: nothing about them is signed.
    """

    def __init__(
        self,
        app: Any,
        *,
        identity: Credential | str | Path,
        trust: Trust | str | Path | None = None,
        passphrase: Passphrase = None,
        origin: str | None = None,
        require_sealed: bool = False,
        max_body: int = MAX_BODY,
        replays: ReplayCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._origin, self._max_body = app, origin, max_body
        self._identity, self._trust, self._passphrase = identity, trust, passphrase
        self._require_sealed, self._clock = require_sealed, clock
        self._replays = replays or ReplayCache()  # across reloads: what was seen stays seen
        self._lock = threading.Lock()
        self._watch = FileWatch(self._files())
        self._next_check = clock() + CHECK_SECONDS
        self._side = self._load()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "only signed requests are heard"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        side = self._current()
        body = await _read(receive, self._max_body)
        request = HttpRequest(scope["method"], "", _headers(scope), body or b"")
        try:
            if body is None:
                raise BodyTooLarge(self._max_body)
            request = replace(request, url=self._url(scope, request))
            judged = side.incoming(request, also=_connection(scope))
        except TwowayError as error:
            log.warning("a signed request was refused: %s (%s); remedy: %s", error, error.code, error.remedy)
            await _answer(side.outgoing(_problem(request, error), None), send)
            return
        answer = _Collector(request, self._max_body)
        await self._app(_scope(scope, judged), _Given(judged.request.body, receive), answer)
        await _answer(side.outgoing(answer.response(), judged), send)

    def _url(self, scope: Mapping[str, Any], request: HttpRequest) -> str:
        """The target URI as the caller wrote it (RFC 9421 §2.2.2)."""
        hosts = values_of(request.headers, "Host")
        if len(hosts) != 1:
            raise SignatureMalformed(f"there are {len(hosts)} Host headers and not one")
        if not _HOST.fullmatch(hosts[0]) or not scope["path"].startswith("/"):
            # With a slash in it, another path would make the same target (RFC 9110 §7.2).
            raise SignatureMalformed("the Host header is no host, or the path no path")
        origin = self._origin or f"{scope.get('scheme', 'https')}://{hosts[0]}"
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        query: bytes = scope.get("query_string", b"")
        target = raw.partition(b"?")[0].decode("latin-1")
        return f"{origin}{target}" + (f"?{query.decode('latin-1')}" if query else "")

    def _current(self) -> ServerSide:
        now = self._clock()
        if self._watch.paths and now >= self._next_check:
            with self._lock:
                if now >= self._next_check:
                    self._next_check = now + CHECK_SECONDS
                    if self._watch.changed():
                        self._reload()
        return self._side

    def _reload(self) -> None:
        try:
            self._side = self._load()
        except TwowayError as error:
            self._watch = FileWatch(self._files())
            log.error(
                "the identity was not reloaded, the old one stays in use: %s; remedy: %s", error, error.remedy
            )

    def _load(self) -> ServerSide:
        identity = self._identity
        if not isinstance(identity, Credential):
            identity = Credential.load(identity, passphrase=self._passphrase)
        trust = self._trust
        if not isinstance(trust, Trust):
            trust = Trust.load(trust) if trust is not None else trust_of(identity)
        return ServerSide(identity, Verifier(trust, replays=self._replays), self._require_sealed)

    def _files(self) -> tuple[Path, ...]:
        places = [Path(one) for one in (self._identity, self._trust) if isinstance(one, (str, Path))]
        names = ("cert.pem", "key.pem", "ca.pem", "crl.pem")
        return tuple(
            path
            for place in places
            for path in ([place / name for name in names] if place.is_dir() else [place])
        )


def signer(scope: Mapping[str, Any]) -> Peer:
    """Who signed this request; raises UsageError where no SignedMessages is around the application."""
    try:
        found: Judged = scope["extensions"][KEY]
    except (KeyError, TypeError):
        raise UsageError(
            "nobody is known to have signed this request",
            "wrap the application: twoway.SignedMessages(app, identity=…)",
        ) from None
    return found.signer


class _Given:
    """The body in clear, once; then whatever else the server has to say."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Collector:
    """Takes the application's answer, which is signed as a whole."""

    def __init__(self, request: HttpRequest, limit: int) -> None:
        self._request, self._limit = request, limit
        self._status = 500
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body = bytearray()

    async def __call__(self, event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self._status, self._headers = event["status"], _decoded(event.get("headers", ()))
        elif event["type"] == "http.response.body":
            self._body += event.get("body", b"")
            if len(self._body) > self._limit:
                raise UsageError(
                    f"the answer has more than {self._limit} bytes", "answer less at once, or raise max_body"
                )

    def response(self) -> HttpResponse:
        return HttpResponse(self._status, self._request, self._headers, bytes(self._body))


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None for one beyond the limit."""
    body, more = bytearray(), True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            break
        body += event.get("body", b"")
        more = event.get("more_body", False)
        if len(body) > limit:
            return None
    return bytes(body)


async def _answer(response: HttpResponse, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _problem(request: HttpRequest, error: TwowayError) -> HttpResponse:
    """RFC 9457: why a request was refused; nothing in it depends on a key."""
    status = (
        error.status
        if isinstance(error, ExchangeRefused)
        else 401
        if isinstance(error, PeerUntrusted)
        else 400
    )
    if not isinstance(error, (MessageError, PeerUntrusted)):
        status = 500
    said = {"status": status, "code": error.code, "title": str(error), "remedy": error.remedy}
    body = json.dumps(said).encode()
    headers = (("Content-Type", "application/problem+json"), ("Content-Length", str(len(body))))
    return HttpResponse(status, request, headers, body)


def _scope(scope: MutableMapping[str, Any], judged: Judged) -> dict[str, Any]:
    """The scope with the headers in clear, and who signed."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in judged.request.headers
    ]
    return {**scope, "headers": headers, "extensions": {**(scope.get("extensions") or {}), KEY: judged}}


def _headers(scope: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return _decoded(scope["headers"])


def _decoded(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple((bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers)


def _connection(scope: Mapping[str, Any]) -> list[Any]:
    """The chain of whoever made the connection: he may sign without sending it again."""
    found = (scope.get("extensions") or {}).get(EXTENSION, {}).get("peer")
    return [found.chain] if found is not None else []
