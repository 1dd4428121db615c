"""gRPC servers: credentials that reload, the peer of a call, and rules about who may call.

mutual = MutualTls(identity="api")
server = grpc.server(pool, interceptors=[mutual.allow(uri="spiffe://acme.example/**")])
server.add_secure_port("127.0.0.1:8443", mutual.credentials())
...
def Update(self, request, context): mutual.peer(context)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509

from twoway.credential import certificate_pem
from twoway.errors import PeerDenied, PeerError, TwowayError, UsageError
from twoway.integrations.access import Access, NobodyProven
from twoway.server.options import ServeOptions
from twoway.tls import ServerSettings
from twoway.tls.reload import FileWatch
from twoway.trust import Peer, Policy, verify

log = logging.getLogger("twoway.access")


class MutualTls:
    """What a gRPC server shows, whom it believes, and who called; options are those of ServeOptions about identities.

    gRPC's own TLS makes the handshake and checks chain and key there. It knows no revocation lists and no policy, so
    both are judged for each call, with the chain once more; a caller that is not let in gets UNAUTHENTICATED or
    PERMISSION_DENIED. Files are looked at for each new connection and each call. Raises ConfigError when it is made.
    """

    def __init__(self, **options: Any) -> None:
        self._options = ServeOptions(**options)
        if self._options.clients == "none":
            raise UsageError("clients=none leaves nobody to prove", "choose required or optional")
        self._settings = self._options.settings()
        self._watch = FileWatch(self._options.watched())
        self._lock = threading.Lock()

    def credentials(self) -> Any:
        """For `add_secure_port`; a renewed identity is shown on the next connection."""
        shown = [self._settings]

        def fetch() -> Any:
            new = self._current()
            if new is shown[0]:
                return None
            shown[0] = new
            return _configuration(new)

        required = self._options.clients == "required"
        return grpc.dynamic_ssl_server_credentials(_configuration(self._settings), fetch, required)

    def peer(self, context: Any) -> Peer | None:
        """Who makes this call, verified against the trust of now; None for a caller without a certificate.

        Raises a PeerUntrusted when the certificate no longer holds, as after a revocation.
        """
        told = context.auth_context()
        found = told.get("x509_pem_cert")
        if not found:
            return None
        settings = self._current()
        assert settings.trust is not None
        leaf = x509.load_pem_x509_certificate(found[0])
        # A server's chain begins above the leaf, in some versions with it.
        above = b"".join(told.get("x509_pem_cert_chain", ()))
        chain = (leaf, *(one for one in _certificates(above) if one != leaf))
        verified = verify(chain, settings.trust, purpose="client", now=datetime.now(UTC))
        return Peer.from_verified(verified, address=context.peer())

    def allow(
        self, *rules: str, policy: Policy | str | Path | None = None, **conditions: Any
    ) -> PeerInterceptor:
        """An interceptor for `grpc.server`: only callers who are allowed (by what Access.of takes) are heard."""
        return PeerInterceptor(self, Access.of(*rules, policy=policy, **conditions))

    def check(self, context: Any, access: Access, method: str) -> None:
        """Raises PeerDenied or a PeerUntrusted unless the caller may make this call, by the server's policy as well."""
        who = access.check(self.peer(context), what=method)
        Access(self._current().policy, method).check(who)

    def _current(self) -> ServerSettings:
        with self._lock:
            if self._watch.changed():
                try:
                    new = self._options.settings()
                    before, after = self._settings.trust, new.trust
                    if before and before.checks_revocation and after and not after.checks_revocation:
                        raise UsageError("the revocation lists are gone", "bring crl.pem back")
                    self._settings = new
                except TwowayError as error:
                    log.error("not reloaded, the old identity serves: %s; remedy: %s", error, error.remedy)
                    self._watch = FileWatch(self._options.watched())
            return self._settings


class PeerInterceptor(grpc.ServerInterceptor):
    """Judges each call before its handler hears of it."""

    def __init__(self, mutual: MutualTls, access: Access) -> None:
        self._mutual, self._access = mutual, access

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None:
            return None
        kind = ("stream" if handler.request_streaming else "unary") + (
            "_stream" if handler.response_streaming else "_unary"
        )
        behaviour = getattr(handler, kind)

        def guarded(request: Any, context: Any) -> Any:
            try:
                self._mutual.check(context, self._access, details.method)
            except PeerError as error:
                denied = isinstance(error, PeerDenied) and not isinstance(error, NobodyProven)
                code = grpc.StatusCode.PERMISSION_DENIED if denied else grpc.StatusCode.UNAUTHENTICATED
                if not isinstance(error, PeerDenied):
                    log.warning("%s: refused %s: %s", details.method, context.peer(), error)
                context.abort(code, f"{error}; remedy: {error.remedy}")
            return behaviour(request, context)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(guarded, handler.request_deserializer, handler.response_serializer)


def _configuration(settings: ServerSettings) -> Any:
    credential, trust = settings.credential, settings.trust
    assert trust is not None
    roots = b"".join(certificate_pem(one) for one in trust.anchors)
    return grpc.ssl_server_certificate_configuration(
        [(credential.key_pem(), credential.certificate_pem())], root_certificates=roots
    )


def _certificates(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem) if pem else []
