"""An application behind a proxy that ends TLS: the proxy's word counts if it is a gateway that proved who it is.

app = BehindGateway(app, "uri=spiffe://acme.example/gateway", trust="clients.pem")
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cryptography import x509

from twoway.credential import certificate_pem, without_root
from twoway.errors import ConfigError, PeerError, UsageError
from twoway.integrations.access import Access
from twoway.integrations.asgi import Receive, Scope, Send, refuse
from twoway.integrations.forwarded import client_cert, xfcc
from twoway.integrations.problem import Problem
from twoway.server.application import as_asgi
from twoway.server.peer import EXTENSION, peer
from twoway.tls.reload import FileWatch
from twoway.trust import Peer, Policy, Trust, verify

log = logging.getLogger("twoway.access")

Form = Literal["rfc9440", "xfcc"]
CHECK_SECONDS = 1.0
_NAMES = ("client-cert", "client-cert-chain", "x-forwarded-client-cert")
_BEGINNINGS = ("ssl-client-", "x-ssl-client-", "x-client-cert")  # what other proxies call it


class BehindGateway:
    """Middleware for ASGI and WSGI applications on a server of ours: the peer is whom a proven gateway names.

    `gateways` (rules, or a `policy`) says which peers of a connection are gateways. What they say in the header fields
    of `form` is verified again against `trust`: chain, dates, purpose, revocation. Only that a client held its key is
    the gateway's word. A gateway that names nobody makes the peer None. From everybody else the fields are taken off,
    and the peer is who made the connection. An application never sees such fields. `trust` as a path is read again when
    it changes. Raises ConfigError when it is made.

    `dangerously_trust_every_connection` is for servers that cannot tell who connects: whoever reaches the application
    counts as the gateway. Let it listen on a UNIX socket, or on loopback of a machine where you trust everybody.
    """

    def __init__(
        self,
        app: Any,
        *gateways: str,
        trust: Trust | str | Path,
        policy: Policy | str | Path | None = None,
        form: Form = "rfc9440",
        dangerously_trust_every_connection: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._everybody = dangerously_trust_every_connection
        if self._everybody and (gateways or policy is not None):
            raise UsageError(
                "gateways were named, and every connection is to be trusted", "keep one of the two"
            )
        if self._everybody:
            log.warning(
                "weakened: whoever can connect says who called; only a gateway may reach this application"
            )
        elif not gateways and policy is None:
            raise UsageError(
                "no gateway was named, so everybody could say who called",
                "name the proxy by a rule, such as uri=spiffe://acme.example/gateway",
            )
        if form not in ("rfc9440", "xfcc"):
            raise UsageError(f"no such form of client certificate headers: {form}", "choose rfc9440 or xfcc")
        self._app, self._form, self._clock = as_asgi(app), form, clock
        self._gateways = Access.of(*gateways, policy=policy).policy
        self._source = trust
        self._trust = trust if isinstance(trust, Trust) else Trust.load(trust)
        self._watch = FileWatch(() if isinstance(trust, Trust) else _files(Path(trust)))
        self._next_check = clock() + CHECK_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connected = None if self._everybody else peer(scope)
        passed = {**scope, "headers": [field for field in scope["headers"] if not _claims(field[0])]}
        if self._everybody or (connected is not None and self._gateways.decide(connected)):
            try:
                presented = self._presented(scope["headers"])
                who = await asyncio.to_thread(self._verified, presented) if presented else None
            except PeerError as error:
                by = connected.describe() if connected else "somebody"
                log.warning("refused what %s says of its client: %s", by, error)
                status = 400 if error.code == "forwarded_malformed" else 401
                await refuse(scope, receive, send, Problem(status, error.code, str(error), error.remedy))
                return
            passed["extensions"] = _told(scope.get("extensions") or {}, who, connected)
        await self._app(passed, receive, send)

    def _presented(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[x509.Certificate, ...] | None:
        """What the gateway says in the form agreed on; None when it names nobody."""

        def values(name: bytes) -> list[bytes]:
            return [bytes(value) for key, value in headers if bytes(key).lower() == name]

        if self._form == "xfcc":
            said = values(b"x-forwarded-client-cert")
            return xfcc.parse(said) if said else None
        cert, chain = values(b"client-cert"), values(b"client-cert-chain")
        return client_cert.parse(cert, chain) if cert or chain else None

    def _verified(self, presented: tuple[x509.Certificate, ...]) -> Peer:
        return Peer.from_verified(verify(presented, self._current(), purpose="client", now=datetime.now(UTC)))

    def _current(self) -> Trust:
        now = self._clock()
        if self._watch.paths and now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            if self._watch.changed():
                self._reload()
        return self._trust

    def _reload(self) -> None:
        assert not isinstance(self._source, Trust)
        try:
            new = Trust.load(self._source)
            if self._trust.checks_revocation and not new.checks_revocation:
                raise UsageError("the revocation lists are gone", "bring crl.pem back")
        except ConfigError as error:
            log.error(
                "the trust was not reloaded, the old one stays in use: %s; remedy: %s", error, error.remedy
            )
            return
        self._trust = new


def gateway(scope: Mapping[str, Any]) -> Peer | None:
    """The gateway that named the peer of this scope; None when the peer made the connection itself."""
    return scope["extensions"][EXTENSION].get("gateway")  # type: ignore[no-any-return]


def _claims(name: bytes) -> bool:
    # In a WSGI environ a dash and an underscore are the same.
    plain = bytes(name).lower().decode("latin-1").replace("_", "-")
    return plain in _NAMES or plain.startswith(_BEGINNINGS)


def _told(extensions: Mapping[str, Any], who: Peer | None, by: Peer | None) -> dict[str, Any]:
    """The extensions of the scope, with the client in the place of the gateway."""
    chain = tuple(certificate_pem(one).decode("ascii") for one in without_root(who.chain)) if who else ()
    subject = who.leaf.subject.rfc4514_string() if who else None
    tls = {**extensions.get("tls", {}), "client_cert_chain": chain, "client_cert_name": subject}
    return {**extensions, "tls": tls, EXTENSION: {"peer": who, "gateway": by}}


def _files(place: Path) -> tuple[Path, ...]:
    return (place / "ca.pem", place / "crl.pem") if place.is_dir() else (place,)
