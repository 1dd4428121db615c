"""Judges the other side inside the handshake, so that a refusal is an alert and nothing else goes out.

OpenSSL builds and verifies the chain; these two callbacks add what it does not know: revocation,
host name and policy in a full handshake, and all of it again when a session is resumed, where OpenSSL
would ask nobody (rule: resumption never skips a check). Both fail closed: an exception in here refuses.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509

from twoway.errors import PeerUntrusted, TwowayError
from twoway.names import matches_hostname
from twoway.tls import alerts, library
from twoway.tls.faults import TicketElsewhere, UnknownServerName
from twoway.tls.library import ffi, lib
from twoway.trust import (
    CertificateExpired,
    CertificateRevoked,
    HostnameMismatch,
    Policy,
    Trust,
    VerifiedChain,
    accept_current,
    accept_verified,
    untrusted,
)

if TYPE_CHECKING:
    from twoway.tls.session import Session

Chain = tuple[x509.Certificate, ...]

# SSL* -> the session that it belongs to, while its handshake runs.
handshakes: weakref.WeakValueDictionary[Any, Session] = weakref.WeakValueDictionary()

_REFUSED, _ACCEPTED = 0, 1
_SSL_INDEX = lib.SSL_get_ex_data_X509_STORE_CTX_idx()


class Path:
    """A chain that OpenSSL verified in this generation, leaf to anchor, and what is known about it.

    `allowed_by` is the policy that has said yes to this leaf; what another one says is another question.
    """

    __slots__ = ("_accepted", "_begins", "_ends", "_trust", "allowed_by", "certificates", "facts")

    def __init__(self, certificates: Chain) -> None:
        self.certificates = certificates
        self.facts: dict[str, tuple[str, ...]] | None = None
        self.allowed_by: Policy | None = None
        self._accepted: VerifiedChain | None = None
        self._trust: Trust | None = None
        self._begins = self._ends = datetime.min.replace(tzinfo=UTC)

    def accept(self, trust: Trust, purpose: Literal["server", "client"], now: datetime) -> VerifiedChain:
        """Judge dates and revocation, as `accept_verified`; what cannot change is looked at once."""
        if self._accepted is None or self._trust is not trust or not self._begins <= now <= self._ends:
            self._accepted = accept_verified(self.certificates, trust, purpose=purpose, now=now)
            self._trust = trust
            self._begins = max(one.not_valid_before_utc for one in self.certificates)
            self._ends = min(one.not_valid_after_utc for one in self.certificates)
        elif trust.checks_revocation:
            return accept_current(self.certificates, trust, purpose=purpose, now=now)
        return self._accepted


class ChainCache:
    """Paths that verified in this generation, so that a certificate is parsed once; bounded, thread-safe.

    Keyed by what OpenSSL verified, byte for byte. It saves parsing only: revocation, dates and policy are
    judged anew for every connection.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._paths: OrderedDict[tuple[bytes, ...], Path] = OrderedDict()
        self._by_leaf: dict[bytes, tuple[bytes, ...]] = {}
        self._lock = Lock()
        # What is above an authority at which OpenSSL may end a path, by its SHA-256: verified beforehand.
        self.above: dict[bytes, Chain] = {}

    def path_of(self, pointers: list[Any]) -> Path:
        """The path of these X509 pointers, leaf first."""
        key = tuple([library.sha256_of(pointer) for pointer in pointers])
        with self._lock:
            path = self._paths.get(key)
            if path is not None:
                self._paths.move_to_end(key)
                return path
        certificates = tuple(library.to_certificate(pointer) for pointer in pointers)
        path = Path(certificates + (self.above.get(key[-1], ()) if len(key) == 2 else ()))
        with self._lock:
            self._paths[key] = path
            self._by_leaf[key[0]] = key
            if len(self._paths) > self._size:
                old, _ = self._paths.popitem(last=False)
                if self._by_leaf.get(old[0]) == old:
                    del self._by_leaf[old[0]]
        return path

    def path_of_leaf(self, leaf: bytes) -> Path | None:
        """The path that verified last for a leaf with this SHA-256, or None when it was evicted."""
        with self._lock:
            key = self._by_leaf.get(leaf)
            return self._paths.get(key) if key is not None else None

    def intermediates(self) -> Chain:
        """All issuers that this generation has seen, to rebuild an evicted path with."""
        with self._lock:
            paths = list(self._paths.values())
        return tuple({certificate for path in paths for certificate in path.certificates[1:]})


@ffi.callback("int(int, X509_STORE_CTX *)", error=_REFUSED)
def on_verify(accepted: int, store_context: Any) -> int:
    """OpenSSL's verify callback: called for every certificate of the chain, leaf last."""
    depth = lib.X509_STORE_CTX_get_error_depth(store_context)
    if accepted and depth:
        return _ACCEPTED  # the leaf's own call decides
    ssl = lib.X509_STORE_CTX_get_ex_data(store_context, _SSL_INDEX)
    session = handshakes.get(ssl)
    if session is None or session.failure is not None:
        return _REFUSED
    path: Path | None = None
    try:
        with library.OwnedChain(store_context) as pointers:
            path = session.context.chains.path_of(pointers) if pointers else None
        chain = path.certificates if path is not None else ()
        if not accepted or path is None:
            error = lib.X509_STORE_CTX_get_error(store_context)
            _refuse(session, _explained(session, error, depth, chain), chain, ssl)
            return _REFUSED
        session.judge(path)
    except TwowayError as fault:
        _refuse(session, fault, path.certificates if path is not None else (), ssl)
        lib.X509_STORE_CTX_set_error(store_context, _verify_error(fault))
        return _REFUSED
    except BaseException as fault:  # noqa: BLE001 - nothing may pass through C code; the session re-raises it
        _refuse(session, fault, (), ssl)
        lib.X509_STORE_CTX_set_error(store_context, library.VERIFY_ERROR_OTHER)
        return _REFUSED
    return _ACCEPTED


@ffi.callback("int(SSL *, int *, void *)", error=lib.SSL_TLSEXT_ERR_ALERT_FATAL)
def on_server_name(ssl: Any, alert: Any, _: Any) -> int:
    """OpenSSL's server-name callback: on a server it runs after a ticket was opened and before it counts."""
    session = handshakes.get(ssl)
    if session is None:
        return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)
    try:
        # After a retry request the hello comes again; which context it belongs to is settled by the first one.
        if session.context.served is not None and not session.hello_seen:
            _check_served(session, session.context.served)
        if lib.SSL_session_reused(ssl):
            _judge_resumed(session, ssl)
    except BaseException as fault:  # noqa: BLE001 - as above
        session.failure = fault
        session.alert_sent = _alert(fault)
        alert[0] = session.alert_sent
        return int(lib.SSL_TLSEXT_ERR_ALERT_FATAL)
    finally:
        session.saw_hello()
    return int(lib.SSL_TLSEXT_ERR_OK)


def _check_served(session: Session, served: tuple[str, ...]) -> None:
    asked = session.asked_name()
    if asked is None or not any(matches_hostname(pattern, asked) for pattern in served):
        raise UnknownServerName(asked, served)


def _judge_resumed(session: Session, ssl: Any) -> None:
    """Make every check of a full handshake again for the peer that a ticket names."""
    made_for = library.session_hostname(lib.SSL_get_session(ssl))
    before = made_for.decode("ascii", "replace").lower() if made_for else None
    asked = session.asked_name()
    # RFC 6066 §3: a session is not resumed under another name; OpenSSL leaves that to us.
    if before != asked:
        raise TicketElsewhere(before, asked)
    pointer = lib.SSL_get_peer_certificate(ssl)
    if pointer == library.NULL:
        session.judge_nobody()
        return
    try:
        leaf = library.sha256_of(pointer)
        path = session.context.chains.path_of_leaf(leaf)
        if path is None:
            path = Path(session.context.rebuild(library.to_certificate(pointer)))
    finally:
        lib.X509_free(pointer)
    session.judge(path)


def _explained(session: Session, error: int, depth: int, chain: Chain) -> PeerUntrusted:
    trust = session.context.trust
    assert trust is not None
    return untrusted(
        error,
        depth,
        chain,
        trust,
        purpose=session.context.peer_purpose,
        now=session.context.now(),
        hostname=session.server_name,
    )


def _refuse(session: Session, fault: BaseException, chain: Chain, ssl: Any) -> None:
    session.failure = fault
    session.presented = chain or session.presented
    lib.SSL_set_info_callback(ssl, on_info)


@ffi.callback("void (*)(const SSL *, int, int)")
def on_info(ssl: Any, where: int, value: int) -> None:
    """Set only once a refusal is certain: notes which alert goes out for it."""
    if where & lib.SSL_CB_WRITE_ALERT == lib.SSL_CB_WRITE_ALERT:
        session = handshakes.get(ssl)
        if session is not None:
            session.alert_sent = value & 0xFF


def _verify_error(fault: TwowayError) -> int:
    """The OpenSSL verify error whose alert tells our refusal best."""
    if isinstance(fault, CertificateRevoked):
        return int(lib.X509_V_ERR_CERT_REVOKED)
    if isinstance(fault, CertificateExpired):
        return int(lib.X509_V_ERR_CERT_HAS_EXPIRED)
    if isinstance(fault, HostnameMismatch):
        return int(lib.X509_V_ERR_HOSTNAME_MISMATCH)
    # A missing or stale revocation list and a policy's no have no alert of their own on this path:
    # certificate_unknown, never unknown_ca, which would send people after the wrong fault.
    return int(library.VERIFY_ERROR_OTHER)


def _alert(fault: BaseException) -> int:
    if isinstance(fault, CertificateRevoked):
        return alerts.NUMBERS["certificate_revoked"]
    if isinstance(fault, CertificateExpired):
        return alerts.NUMBERS["certificate_expired"]
    if isinstance(fault, (TicketElsewhere, UnknownServerName)):
        return alerts.NUMBERS["unrecognized_name"]
    if isinstance(fault, TwowayError):
        return alerts.NUMBERS["certificate_unknown"]
    return alerts.NUMBERS["internal_error"]
