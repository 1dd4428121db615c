"""A Session on a blocking socket, for callers and for accept loops with a thread a connection."""

from __future__ import annotations

import contextlib
import socket
import time
from types import TracebackType

from twoway.errors import NetworkError, PeerRefused, TwowayError
from twoway.steps import Step
from twoway.tls.context import ClientContext, ServerContext
from twoway.tls.faults import ConnectionCut, TimedOut, Truncated
from twoway.tls.session import Session, Ticket

DRAIN_SECONDS = 1.0
RECEIVE_SIZE = 65536


class ConnectFailed(NetworkError):
    """No connection to the other side came about."""

    code = "connect_failed"

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(target, reason)
        self.target, self.reason = target, reason

    def __str__(self) -> str:
        return f"cannot connect to {self.target}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "check the host name and the port, and that the server runs"


class ConnectionBroke(NetworkError):
    """The transport failed under a running connection."""

    code = "connection_broke"

    def __init__(self, target: str | None, reason: str) -> None:
        super().__init__(target, reason)
        self.target, self.reason = target, reason

    def __str__(self) -> str:
        return f"the connection to {self.target or 'the other side'} broke: {self.reason}"

    @property
    def remedy(self) -> str:
        return "try again; when it repeats, look into the other side's log"


class TlsSocket:
    """A socket whose other end is known: `peer` says who it is, or the handshake has raised.

    Every wait is bounded by `timeout` seconds (None waits for ever). `recv` returns b"" only after a proper
    close_notify; a bare end of stream raises Truncated. A server that hangs up after a client's handshake
    without ever having said a word has refused, as some do: ConnectionCut in step 4.
    """

    def __init__(self, sock: socket.socket, session: Session, *, timeout: float | None = 10.0) -> None:
        self._socket, self.session, self.timeout = sock, session, timeout
        self._heard = session.context.role == "server"  # a server knows its client before it completes
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if sock.family != socket.AF_UNIX else None

    @classmethod
    def connect(
        cls,
        host: str,
        port: int,
        context: ClientContext,
        *,
        server_name: str | None = None,
        timeout: float | None = 10.0,
        ticket: Ticket | None = None,
    ) -> TlsSocket:
        """Connect and make the handshake; raises ConnectFailed and all that `handshake` raises."""
        connection = cls.open(host, port, context, server_name=server_name, timeout=timeout, ticket=ticket)
        connection.handshake()
        return connection

    @classmethod
    def open(
        cls,
        host: str,
        port: int,
        context: ClientContext,
        *,
        server_name: str | None = None,
        target: str | None = None,
        timeout: float | None = 10.0,
        ticket: Ticket | None = None,
    ) -> TlsSocket:
        """Connect, and leave the handshake to the caller; raises ConnectFailed."""
        target = target or f"{host}:{port}"
        try:
            sock = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise ConnectFailed(target, _reason(error)) from error
        session = Session(context, server_name=server_name or host, target=target, ticket=ticket)
        return cls(sock, session, timeout=timeout)

    @classmethod
    def accept(
        cls, sock: socket.socket, context: ServerContext, *, timeout: float | None = 10.0
    ) -> TlsSocket:
        """Make a server's handshake on an accepted socket; a refusal reaches the client before this raises."""
        address = sock.getpeername()
        session = Session(
            context, address=f"{address[0]}:{address[1]}" if isinstance(address, tuple) else None
        )
        connection = cls(sock, session, timeout=timeout)
        connection.handshake()
        return connection

    def handshake(self) -> None:
        """Go through the handshake; on any error the alert is delivered and the socket closed."""
        end = _deadline(self.timeout)
        try:
            while not self.session.advance():
                self._flush(end)
                data = self._receive(end, "the handshake")
                if not data:
                    self.session.eof()
                self.session.receive(data)
            self._flush(end)
        except BaseException as fault:
            self._refuse()
            if isinstance(fault, OSError):
                raise self._broke(fault) from fault
            raise

    def recv(self, size: int = RECEIVE_SIZE) -> bytes:
        """Some plaintext, at most one record; b"" after the other side said that it ends."""
        end = _deadline(self.timeout)
        while True:
            data = self.session.read()
            try:
                self._flush(end)
            except OSError as error:
                if data is None:
                    self._raise_what_was_said(error)
            if data is not None:
                self._heard = True
                return data
            self._take(end)

    def receive(self) -> bytes:
        """Wait for ciphertext and take it in, without asking for plaintext; raises what an end means."""
        return self._take(_deadline(self.timeout))

    def _take(self, end: float | None) -> bytes:
        try:
            arrived = self._receive(end, "an answer")
        except OSError as error:
            raise self._broke(error) from error
        if not arrived:
            self._ended()
        self.session.receive(arrived)
        return arrived

    def _ended(self) -> None:
        try:
            self.session.eof()
        except Truncated:
            if self._heard:
                raise
            raise self._cut() from None

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. When that fails, what the other side said before is what is raised."""
        self.session.write(data)
        end = _deadline(self.timeout)
        try:
            self._flush(end)
        except OSError as error:
            self._raise_what_was_said(error)

    def _raise_what_was_said(self, error: OSError) -> None:
        """A TLS 1.3 server may have refused us while we wrote: read before reporting."""
        with contextlib.suppress(OSError, NetworkError):
            self._socket.settimeout(DRAIN_SECONDS)
            while data := self._socket.recv(RECEIVE_SIZE):
                self.session.receive(data)
                while self.session.read():
                    pass
        raise self._broke(error) from error

    def close(self) -> None:
        """Say goodbye if that is possible at once, and close."""
        with contextlib.suppress(OSError, TwowayError):
            self.session.close_notify()
            self._socket.settimeout(0)
            self._socket.send(self.session.outgoing())
        self._socket.close()

    def _flush(self, end: float | None) -> None:
        if data := self.session.outgoing():
            self._socket.settimeout(_left(end, "sending"))
            self._socket.sendall(data)

    def _receive(self, end: float | None, what: str) -> bytes:
        self._socket.settimeout(_left(end, what))
        try:
            return self._socket.recv(RECEIVE_SIZE)
        except TimeoutError as error:
            raise TimedOut(what, self.timeout or 0) from error

    def _refuse(self) -> None:
        """Flush the alert, end our side, let the other side read it, then close."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(DRAIN_SECONDS)
            self._socket.sendall(self.session.outgoing())
            self._socket.shutdown(socket.SHUT_WR)
            end = time.monotonic() + DRAIN_SECONDS
            while (left := end - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(RECEIVE_SIZE):
                    break
        self._socket.close()

    def _broke(self, error: OSError) -> TwowayError:
        if isinstance(error, TimeoutError):
            return TimedOut("the connection", self.timeout or 0)
        if not self._heard:
            return self._cut()
        return ConnectionBroke(self.session.target or self.session.address, _reason(error))

    def _cut(self) -> ConnectionCut:
        step = Step.SERVER_CHECKS if self.session.complete else self.session.step
        return ConnectionCut(step, self.session.context.role, self.session.target)

    @property
    def local_address(self) -> tuple[str, int]:
        """Our own address and port, as the other side sees them."""
        name = self._socket.getsockname()
        return name[0], name[1]

    def fileno(self) -> int:
        return self._socket.fileno()

    def __enter__(self) -> TlsSocket:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _left(end: float | None, what: str) -> float | None:
    if end is None:
        return None
    left = end - time.monotonic()
    if left <= 0:
        raise TimedOut(what, 0)
    return left


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


__all__ = ["ConnectFailed", "ConnectionBroke", "PeerRefused", "TlsSocket"]
