"""One TLS connection as bytes in, bytes out: no socket, no clock of its own, no waiting.

    incoming ciphertext -> receive() -> advance() until the handshake is complete -> read()
    write() -> outgoing() -> ciphertext to send

After every call, including one that raised, send what `outgoing()` holds: an alert may be in it.
A Session belongs to one thread at a time.
"""

from __future__ import annotations

from threading import local
from typing import Any, NamedTuple

from cryptography import x509

from twoway.credential import display_name
from twoway.errors import TwowayError
from twoway.names import is_ip, parse_dns_name
from twoway.steps import Step
from twoway.tls import library
from twoway.tls.alerts import AlertReceived, name_of
from twoway.tls.context import EngineContext
from twoway.tls.faults import NOT_TLS, NOTHING_CHOSEN, ConnectionCut, HandshakeFailed, NotTls, Truncated
from twoway.tls.judge import Chain, Path, handshakes
from twoway.tls.library import BUFFER_SIZE, NULL, WANT_READ, ZERO_RETURN, ffi, lib
from twoway.trust import NoCertificate, Peer, VerifiedChain, check_hostname
from twoway.trust.ocsp import must_staple
from twoway.wire.peek import server_name_of


class _ThreadBuffer(local):
    """A reading buffer a thread: OpenSSL runs without the interpreter's lock."""

    def __init__(self) -> None:
        self.bytes = ffi.new("unsigned char[]", BUFFER_SIZE)
        self.view = ffi.buffer(self.bytes)


_thread = _ThreadBuffer()


class Ticket(NamedTuple):
    """What a client needs to resume: the session (a secret), and whom it was made with, to be judged again."""

    session: bytes
    chain: Chain
    server_name: str | None
    made_in: object

    def __repr__(self) -> str:
        return f"<Ticket for {self.server_name}>"


class Session:
    """One connection's TLS state: pure, incremental, and sure of whom it talks to once `complete`.

    `server_name` is, for a client, the host name or address that the server's certificate must carry (BadName
    is raised for what is neither); for
    a server it becomes the name that the client asked for. `peer` is who the other side proved to be, or
    None for a client that showed no certificate where that is allowed. Errors raised from `advance`,
    `read` and `eof` are TwowayErrors that carry the step.
    """

    __slots__ = (
        "__weakref__",
        "_hello",
        "_in",
        "_out",
        "_peer",
        "_ssl",
        "_verified",
        "address",
        "alert_sent",
        "complete",
        "context",
        "failure",
        "hello_seen",
        "presented",
        "server_name",
        "target",
        "ticket_used",
    )

    def __init__(
        self,
        context: EngineContext,
        *,
        server_name: str | None = None,
        address: str | None = None,
        target: str | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        self.context = context
        self.address, self.target = address, target
        self.server_name = server_name
        self._peer: Peer | None = None
        self.complete = False
        self.failure: BaseException | None = None
        self.alert_sent: int | None = None
        self.presented: Chain = ()
        self.hello_seen = False
        self.ticket_used: Ticket | None = None
        self._verified: VerifiedChain | None = None
        self._hello = b""
        self._ssl = ssl = ffi.gc(lib.SSL_new(context.pointer), lib.SSL_free)
        self._attach()
        handshakes[ssl] = self
        context.begin(ssl)
        if context.role == "client":
            # RFC 6066 §3: a literal address is not permitted in server_name.
            if server_name is not None and not is_ip(server_name):
                lib.SSL_set_tlsext_host_name(ssl, parse_dns_name(server_name).encode("ascii"))
            if ticket is not None:
                self._offer(ticket)

    # -- bytes ---------------------------------------------------------------------------------------

    def _attach(self) -> None:
        """Give the SSL the two memory buffers that stand for the network."""
        self._in = lib.BIO_new(lib.BIO_s_mem())
        self._out = lib.BIO_new(lib.BIO_s_mem())
        lib.BIO_set_mem_eof_return(self._in, -1)
        lib.SSL_set_bio(self._ssl, self._in, self._out)  # the SSL owns both from here on

    def receive(self, data: bytes) -> None:
        """Take ciphertext from the network."""
        if data:
            if not self.hello_seen and self.context.role == "server":
                self._hello = self._hello + data if self._hello else data
            lib.BIO_write(self._in, data, len(data))

    def outgoing(self) -> bytes:
        """All ciphertext that is to be sent now; empty when there is none."""
        buffer, view = _thread.bytes, _thread.view
        count = lib.BIO_read(self._out, buffer, BUFFER_SIZE)
        if count <= 0:
            return b""
        if count < BUFFER_SIZE:
            return view[:count]  # type: ignore[no-any-return]
        parts = [view[:count]]
        while (count := lib.BIO_read(self._out, buffer, BUFFER_SIZE)) > 0:
            parts.append(view[:count])
        return b"".join(parts)

    def settle(self) -> None:
        """Give back the buffers that the handshake has filled: a connection that waits should cost little.

        Does nothing unless the handshake is complete and no byte is waiting in either direction.
        """
        if self.complete and not library.pending(self._in) and not library.pending(self._out):
            self._in, self._out = lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
            lib.BIO_set_mem_eof_return(self._in, -1)
            lib.SSL_set_bio(self._ssl, self._in, self._out)  # frees the old ones

    # -- the handshake -------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Go as far in the handshake as the bytes at hand allow: True once it is complete.

        Raises PeerUntrusted or PeerDenied when we refuse, PeerRefused when the other side does,
        HandshakeFailed or NotTls when the two could not talk at all. In TLS 1.3 a client is complete
        before the server has judged it: a refusal then arrives through `read`.
        """
        if self.complete:
            return True
        result = lib.SSL_do_handshake(self._ssl)
        if result == 1:
            self._completed()
            return True
        error = lib.SSL_get_error(self._ssl, result)
        if error == WANT_READ and self.failure is None:
            return False
        raise self._fault(error)

    def judge(self, path: Path) -> None:
        """Check what OpenSSL does not: revocation, host name, policy. Called within the handshake."""
        context = self.context
        assert context.trust is not None
        self.presented = chain = path.certificates
        if context.role == "client" and self.server_name is not None:
            check_hostname(chain[0], self.server_name)
        verified = path.accept(context.trust, context.peer_purpose, context.now())
        self._verified = context.decide(verified, path)

    def asked_name(self) -> str | None:
        """The server name in the ClientHello, from its first bytes: in TLS 1.2 OpenSSL gives a resumed session's."""
        name = self.asked_so_far() if self.hello_seen else server_name_of(self._hello)
        return name if isinstance(name, str) else None

    def asked_so_far(self) -> str | None:
        """The server name that the library has read from the hello, also of a handshake that failed."""
        shown = lib.SSL_get_servername(self._ssl, 0)
        return ffi.string(shown).decode("ascii", "replace").lower() if shown != NULL else None

    def saw_hello(self) -> None:
        """The ClientHello has been taken in; its bytes are no longer needed."""
        self.hello_seen, self._hello = True, b""

    def judge_nobody(self) -> None:
        """A resumed session without a client certificate: good only where none is required."""
        if getattr(self.context.settings, "clients", "required") == "required":
            raise NoCertificate("client")

    def _completed(self) -> None:
        handshakes.pop(self._ssl, None)
        if self.context.role == "client" and self.resumed:
            self._judge_resumed_server()
        if self.context.role == "server":
            self.server_name = self.asked_so_far()
        self.complete = True

    @property
    def peer(self) -> Peer | None:
        """Who the other side proved to be; None before the handshake is complete, and for nobody proven."""
        if self._peer is None and self.complete and self._verified is not None:
            self._peer = Peer.from_verified(
                self._verified,
                tls_version=self.version,
                cipher=self.cipher,
                group=self.group,
                resumed=self.resumed,
                alpn=self.alpn if self.context.settings.alpn else None,
                address=self.address,
            )
        return self._peer

    def _judge_resumed_server(self) -> None:
        """A resumed server shows no certificate: the one it showed then is judged by today's rules."""
        if self.ticket_used is None:
            raise HandshakeFailed("resumed a session that was not offered", Step.CLIENT_CHECKS, "client")
        try:
            self.judge(Path(self.ticket_used.chain))
            self._verified = self.context.inquire(self._verified) if self._verified else None
        except TwowayError as fault:
            self.failure = fault
            fault.step = Step.CLIENT_CHECKS
            raise

    # -- application data ----------------------------------------------------------------------------

    def read(self) -> bytes | None:
        """Plaintext that has arrived: None when there is none yet, b"" after the other side's close_notify."""
        count = lib.SSL_read(self._ssl, _thread.bytes, BUFFER_SIZE)
        if count > 0:
            return _thread.view[:count]  # type: ignore[no-any-return]
        error = lib.SSL_get_error(self._ssl, count)
        if error == WANT_READ:
            return None
        if error == ZERO_RETURN:
            return b""
        raise self._fault(error)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt all of `data`; it lies in `outgoing()` afterwards. Only after the handshake."""
        if not self.complete:
            raise RuntimeError("write before the handshake is complete")
        with ffi.from_buffer(data) as source:
            length, sent = len(source), 0
            while sent < length:
                count = lib.SSL_write(self._ssl, source + sent, length - sent)
                if count <= 0:
                    raise self._fault(lib.SSL_get_error(self._ssl, count))
                sent += count

    def close_notify(self) -> None:
        """Say that we send no more (RFC 8446 §6.1); reading goes on."""
        if self.complete and lib.SSL_shutdown(self._ssl) < 0:
            library.drain_errors()

    def eof(self) -> None:
        """The transport ended. Raises ConnectionCut in a handshake, Truncated without a close_notify."""
        if not self.complete:
            raise ConnectionCut(self.step, self.context.role, self.target)
        if not lib.SSL_get_shutdown(self._ssl) & lib.SSL_RECEIVED_SHUTDOWN:
            raise Truncated

    # -- facts ---------------------------------------------------------------------------------------

    @property
    def pointer(self) -> Any:
        """OpenSSL's own SSL object, for the modules of this layer."""
        return self._ssl

    @property
    def version(self) -> str:
        return ffi.string(lib.SSL_get_version(self._ssl)).decode("ascii")  # type: ignore[no-any-return]

    @property
    def cipher(self) -> str | None:
        cipher = lib.SSL_get_current_cipher(self._ssl)
        return ffi.string(lib.SSL_CIPHER_get_name(cipher)).decode("ascii") if cipher != NULL else None

    @property
    def group(self) -> str | None:
        name = lib.SSL_get0_group_name(self._ssl)
        return ffi.string(name).decode("ascii") if name != NULL else None

    @property
    def alpn(self) -> str | None:
        data, length = ffi.new("const unsigned char **"), ffi.new("unsigned int *")
        lib.SSL_get0_alpn_selected(self._ssl, data, length)
        return bytes(ffi.buffer(data[0], length[0])).decode("ascii", "replace") if length[0] else None

    @property
    def resumed(self) -> bool:
        return bool(lib.SSL_session_reused(self._ssl))

    @property
    def step(self) -> Step:
        """In which of the five steps this connection is."""
        if self.complete:
            # A TLS 1.3 client cannot know yet whether the server's check has ended.
            return Step.SERVER_CHECKS if self.context.role == "client" else Step.TALK
        if self.context.role == "server":
            if not self.hello_seen:
                return Step.HELLO
            return Step.SERVER_CHECKS if self.presented else Step.CLIENT_CHECKS
        if self.failure is not None:
            return Step.CLIENT_CHECKS
        return Step.SERVER_CHECKS if self.presented else Step.HELLO

    def exporter(self, label: str, length: int = 32) -> bytes:
        """Keying material that only these two ends can compute, for this connection (RFC 8446 §7.5, RFC 5705)."""
        out, name = ffi.new("unsigned char[]", length), label.encode("ascii")
        if lib.SSL_export_keying_material(self._ssl, out, length, name, len(name), NULL, 0, 0) != 1:
            library.drain_errors()
            raise HandshakeFailed(
                "no keying material before the handshake is complete", self.step, self.context.role
            )
        return bytes(out)

    def accepted_authorities(self) -> tuple[x509.Name, ...]:
        """The authorities that the server said it accepts certificates of, in its order."""
        stack = lib.SSL_get_client_CA_list(self._ssl)
        return library.names_in(stack)

    def ticket(self) -> Ticket | None:
        """What a later connection needs to resume this one, or None when there is nothing to resume.

        In TLS 1.3 tickets arrive after the handshake, so ask when something has been read.
        """
        if not self.complete or self._verified is None or self.context.role != "client":
            return None
        if must_staple(self._verified.leaf):  # a resumed handshake would show no answer
            return None
        pointer = lib.SSL_get1_session(self._ssl)
        if pointer == NULL:
            return None
        # A copy: OpenSSL makes a session useless when its connection is freed without a goodbye.
        session = library.session_der(ffi.gc(pointer, lib.SSL_SESSION_free))
        if session is None:
            return None
        return Ticket(session, self._verified.certificates, self.server_name, self.context.token)

    def _offer(self, ticket: Ticket) -> None:
        # A ticket is worth something only under its own name and in its own generation.
        if ticket.server_name != self.server_name or ticket.made_in is not self.context.token:
            return
        session = library.session_from(ticket.session)
        if session is not None and lib.SSL_set_session(self._ssl, session) == 1:
            self.ticket_used = ticket
        library.drain_errors()

    # -- faults --------------------------------------------------------------------------------------

    def _fault(self, error: int) -> BaseException:
        """The typed error behind a failed call; OpenSSL's queue is empty afterwards."""
        failures = library.drain_errors()
        step, role = self.step, self.context.role
        handshakes.pop(self._ssl, None)
        if self.failure is not None:
            if isinstance(self.failure, TwowayError) and self.failure.step is None:
                self.failure.step = Step.CLIENT_CHECKS if role == "client" else Step.SERVER_CHECKS
            return self.failure
        for failure in failures:
            if failure.alert is not None:
                accepted = tuple(display_name(name) for name in self.accepted_authorities())
                shown = self.context.own_name if role == "server" or step is not Step.HELLO else None
                return AlertReceived(name_of(failure.alert), step, role, shown, accepted, self.target)
        reason = failures[0].text if failures else "the connection broke"
        if reason == "peer did not return a certificate":
            fault = NoCertificate("client")
            fault.step = Step.SERVER_CHECKS
            self.failure = fault
            self.alert_sent = 116 if self.version == "TLSv1.3" else 40
            return fault
        if seen := NOT_TLS.get(reason):
            return NotTls(seen)
        if error == ZERO_RETURN or any(f.is_unexpected_eof for f in failures):
            return ConnectionCut(step, role, self.target)
        if reason == "callback failed":
            reason = "no application protocol"
        fault_ = HandshakeFailed(reason, Step.SERVER_SHOWS if reason in NOTHING_CHOSEN else step, role)
        self.failure = fault_
        return fault_

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"in step {int(self.step)}"
        return f"<Session {self.context.role} {state}>"
