"""A Session on an asyncio transport: the server's side, for any asyncio.Protocol as the application.

A TlsConnection is a protocol towards the network and a transport towards the application, in one object.
The application's protocol is made only after the handshake and the policy both said yes; until then there
is nobody to give a byte to.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from twoway.errors import TwowayError
from twoway.steps import Step
from twoway.tls.acknowledging import acknowledge
from twoway.tls.addresses import address_of
from twoway.tls.faults import NotTls, TimedOut, Truncated
from twoway.tls.plain import PLAIN_HTTP_ANSWER
from twoway.tls.refusal import Refusal
from twoway.tls.session import Session
from twoway.wire.peek import NeedMore, server_name_of

if TYPE_CHECKING:
    from twoway.tls.context import ServerContext
    from twoway.tls.listener import Listener

log = logging.getLogger("twoway.tls")

_CORK_LIMIT = 65536


class _State(Enum):
    HELLO = auto()  # waiting for the whole ClientHello, to choose the context by its server name
    HANDSHAKE = auto()
    OPEN = auto()
    REFUSED = auto()  # the alert is out, the other side may read it
    CLOSED = auto()


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """One accepted connection, from its first byte to its end."""

    __slots__ = (
        "_app",
        "_closing",
        "_corked",
        "_corked_size",
        "_head",
        "_listener",
        "_loop",
        "_raw",
        "_session",
        "_state",
        "_timer",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener, self._loop = listener, listener.loop
        self._state = _State.HANDSHAKE
        self._app: asyncio.Protocol | None = None
        self._raw: asyncio.Transport | None = None
        self._corked: list[bytes] = []
        self._corked_size = 0
        self._closing = False
        self._session: Session | None = None
        self._head = b""
        self._timer: asyncio.TimerHandle | None = None

    # -- towards the network: a protocol -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = raw = cast(asyncio.Transport, transport)
        listener = self._listener
        if len(listener.connections) >= listener.limits.connections:
            listener.turned_away += 1
            self._state = _State.CLOSED
            raw.abort()
            return
        listener.connections.add(self)
        self._timer = self._loop.call_later(listener.limits.handshake_seconds, self._too_slow)
        if listener.live.current.named:
            self._state = _State.HELLO

    @property
    def session(self) -> Session:
        """The TLS session; it begins with the first byte, so that a silent connection costs little."""
        if self._session is None:
            self._session = self._begin(self._listener.live.current.default)
        return self._session

    def _begin(self, context: ServerContext) -> Session:
        return Session(context, address=address_of(self._raw) if self._raw is not None else None)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is _State.OPEN:
            self.session.receive(data)
            self._deliver()
        elif state is _State.HANDSHAKE:
            self.session.receive(data)
            self._advance()
        elif state is _State.HELLO:
            self._choose_context(data)

    def eof_received(self) -> bool | None:
        if self._state is not _State.OPEN:
            if self._state in (_State.HANDSHAKE, _State.HELLO):
                self._fail_at_eof()
            return False
        try:
            self.session.eof()
        except Truncated as fault:
            self._lost(fault)
            return False
        return True  # close_notify came before: whether to go on sending was the application's choice

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state in (_State.HANDSHAKE, _State.HELLO):
            self._fail_at_eof()
        self._lost(exc)

    def pause_writing(self) -> None:
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        if self._app is not None:
            self._app.resume_writing()

    # -- the handshake -------------------------------------------------------------------------------

    def _choose_context(self, data: bytes) -> None:
        self._head += data
        name = server_name_of(self._head)
        if name is NeedMore:
            return
        self._session = self._begin(self._listener.live.current.context_for(name))
        self._state = _State.HANDSHAKE
        head, self._head = self._head, b""
        self.session.receive(head)
        self._advance()

    def _advance(self) -> None:
        session, raw = self.session, self._raw
        assert raw is not None
        try:
            complete = session.advance()
        except Exception as fault:  # noqa: BLE001 - a refusal, or a fault of ours: either way nobody gets in
            self._refuse(fault)
            return
        if not complete:
            if answer := session.outgoing():
                raw.write(answer)
            return
        live = self._listener.live.current
        if session.context.generation != live.number:
            # A reload has overtaken this handshake: what it was judged by is no longer in force.
            objection = live.context_for(session.server_name).objection(session.peer)
            if objection is not None:
                objection.step = Step.SERVER_CHECKS
                self._refuse(objection)
                return
        self._stop_timer()
        # In TLS 1.3 only tickets are left to send: they leave with the first answer, or when we settle down.
        waits = session.version == "TLSv1.3" and acknowledge(raw.get_extra_info("socket"))
        if not waits and (answer := session.outgoing()):
            raw.write(answer)
        self._listener.look_after(self)
        self._open()

    def settle_down(self) -> None:
        """Send what has waited for the first answer, and give back the buffers that the handshake has filled."""
        if self._state is _State.OPEN and self._raw is not None:
            if tickets := self.session.outgoing():
                self._raw.write(tickets)
            self.session.settle()

    def _open(self) -> None:
        self._state = _State.OPEN
        self._app = self._listener.application(self.session)
        self._app.connection_made(self)
        self._deliver()

    def _deliver(self) -> None:
        """Give the application all plaintext that is there."""
        session = self.session
        while self._state is _State.OPEN:
            try:
                data = session.read()
            except Exception as fault:  # noqa: BLE001 - the connection cannot go on
                self._broken(fault)
                break
            app = self._app
            if data is None or app is None:
                break
            if data:
                app.data_received(data)
            else:
                if not app.eof_received():
                    self.close()
                break

    def _refuse(self, fault: BaseException) -> None:
        """Tell why, deliver the alert, let the other side read it, and close."""
        raw = self._raw
        assert raw is not None
        self._stop_timer()
        self._state = _State.REFUSED
        self._listener.refused(Refusal.of(fault, self.session))
        answer = self.session.outgoing()
        if isinstance(fault, NotTls) and "HTTP" in fault.seen:
            answer = PLAIN_HTTP_ANSWER
        if raw.is_closing():
            return
        if answer:
            raw.write(answer)
        if raw.can_write_eof():
            raw.write_eof()
        self._timer = self._loop.call_later(self._listener.limits.drain_seconds, raw.abort)

    def _fail_at_eof(self) -> None:
        try:
            self.session.eof()
        except TwowayError as fault:
            self._stop_timer()
            self._state = _State.CLOSED
            if self.session.hello_seen or self._head:
                self._listener.refused(Refusal.of(fault, self.session))

    def _too_slow(self) -> None:
        self._timer = None
        fault = TimedOut("the handshake", self._listener.limits.handshake_seconds)
        fault.step = self.session.step
        self._refuse(fault)

    def _broken(self, fault: BaseException) -> None:
        """A protocol error under a running connection: the alert goes out, the application is told."""
        if not isinstance(fault, TwowayError):
            log.error("internal error on a connection of %s: %r", self.session.address, fault)
        raw = self._raw
        if raw is not None and not raw.is_closing():
            if alert := self.session.outgoing():
                raw.write(alert)
            raw.close()
        self._lost(fault if isinstance(fault, Exception) else None)

    def _lost(self, exc: Exception | None) -> None:
        if self._state is _State.CLOSED and self._app is None:
            self._listener.connections.discard(self)
            self._stop_timer()
            return
        self._state = _State.CLOSED
        self._stop_timer()
        self._corked.clear()
        self._listener.connections.discard(self)
        app, self._app = self._app, None
        if app is not None:
            app.connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_open(self) -> bool:
        """Whether the handshake and the policy have said yes, and the connection has not ended."""
        return self._state is _State.OPEN

    # -- a new generation ----------------------------------------------------------------------------

    def rejudge(
        self, generation: Any, verdicts: dict[tuple[int, tuple[str, ...]], TwowayError | None]
    ) -> TwowayError | None:
        """What the given generation has against this connection, None when it would admit it."""
        if self._state is not _State.OPEN:
            return None
        context, peer = generation.context_for(self.session.server_name), self.session.peer
        key = (id(context), (peer.fingerprint,) if peer is not None else ())
        if key not in verdicts:
            verdicts[key] = context.objection(peer)
        return verdicts[key]

    def cut(self, fault: TwowayError) -> None:
        """End a connection that is no longer admitted, and say why in the log."""
        fault.step = Step.TALK
        self._listener.refused(Refusal.of(fault, self.session))
        self.close()

    # -- towards the application: a transport --------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; what is written within one turn of the loop leaves together."""
        if self._state is not _State.OPEN or self._closing or not data:
            return
        corked = self._corked
        if not corked:
            self._loop.call_soon(self._flush)
        corked.append(bytes(data))
        self._corked_size += len(data)
        if self._corked_size >= _CORK_LIMIT:
            self._flush()

    def _flush(self) -> None:
        if self._encrypt() and self._raw is not None:
            self._raw.write(self.session.outgoing())

    def _encrypt(self) -> bool:
        """Turn what is corked into ciphertext; False when there is nothing to send."""
        corked = self._corked
        if not corked or self._state is not _State.OPEN:
            return False
        data = corked[0] if len(corked) == 1 else b"".join(corked)
        corked.clear()
        self._corked_size = 0
        try:
            self.session.write(data)
        except Exception as fault:  # noqa: BLE001 - the connection cannot go on
            self._broken(fault)
            return False
        return True

    def close(self) -> None:
        """Send what is written and say close_notify, in one piece, and close."""
        raw = self._raw
        if raw is None or self._closing:
            return
        self._encrypt()
        self._closing = True
        if self._state is _State.OPEN:
            self.session.close_notify()
            if last := self.session.outgoing():
                raw.write(last)
        raw.close()

    def abort(self) -> None:
        self._closing = True
        if self._raw is not None:
            self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw is None or self._raw.is_closing()

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("TLS ends both directions with close()")

    def get_write_buffer_size(self) -> int:
        return self._corked_size + (self._raw.get_write_buffer_size() if self._raw is not None else 0)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        assert self._raw is not None
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert self._raw is not None
        self._raw.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        if self._raw is not None and not self._raw.is_closing():
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._raw is not None and not self._raw.is_closing():
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        return self._raw is not None and self._raw.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._app = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._app is not None
        return self._app

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio's transports offer, and `twoway.session`, `twoway.peer`, `sslcontext`-like facts."""
        if name == "twoway.session":
            return self.session
        if name == "twoway.peer":
            return self.session.peer
        if name in ("ssl_object", "sslcontext"):
            return self.session
        if name == "cipher":
            return (self.session.cipher, self.session.version, None)
        return self._raw.get_extra_info(name, default) if self._raw is not None else default
