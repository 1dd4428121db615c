"""One connection to look at a server: it believes anybody, says at most what it is told to, and records all of it.

This is the one place that makes a handshake without checking the other side. Nothing that a probe says is secret,
nothing that it hears is believed: whoever probes judges what was recorded. Never use it to talk.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import Literal

from OpenSSL import SSL

from twoway.credential import Credential
from twoway.names import is_ip
from twoway.tls import library
from twoway.tls.recording import RecordedSocket, Recording
from twoway.tls.settings import VERSIONS

Ending = Literal["open", "closed", "reset", "timeout"]
MAX_ANSWER = 65536
_CHUNK = 16384


@dataclass(frozen=True, slots=True)
class Probe:
    """What is offered and said: versions, name, protocols, a certificate, and perhaps a request after it.

    `post_handshake` offers to be asked for the certificate later (RFC 8446 §4.2.6), which few clients do.
    `session` is one that an earlier probe has `Seen`, offered for resumption. `preface` is said before TLS begins.
    """

    minimum: str = "TLSv1.2"
    maximum: str = "TLSv1.3"
    server_name: str | None = None
    alpn: tuple[str, ...] = ("http/1.1",)
    credential: Credential | None = None
    request: bytes = b""
    post_handshake: bool = False
    session: bytes | None = field(default=None, repr=False)
    preface: bytes = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a probe came. `reason` is the library's word for a failed handshake, `answer` what came for the request.

    `session` is the session that it left behind (a secret, as good as the identity until it ends), and `resumed`
    says whether the one that was offered was taken.
    """

    recording: Recording
    secrets: bytes = field(repr=False)
    complete: bool
    ending: Ending
    reason: str
    answer: bytes = field(repr=False)
    session: bytes | None = field(default=None, repr=False)
    resumed: bool = False


def probe(address: tuple[str, int], what: Probe, *, timeout: float = 10.0, listen: float = 1.0) -> Seen:
    """Connect and go as far as it goes; raises OSError when no connection comes about.

    After the handshake it listens before it says anything: in TLS 1.3 the server judges only then. `listen` is
    how many seconds the server is given to object, `timeout` bounds every other wait.
    """
    sock = socket.create_connection(address, timeout)
    recording = Recording("client")
    secrets: list[bytes] = []
    with contextlib.suppress(OSError):
        sock.sendall(what.preface)  # a peer that has gone already is met again, and told, by the handshake
    with RecordedSocket.around(sock, recording) as recorded:
        connection = _connection(what, secrets)
        talk = _Talk(recorded, connection, timeout)
        talk.run(what.request, listen)
        return Seen(
            recording,
            b"\n".join(secrets),
            talk.complete,
            talk.ending,
            talk.reason,
            bytes(talk.answer),
            _session(connection) if talk.complete else None,
            bool(library.lib.SSL_session_reused(connection._ssl)),
        )


def _session(connection: SSL.Connection) -> bytes | None:
    session = library.lib.SSL_get_session(connection._ssl)
    return library.session_der(session) if session != library.NULL else None


def _connection(what: Probe, secrets: list[bytes]) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    context.set_min_proto_version(VERSIONS[what.minimum])
    context.set_max_proto_version(VERSIONS[what.maximum])
    # Whatever a server may have chosen is to be seen, weak or not: nothing secret goes over it.
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_keylog_callback(lambda _connection, line: secrets.append(line))
    if what.alpn:
        context.set_alpn_protos([name.encode("ascii") for name in what.alpn])
    if what.credential is not None:
        one = what.credential
        library.use_identity(context, one.private_key, one.chain, one.describe())
    if what.post_handshake:
        library.lib.SSL_CTX_set_post_handshake_auth(context._context, 1)
    connection = SSL.Connection(context)
    if what.server_name and not is_ip(what.server_name):
        with contextlib.suppress(ValueError, UnicodeError):
            # RFC 6066 §3: the name stands without a trailing dot; Go's servers refuse one.
            connection.set_tlsext_host_name(what.server_name.rstrip(".").encode("idna"))
    connection.set_connect_state()
    if what.session is not None and (session := library.session_from(what.session)) is not None:
        library.lib.SSL_set_session(connection._ssl, session)
    return connection


class _Talk:
    """A connection on memory and a socket, pumped until there is nothing more to expect."""

    def __init__(self, sock: RecordedSocket, connection: SSL.Connection, timeout: float) -> None:
        self._sock, self._connection, self._timeout = sock, connection, timeout
        self.complete = False
        self.ending: Ending = "open"
        self.reason = ""
        self.answer = bytearray()

    def run(self, request: bytes, listen: float) -> None:
        self._shake()
        if not self.complete or self.ending != "open":
            return
        if self._connection.get_protocol_version() == VERSIONS["TLSv1.3"]:
            self._hear(listen, until_something=True)
        if request and self.ending == "open":
            try:
                self._connection.sendall(request)
            except SSL.Error as error:
                self._failed(error)
                return
            if self._send():
                self._hear(self._timeout, until_something=False)
        if self.ending == "open":
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
            self._send()

    def _shake(self) -> None:
        while self.ending == "open":
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self._failed(error)
                return
            else:
                self.complete = True
            if not self._send() or self.complete:
                return
            self._take(self._timeout)

    def _hear(self, seconds: float, *, until_something: bool) -> None:
        """Read until the server has said enough: anything at all, or a whole head of an answer, or the end."""
        end = time.monotonic() + seconds
        while self.ending == "open" and (left := end - time.monotonic()) > 0:
            arrived = self._take(left, silence_is_fine=until_something)
            try:
                while len(self.answer) < MAX_ANSWER:
                    data = self._connection.recv(_CHUNK)
                    self.answer += data
            except SSL.WantReadError:
                pass
            except SSL.ZeroReturnError:
                self.ending = "closed"
            except SSL.Error as error:
                self._failed(error)
            self._send()
            if until_something and arrived:
                return
            if not until_something and (b"\r\n\r\n" in self.answer and len(self.answer) > 12):
                return

    def _take(self, seconds: float, *, silence_is_fine: bool = False) -> int:
        self._sock.settimeout(max(seconds, 0.001))
        try:
            data = self._sock.recv(_CHUNK)
        except TimeoutError:
            if not silence_is_fine:
                self.ending = "timeout"
            return 0
        except OSError:
            self.ending = "reset"
            return 0
        if not data:
            self.ending = "closed"
            return 0
        self._connection.bio_write(data)
        return len(data)

    def _send(self) -> bool:
        """What the library wants to say; False when the other side does not take it any more."""
        while True:
            try:
                data = self._connection.bio_read(_CHUNK)
            except SSL.WantReadError:
                return True
            self._sock.settimeout(self._timeout)
            try:
                self._sock.sendall(data)
            except OSError:
                # It may have said why before it stopped listening: read before reporting.
                self._take(1.0, silence_is_fine=True)
                with contextlib.suppress(SSL.Error):
                    self._connection.recv(_CHUNK)
                self.ending = "reset"
                return False

    def _failed(self, error: SSL.Error) -> None:
        """The handshake, or the connection, is over for the library; what it says last still goes out."""
        found = error.args[0] if error.args and isinstance(error.args[0], list) else []
        self.reason = found[-1][2] if found else type(error).__name__
        ending = self.ending
        self._send()
        if self.ending == "reset":
            self.ending = ending if ending != "open" else "reset"
        elif isinstance(error, SSL.SysCallError):
            self.ending = "closed"


__all__ = ["MAX_ANSWER", "Ending", "Probe", "Seen", "probe"]
