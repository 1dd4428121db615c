"""The way to a target: tries them by health, speaks TLS where it is asked for, and ends in one ready end."""

from __future__ import annotations

import socket
from collections.abc import Callable

from twoway.gateway.backend import Backend, NoTarget, Target
from twoway.gateway.ends import PlainEnd, TlsEnd
from twoway.gateway.loop import READ, WRITE, Loop
from twoway.gateway.options import ListenerOptions
from twoway.tls import ClientContext
from twoway.tls.socketed import SocketSession

ContextOf = Callable[[], ClientContext]


class Dialing:
    """One attempt to reach a target; calls `reached(end, mask)` or `failed(fault)` once, or neither after `leave`.

    `mask` is what the loop watches the end's socket for: 0 when it is not watched. While an end is in use it
    counts in `target.open`: whoever was given it says `release` when it has closed the socket.
    """

    __slots__ = ("_failed", "_loop", "_options", "_reached", "_sock", "_tried", "_troubles", "backend", "context_of", "session", "target")  # fmt: skip

    def __init__(
        self,
        options: ListenerOptions,
        backend: Backend,
        loop: Loop,
        context_of: ContextOf,
        reached: Callable[[PlainEnd, int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._options, self.backend, self._loop, self.context_of = options, backend, loop, context_of
        self._reached, self._failed = reached, failed
        self.target: Target | None = None
        self.session: SocketSession | None = None
        self._sock: socket.socket | None = None
        self._tried: list[Target] = []
        self._troubles: list[str] = []

    @property
    def in_handshake(self) -> bool:
        return self.session is not None

    def begin(self) -> bool:
        """Start with the next target; True when the answer has been given before this returns."""
        while (target := self.backend.choose(self._tried)) is not None:
            self._tried.append(target)
            self.target = target
            try:
                self._sock, connected = target.connect()
            except OSError as error:
                self._missed(error)
                continue
            target.open += 1
            if connected:
                return self._connected()
            self._loop.watch(self._sock.fileno(), self._on_connected, WRITE)
            return False
        self._failed(NoTarget(tuple(self._troubles)))
        return True

    def leave(self) -> None:
        """Give up what is under way."""
        if self._sock is not None:
            self._loop.close(self._sock)
            self._sock = self.session = None
            self.release()

    def release(self) -> None:
        """The end that was reached is closed; its ticket is kept for the next one."""
        target, self.target = self.target, None
        if target is not None:
            target.open -= 1
            if self.session is not None:
                target.keep(self.session.ticket())

    def _missed(self, error: BaseException) -> None:
        assert self.target is not None
        self._troubles.append(f"{self.target.address}: {getattr(error, 'strerror', None) or error}")
        self.backend.failed(self.target, error)
        self.leave()

    def _on_connected(self, _: int) -> None:
        assert self._sock is not None
        failed = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self._missed(OSError(failed, "connection refused" if failed == 111 else f"error {failed}"))
            self.begin()
            return
        self._loop.forget(self._sock.fileno())
        self._connected()

    def _connected(self) -> bool:
        target, sock = self.target, self._sock
        assert target is not None
        assert sock is not None
        self.backend.worked(target)
        if not self._options.tls_out:
            self._give(PlainEnd(sock), 0)
            return True
        tickets = target.tickets
        self.session = SocketSession(
            self.context_of(),
            sock.fileno(),
            on_socket=True,
            server_name=self._options.server_name or target.address.host,
            target=str(target.address),
            ticket=tickets.pop() if tickets else None,
        )
        self._loop.watch(sock.fileno(), self._on_handshake, READ)
        return self._advance()

    def _on_handshake(self, _: int) -> None:
        self._advance()

    def _advance(self) -> bool:
        session, sock = self.session, self._sock
        assert session is not None
        assert sock is not None
        try:
            if not session.advance():
                mask = WRITE if session.wants_write else READ
                self._loop.rewatch(sock.fileno(), self._on_handshake, mask)
                return False
        except Exception as fault:  # noqa: BLE001 - whatever it is, nothing is sent there
            self._failed(fault)
            return True
        self._give(TlsEnd(sock, session), READ)
        return True

    def _give(self, end: PlainEnd, mask: int) -> None:
        self._sock = None
        self._reached(end, mask)
