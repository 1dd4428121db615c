"""One TLS context per (listener x server name x generation): built whole, then never changed.

A live context that is changed breaks whoever connects at that moment, and swapping contexts inside the
server-name callback leaves the verify mode behind; so a change of anything makes a new context, with
ticket keys of its own, and old tickets are worth nothing there.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL, crypto

from twoway.credential import names_of
from twoway.errors import TwowayError, UsageError
from twoway.tls import library, stapling
from twoway.tls.judge import Chain, ChainCache, Path, on_server_name, on_verify
from twoway.tls.library import ffi, lib
from twoway.tls.settings import TLS12_CIPHERS, VERSIONS, ClientSettings, ServerSettings, tls13_suites
from twoway.trust import NoCertificate, NotAllowed, Peer, Policy, Trust, VerifiedChain, verify
from twoway.trust.rules import facts_of
from twoway.trust.verification import accept_asked

# RFC 8446 §4.2.4: the names travel in one extension, and some clients bound the message.
MAX_ADVERTISED_NAMES = 16384
MAX_CHAIN_DEPTH = 8

_OPTIONS = lib.SSL_OP_NO_COMPRESSION | lib.SSL_OP_NO_RENEGOTIATION | lib.SSL_OP_CIPHER_SERVER_PREFERENCE


class EngineContext:
    """What both roles share: identity, anchors, versions; and whom it takes the other side for."""

    role: Literal["server", "client"]
    peer_purpose: Literal["server", "client"]

    def __init__(
        self,
        settings: ServerSettings | ClientSettings,
        *,
        method: int,
        verify_mode: int,
        generation: int,
    ) -> None:
        self.settings = settings
        self.generation = generation
        self.trust: Trust | None = settings.trust
        # Requests are judged one by one, by who reads them; here only who may connect.
        self.policy: Policy | None = (
            settings.policy.for_connections() if settings.policy is not None else None
        )
        self.pins, self.inquiry = settings.pins, settings.inquiry
        self.chains = ChainCache()
        self.token = object()  # what a client's tickets are bound to
        self.served: tuple[str, ...] | None = None  # the only names that are answered; None: every one
        self.kept: list[object] = []  # what OpenSSL calls back through this context
        self.own_name = settings.credential.describe() if settings.credential else None
        self._context = context = SSL.Context(method)
        self.pointer = context._context
        context.set_options(_OPTIONS)
        context.clear_mode(lib.SSL_MODE_ENABLE_PARTIAL_WRITE)
        context.set_mode(lib.SSL_MODE_RELEASE_BUFFERS | lib.SSL_MODE_AUTO_RETRY)
        context.set_min_proto_version(VERSIONS[settings.minimum_version])
        context.set_max_proto_version(VERSIONS[settings.maximum_version])
        context.set_cipher_list(TLS12_CIPHERS.encode())
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        if settings.groups is not None and not library.tls_groups(context, settings.groups):
            raise UsageError(
                f"the TLS library knows no such key-exchange groups: {settings.groups}",
                "name groups as in X25519MLKEM768:X25519:P-256",
            )
        if settings.credential is not None:
            library.use_identity(
                context, settings.credential.private_key, settings.credential.chain, self.own_name or "?"
            )
        if verify_mode != lib.SSL_VERIFY_NONE:
            self._load_anchors()
        context.set_verify_depth(MAX_CHAIN_DEPTH)
        lib.SSL_CTX_set_verify(self.pointer, verify_mode, on_verify)

    def _load_anchors(self) -> None:
        assert self.trust is not None
        store = self._context.get_cert_store()
        assert store is not None
        for anchor in self.trust.anchors:
            store.add_cert(crypto.X509.from_cryptography(anchor))
        # What we issue passes strict verification, so strict is what we ask (RFC 5280 §6); an anchor may
        # be an issuing CA (partial chain). Revocation is judged by our own code, not by the store.
        store.set_flags(lib.X509_V_FLAG_X509_STRICT | lib.X509_V_FLAG_PARTIAL_CHAIN)

    def begin(self, ssl: Any) -> None:
        """Set a new connection up for this role."""
        lib.SSL_set_accept_state(ssl)

    def now(self) -> datetime:
        """The time that certificates are judged at."""
        return datetime.now(UTC)

    def decide(self, verified: VerifiedChain, path: Path | None = None) -> VerifiedChain:
        """Ask the pins, the policy, and about a client its authority's responder; raises what speaks against it.

        That is PinMismatch, NotAllowed with the deciding rule, and what `inquire` raises. The policy's yes holds for the
        path in this context.
        """
        if self.pins is not None:
            self.pins.check(verified.leaf)
        if self.policy is not None and (path is None or path.allowed_by is not self.policy):
            self._ask_policy(self.policy, verified, path)
        # A server may bring its answer along, later in the handshake: see twoway.tls.stapling.
        return verified if self.inquiry is None or self.role == "client" else self.inquire(verified)

    def _ask_policy(self, policy: Policy, verified: VerifiedChain, path: Path | None) -> None:
        facts = path.facts if path is not None else None
        if facts is None:
            facts = facts_of(Peer.from_verified(verified))
        decision = policy.decide(facts)
        if path is not None:
            path.facts, path.allowed_by = facts, policy if decision.allowed else None
        if not decision.allowed:
            raise NotAllowed(Peer.from_verified(verified).describe(), decision)

    def inquire(self, verified: VerifiedChain) -> VerifiedChain:
        """Ask the authority's responder, where that is wanted; raises CertificateRevoked, OcspUnknown and others."""
        if self.inquiry is None:
            return verified
        assert self.trust is not None
        doubts = self.inquiry.check(verified.certificates, self.trust.revocation, self.now())
        return accept_asked(verified, doubts)

    def admit(self, peer: Peer | None) -> None:
        """Judge somebody who was proven earlier as if they came now; raises what a handshake would."""
        if peer is None:
            if getattr(self.settings, "clients", "none") == "required":
                raise NoCertificate("client")
            return
        assert self.trust is not None
        verified = self.decide(verify(peer.chain, self.trust, purpose=self.peer_purpose, now=self.now()))
        if self.role == "client":  # about a server `decide` does not ask: in a handshake a staple comes first
            self.inquire(verified)

    def objection(self, peer: Peer | None) -> TwowayError | None:
        """What `admit` would raise; None for somebody who is admitted."""
        try:
            self.admit(peer)
        except TwowayError as fault:
            return fault
        return None

    def rebuild(self, leaf: x509.Certificate) -> Chain:
        """The chain of a leaf whose cached one was evicted, verified again; raises PeerUntrusted."""
        assert self.trust is not None
        chain = (leaf, *self.chains.intermediates())
        return tuple(verify(chain, self.trust, purpose=self.peer_purpose, now=self.now()).certificates)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.own_name}, generation {self.generation}>"


_VERIFY_CLIENTS = {
    "none": lib.SSL_VERIFY_NONE,
    "optional": lib.SSL_VERIFY_PEER,
    "required": lib.SSL_VERIFY_PEER | lib.SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
}


class ServerContext(EngineContext):
    """A listener's side, under one server name, in one generation."""

    role = "server"
    peer_purpose = "client"
    settings: ServerSettings

    def __init__(self, settings: ServerSettings, *, generation: int = 1) -> None:
        super().__init__(
            settings,
            method=SSL.TLS_SERVER_METHOD,
            verify_mode=_VERIFY_CLIENTS[settings.clients],
            generation=generation,
        )
        if settings.unknown_names == "refuse":
            listed = tuple(name for name, _ in settings.names)
            self.served = (*listed, *names_of(settings.credential.chain[0]).dns)
        library.tls13_suites(self._context, tls13_suites(settings.credential.key_type))
        # A random session context: a ticket of any other context cannot even be looked at here.
        self._context.set_session_id(secrets.token_bytes(16))
        if settings.ticket_seconds:
            self._context.set_timeout(settings.ticket_seconds)
        else:
            self._context.set_options(lib.SSL_OP_NO_TICKET)
        lib.SSL_CTX_set_tlsext_servername_callback(self.pointer, on_server_name)
        if settings.clients != "none":
            self._advertise()
            self._end_paths_early()
        if settings.alpn:
            self._alpn = _alpn_callback(settings.alpn)
            lib.SSL_CTX_set_alpn_select_cb(self.pointer, self._alpn, library.NULL)
        if settings.staple is not None:
            lib.SSL_CTX_set_tlsext_status_cb(self.pointer, stapling.on_asked)

    def _end_paths_early(self) -> None:
        """Let OpenSSL end a client's path at the issuing CA that has issued our own certificate too.

        That CA's own path to the root is verified here, once, instead of in every handshake (70 µs of 700);
        dates and revocation of the whole path are judged for every connection as before. Only where nothing
        above the issuing CA could have said more: it may sign leaves only, and the root limits neither names
        nor uses.
        """
        assert self.trust is not None
        assert self.settings.credential is not None
        try:
            path = verify(self.settings.credential.chain, self.trust, purpose="server", now=self.now())
        except TwowayError:
            return
        if len(path.certificates) != 3:
            return
        _, issuing, root = path.certificates
        if not (_signs_leaves_only(issuing) and _limits_nothing(root)):
            return
        store = self._context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(issuing))
        self.chains.above[issuing.fingerprint(hashes.SHA256())] = (root,)

    def _advertise(self) -> None:
        """Name the accepted authorities (RFC 8446 §4.2.4): Go, Java and browsers choose by them."""
        assert self.trust is not None
        if sum(len(a.subject.public_bytes()) + 2 for a in self.trust.anchors) > MAX_ADVERTISED_NAMES:
            return
        for anchor in self.trust.anchors:
            self._context.add_client_ca(anchor)


class ClientContext(EngineContext):
    """A caller's side in one generation."""

    role = "client"
    peer_purpose = "server"
    settings: ClientSettings

    def __init__(self, settings: ClientSettings, *, generation: int = 1) -> None:
        super().__init__(
            settings, method=SSL.TLS_CLIENT_METHOD, verify_mode=lib.SSL_VERIFY_PEER, generation=generation
        )
        if settings.alpn:
            self._context.set_alpn_protos([name.encode("ascii") for name in settings.alpn])
        lib.SSL_CTX_set_tlsext_status_cb(self.pointer, stapling.on_staple)

    def begin(self, ssl: Any) -> None:
        """Set a new connection up to call, and to ask for a stapled answer."""
        lib.SSL_set_connect_state(ssl)
        lib.SSL_set_tlsext_status_type(ssl, lib.TLSEXT_STATUSTYPE_ocsp)


def _signs_leaves_only(authority: x509.Certificate) -> bool:
    """RFC 5280 §4.2.1.9: a path length of 0."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and constraints.path_length == 0


def _limits_nothing(root: x509.Certificate) -> bool:
    """Whether a root has no extension that could forbid something to what is below its issuing CA."""
    understood = (
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
    )
    return all(isinstance(extension.value, understood) for extension in root.extensions)


def _alpn_callback(offered: tuple[str, ...]) -> Any:
    """RFC 7301 §3.2: our first choice among the client's protocols, or the alert that says there is none."""
    ours = [name.encode("ascii") for name in offered]
    chosen = {name: ffi.new("unsigned char[]", name) for name in ours}

    @ffi.callback(
        "int(SSL *, const unsigned char **, unsigned char *, const unsigned char *, unsigned int, void *)",
        error=lib.SSL_TLSEXT_ERR_ALERT_FATAL,
    )
    def select(_ssl: Any, out: Any, out_length: Any, protocols: Any, length: int, _arg: Any) -> int:
        theirs, wire, position = set(), bytes(ffi.buffer(protocols, length)), 0
        while position < len(wire):
            size = wire[position]
            theirs.add(wire[position + 1 : position + 1 + size])
            position += 1 + size
        for name in ours:
            if name in theirs:
                out[0], out_length[0] = chosen[name], len(name)
                return int(lib.SSL_TLSEXT_ERR_OK)
        return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)

    return select
