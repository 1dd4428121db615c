"""One connection through the gateway, from accept to end.

    accepted -> (hello -> handshake, mutual TLS in) -> connecting, with mutual TLS out if asked for -> relay -> ended

No byte goes to a target before the handshake and the policy have both said yes.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from twoway.errors import PeerRefused, TwowayError
from twoway.gateway import proxy_v2
from twoway.gateway.dialing import Dialing
from twoway.gateway.ends import PlainEnd, TlsEnd
from twoway.gateway.faults import TooManyOfPeer
from twoway.gateway.http.conversation import Conversation
from twoway.gateway.loop import READ, WRITE
from twoway.gateway.relay import Relay
from twoway.steps import Step
from twoway.tls.acknowledging import acknowledge
from twoway.tls.context import EngineContext
from twoway.tls.faults import ConnectionCut, NotTls, TimedOut
from twoway.tls.plain import PLAIN_HTTP_ANSWER
from twoway.tls.socketed import SocketSession
from twoway.trust import Peer
from twoway.wire.peek import NeedMore, server_name_of

if TYPE_CHECKING:
    from twoway.gateway.frontend import Frontend
    from twoway.gateway.http.service import HttpService

_RECEIVE = 16384  # a flight of a handshake; a larger buffer would cost a trip to the allocator's slow path
_MAX_DRAINED = 1 << 20


class Connection:
    """Everything about one client of one listener. `stage` is for people and for limits."""

    __slots__ = (
        "_drained", "_first", "_front_mask", "_late", "_still_allowed", "_way",
        "address", "counted", "frontend", "number", "relay", "session", "since", "sock", "stage",
    )  # fmt: skip

    def __init__(self, frontend: Frontend, sock: socket.socket, address: object, number: int) -> None:
        self.frontend, self.sock, self.address, self.number = frontend, sock, address, number
        self.since = frontend.loop.now
        self.session: SocketSession | None = None
        self.relay: Relay | Conversation | None = None
        self.stage = "hello" if frontend.options.tls_in else "connecting"
        self.counted = False
        self._front_mask = 0
        self._way: Dialing | None = None
        self._still_allowed: Callable[[], None] = _nothing_to_ask
        self._first = b""
        self._drained = 0
        self._late = False

    @property
    def peer(self) -> Peer | None:
        """Whom the other side of the TLS that comes in has proven to be."""
        return self.session.peer if self.session is not None else None

    @property
    def told_address(self) -> str | None:
        """The client's address, as logs write it."""
        address = self.address
        if isinstance(address, tuple):
            return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
        return None

    def begin(self) -> None:
        """Take the first step that is possible now."""
        if self.frontend.options.tls_in:
            self._on_hello(0)
        else:
            self._connect()

    # -- mutual TLS in -------------------------------------------------------------------------------

    def _on_hello(self, _: int) -> None:
        try:
            data = self.sock.recv(_RECEIVE)
        except BlockingIOError:
            self._watch_front(self._on_hello, READ)
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        live = self.frontend.generation()
        context = live.default
        if live.named:
            self._first += data
            name = server_name_of(self._first)
            if name is NeedMore:
                self._watch_front(self._on_hello, READ)
                return
            data, self._first = self._first, b""
            context = live.context_for(name if isinstance(name, str) else None)
        self.session = self.frontend.session(context, self)
        self.stage = "handshake"
        self._advance(data)

    def _on_handshake(self, events: int) -> None:
        session = self.session
        assert session is not None
        try:
            if events & WRITE and not self._answer(self._first):
                return
            data = self.sock.recv(_RECEIVE)
            if not data:
                session.eof()
        except BlockingIOError:
            return
        except OSError:
            self.refuse(ConnectionCut(session.step, "server", None))
        except TwowayError as fault:
            self.refuse(fault)
        else:
            self._advance(data)

    def _advance(self, data: bytes) -> None:
        """Take in what has come and go as far as it leads."""
        session = self.session
        assert session is not None
        pool = self.frontend.pool
        try:
            session.receive(data)
            complete = session.advance() if pool is None else False
        except Exception as fault:  # noqa: BLE001 - a refusal, or a fault of ours: either way nobody gets in
            self.refuse(fault)
            return
        if pool is None:
            self._advanced(complete)
        else:  # the session is the thread's until it is done
            self._rest_front()
            self.stage = "asking"
            pool.run(session.advance, self._asked)

    def _asked(self, outcome: bool | BaseException) -> None:
        """What an authority was asked about within the handshake is answered, or it was not asked at all."""
        if self.stage == "ended":
            return
        self.stage = "handshake"
        if self._late and outcome is not True:
            self.out_of_time()
        elif isinstance(outcome, BaseException):
            self.refuse(outcome)
        else:
            self._advanced(outcome)

    def _advanced(self, complete: bool) -> None:
        session = self.session
        assert session is not None
        try:
            if complete:
                self.frontend.admitted(self, session)
        except Exception as fault:  # noqa: BLE001 - as above
            self.refuse(fault)
            return
        # In TLS 1.3 only tickets are left to send, and they wait for the first answer.
        if not (complete and session.version == "TLSv1.3" and acknowledge(self.sock)):
            try:
                sent = self._answer(session.outgoing())
            except OSError:
                sent = not complete
                self._first = b""
            if complete and not sent:  # a client that cannot take our last few bytes
                self.refuse(ConnectionCut(session.step, "server", None))
                return
            if not sent:
                return
        if not complete:
            self._watch_front(self._on_handshake, READ)
            return
        if self.frontend.http is not None:
            self._converse(self.frontend.http, session)
            return
        self._first = self._proxy_header(session) if self.frontend.options.proxy_protocol else b""
        self._connect()

    def _answer(self, data: bytes) -> bool:
        """Send our part of the handshake; what does not fit waits in `_first`. Raises OSError."""
        try:
            sent = self.sock.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        self._first = data[sent:]
        self._watch_front(self._on_handshake, WRITE if self._first else READ)
        return not self._first

    def _proxy_header(self, session: SocketSession) -> bytes:
        local = self.sock.getsockname()
        return proxy_v2.encode(
            self.address[:2] if isinstance(self.address, tuple) else None,
            local[:2] if isinstance(local, tuple) else None,
            session.peer,
            tls_version=session.version,
            server_name=session.server_name,
        )

    def refuse(self, fault: BaseException) -> None:
        """Say why in the log, send the alert and let the other side read it, and close."""
        session = self.session
        assert session is not None
        if isinstance(fault, ConnectionCut) and not session.hello_seen:
            self.drop()
            return
        self.frontend.refused(fault, session)
        answer = (
            PLAIN_HTTP_ANSWER if isinstance(fault, NotTls) and "HTTP" in fault.seen else session.outgoing()
        )
        with contextlib.suppress(OSError):
            self.sock.send(answer)
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self.stage = "refused"
        self.frontend.drains(self)
        self._watch_front(self._on_drain, READ)
        self._on_drain(0)

    def _on_drain(self, _: int) -> None:
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._drained += len(data)
        if not data or self._drained > _MAX_DRAINED:
            self.drop()

    # -- towards the target --------------------------------------------------------------------------

    def _connect(self) -> None:
        self.stage = "connecting"
        frontend = self.frontend
        self._way = Dialing(frontend.backend, frontend.loop, self._join, self._give_up)
        if not self._way.begin():
            self._rest_front()

    def _give_up(self, fault: BaseException) -> None:
        self.frontend.no_way(fault, self)
        self._leave_target()
        front = PlainEnd(self.sock)
        front.reset()
        self.drop()

    def _leave_target(self) -> None:
        if self._way is not None:
            self._way.leave()

    def _join(self, back: PlainEnd, back_mask: int) -> None:
        self.stage = "open"
        front = TlsEnd(self.sock, self.session) if self.session is not None else PlainEnd(self.sock)
        self.relay = Relay(
            self.frontend.loop, front, back, self.relayed, front_mask=self._front_mask, back_mask=back_mask
        )
        self.relay.start(self._first)
        self._first = b""

    def _converse(self, http: HttpService, session: SocketSession) -> None:
        """HTTP: each request finds its own way."""
        self.stage, self._first = "open", b""
        conversation = Conversation(http, self, TlsEnd(self.sock, session), self._front_mask, self.relayed)
        self.relay = conversation
        if self.frontend.door.is_closed:
            conversation.leave(gentle=True)
        conversation.start()

    def goes_on_as(self, relay: Relay, way: Dialing, still_allowed: Callable[[], None]) -> None:
        """A conversation has become a relay to the end of this way, by a request that is judged again by this."""
        self.relay, self._way, self._still_allowed = relay, way, still_allowed

    def relayed(self, relay: Relay | Conversation, fault: BaseException | None) -> None:
        """What carried our bytes has ended."""
        self.stage = "ended"
        way = self._way
        if way is not None:  # a conversation finds one for each request
            if isinstance(fault, PeerRefused):
                if self.session is None:  # in TLS 1.3 a target judges us after we think that all is done
                    way.refused(fault)
                self.frontend.no_way(fault, self)
            way.release()
        self.frontend.ended(self, fault)
        self.relay = None  # it holds us: neither is to wait for the collector

    # -- judged again --------------------------------------------------------------------------------

    def ends_judged(self) -> Iterator[tuple[EngineContext, SocketSession]]:
        """Both ends, as far as they are proven by TLS: what is in force for them now, and their sessions."""
        frontend, session = self.frontend, self.session
        if session is not None and session.complete:
            yield frontend.generation().context_for(session.server_name), session
        context, relay = frontend.client_context(), self.relay
        ways = relay.ways if isinstance(relay, Conversation) else (self._way,) if relay is not None else ()
        for way in ways:
            if context is not None and way is not None and way.session is not None:
                yield context, way.session

    def check_request(self) -> None:
        """Judge again what was asked for and still goes on, as a WebSocket does; raises what a new request would."""
        self._still_allowed()

    # -- ends from outside ---------------------------------------------------------------------------

    def cut(self, fault: TwowayError) -> None:
        """End a connection that is no longer admitted, or that has outlived a limit."""
        if self.relay is not None:
            self.relay.end(fault)
        else:
            self._leave_target()
            self.drop()

    def out_of_time(self) -> None:
        """The limit of the present stage has come."""
        if self.stage == "hello" and self.session is None:
            self.frontend.silent(self)
            self.drop()
        elif self.stage == "asking":
            self._late = True  # the thread has limits of its own
        elif self.stage in ("hello", "handshake"):
            assert self.session is not None
            fault = TimedOut("the handshake", self.frontend.options.bounds.handshake_seconds)
            fault.step = self.session.step
            self.refuse(fault)
        elif self.stage == "refused":
            self.drop()

    def drop(self) -> None:
        """Close without a word."""
        if self.stage == "ended":
            return
        self.stage = "ended"
        self.frontend.loop.close(self.sock)
        self.frontend.forget(self)

    # -- watching ------------------------------------------------------------------------------------

    def _watch_front(self, handler: object, mask: int) -> None:
        loop, fd = self.frontend.loop, self.sock.fileno()
        if not self._front_mask:
            loop.watch(fd, handler, mask)  # type: ignore[arg-type]
        elif self._front_mask != mask:
            loop.rewatch(fd, handler, mask)  # type: ignore[arg-type]
        else:
            loop.hand_over(fd, handler)  # type: ignore[arg-type]
        self._front_mask = mask

    def _rest_front(self) -> None:
        """Do not listen to the front until there is somewhere to carry its bytes to."""
        if self._front_mask:
            self.frontend.loop.forget(self.sock.fileno())
            self._front_mask = 0


def _nothing_to_ask() -> None:
    """A connection was judged, and no request."""


def too_many(peer: Peer, most: int) -> TooManyOfPeer:
    fault = TooManyOfPeer(peer.describe(), most)
    fault.step = Step.SERVER_CHECKS
    return fault
