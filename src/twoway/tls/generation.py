"""Generations: a change of anything is built aside, tried with a handshake, and only then swapped in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Lock

from OpenSSL import SSL

from twoway.errors import ConfigError, TwowayError
from twoway.names import matches_hostname
from twoway.tls.context import ClientContext, ServerContext
from twoway.tls.session import Session
from twoway.tls.settings import ClientSettings, ServerSettings
from twoway.trust import NoCertificate

Prepare = Callable[[ServerContext], None]  # what is done to a context before any connection is made of it


class TrialFailed(ConfigError):
    """A new configuration loads, and yet no handshake succeeds with it."""

    code = "trial_failed"

    def __init__(self, identity: str, reason: str) -> None:
        super().__init__(identity, reason)
        self.identity, self.reason = identity, reason

    def __str__(self) -> str:
        return f"a trial handshake with the identity {self.identity} failed: {self.reason}"

    @property
    def remedy(self) -> str:
        return "check the certificate, its key type and the TLS versions; what ran before goes on unchanged"


class RevocationVanished(ConfigError):
    """The revocation lists that were there are gone: a lost file must not let revoked identities in."""

    code = "revocation_vanished"

    def __init__(self, lists: int) -> None:
        super().__init__(lists)
        self.lists = lists

    def __str__(self) -> str:
        return f"expected revocation lists, of which there were {self.lists}, got none"

    @property
    def remedy(self) -> str:
        return "bring crl.pem back; to go on without checking revocation, restart without it"


class ServerGeneration:
    """The contexts of one listener at one moment: one for each server name, and one for all others."""

    def __init__(self, settings: ServerSettings, number: int, prepare: Prepare | None = None) -> None:
        self.settings, self.number = settings, number
        self.default = ServerContext(settings, generation=number)
        self.named = tuple(
            (pattern, ServerContext(inner, generation=number)) for pattern, inner in settings.names
        )
        for context in (self.default, *(context for _, context in self.named)):
            if prepare is not None:
                prepare(context)
            try_server(context)

    def context_for(self, server_name: str | None) -> ServerContext:
        """The context whose name matches, the exact ones first; otherwise the default."""
        if server_name is not None:
            for pattern, context in self.named:
                if pattern == server_name:
                    return context
            for pattern, context in self.named:
                if matches_hostname(pattern, server_name):
                    return context
        return self.default


class LiveServer:
    """The generation that new connections get; `reload` replaces it or leaves it as it was."""

    def __init__(self, settings: ServerSettings, prepare: Prepare | None = None) -> None:
        self._lock, self._prepare = Lock(), prepare
        self._current = ServerGeneration(settings, 1, prepare)

    @property
    def current(self) -> ServerGeneration:
        return self._current

    def reload(self, load: Callable[[], ServerSettings]) -> ServerGeneration:
        """Load, build and try a new generation, then swap it in; on any error the old one keeps serving.

        What checks revocation goes on to: lists that are gone raise RevocationVanished.
        """
        with self._lock:
            settings = load()
            before, after = self._current.settings.trust, settings.trust
            if before is not None and before.checks_revocation and after and not after.checks_revocation:
                raise RevocationVanished(len(before.crls))
            new = ServerGeneration(settings, self._current.number + 1, self._prepare)
            self._current = new
            return new


class LiveClient:
    """The generation that new calls use; `reload` replaces it or leaves it as it was."""

    def __init__(self, settings: ClientSettings) -> None:
        self._lock = Lock()
        self._current = _client_generation(settings, 1)

    @property
    def current(self) -> ClientContext:
        return self._current

    def reload(self, load: Callable[[], ClientSettings]) -> ClientContext:
        """Load, build and try a new generation, then swap it in; on any error the old one stays."""
        with self._lock:
            self._current = _client_generation(load(), self._current.generation + 1)
            return self._current


def _client_generation(settings: ClientSettings, number: int) -> ClientContext:
    context = ClientContext(settings, generation=number)
    if settings.credential is not None:
        # The key must be able to sign a handshake: try it from the side that signs first.
        try_server(ServerContext(ServerSettings(settings.credential, clients="none", ticket_seconds=0)))
    return context


def try_server(context: ServerContext) -> None:
    """Make a handshake in memory with a client that believes anything; raises TrialFailed.

    The client has no certificate: being asked for one is as far as it must come.
    """
    probe = SSL.Context(SSL.TLS_CLIENT_METHOD)
    probe.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    if context.settings.alpn:
        probe.set_alpn_protos([name.encode("ascii") for name in context.settings.alpn])
    client, server = SSL.Connection(probe), Session(context)
    if context.served:
        client.set_tlsext_host_name(context.served[0].replace("*", "a", 1).encode("ascii"))
    client.set_connect_state()
    for _ in range(8):
        try:
            client.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            break
        with contextlib.suppress(SSL.WantReadError):
            server.receive(client.bio_read(65536))
        try:
            if server.advance():
                return
        except NoCertificate:
            return
        except TwowayError as fault:
            raise TrialFailed(context.own_name or "?", str(fault)) from fault
        if answer := server.outgoing():
            client.bio_write(answer)
    raise TrialFailed(context.own_name or "?", "the handshake did not end")
