"""HTTP/1.1 with one client: request by request, each judged before a byte of it goes on.

    head -> judged -> exchange with a target -> the next head ... -> farewell

One exchange is under way at a time: what a client sends ahead waits in its socket, and one buffer. What one
side does not take stops the reading of the other. After a WebSocket handshake a plain Relay takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from twoway.errors import NetworkError, TwowayError
from twoway.gateway.ends import Data, PlainEnd
from twoway.gateway.http.bodies import Body, ChunkedBody, LengthBody
from twoway.gateway.http.exchange import TURNS, Exchange
from twoway.gateway.http.faults import ABOUT_ONE_REQUEST, BadAnswer, BadMessage
from twoway.gateway.http.gate import Gate
from twoway.gateway.http.heads import RequestHead, parse_request
from twoway.gateway.http.lingering import Lingering
from twoway.gateway.http.outbox import Outbox
from twoway.gateway.http.pool import Link
from twoway.gateway.http.reader import Reader
from twoway.gateway.loop import BROKEN, READ, WRITE
from twoway.gateway.relay import Relay

if TYPE_CHECKING:
    from twoway.gateway.connection import Connection
    from twoway.gateway.dialing import Dialing
    from twoway.gateway.http.service import HttpService

Done = Callable[["Conversation", BaseException | None], None]


class Conversation:
    """Takes the place of a Relay in a Connection: calls `done` once, after `end` or a farewell."""

    __slots__ = (
        "_client_ended", "_connection", "_done", "_down", "_gate", "_gently", "_leaving", "_lingering", "_mask",
        "_ours", "_own_link", "_reader", "_service", "_taking", "active", "down_bytes", "exchange",
        "front", "head_since", "parting", "up_bytes",
    )  # fmt: skip

    def __init__(
        self, service: HttpService, connection: Connection, front: PlainEnd, mask: int, done: Done
    ) -> None:
        assert connection.session is not None
        self._service, self._connection, self.front, self._mask = service, connection, front, mask
        self._done: Done | None = done
        self._gate = Gate(service.frontend, connection.session)
        self._ours = service.lines_about(connection)
        self._reader = Reader()
        self.exchange: Exchange | None = None
        self._own_link: Link | None = None  # one whose credentials are bound to its connection
        self._down = Outbox(front)
        self._client_ended = self._leaving = self._gently = self._taking = self.parting = False
        self._lingering: Lingering | None = None
        self.active = self.head_since = service.loop.now
        self.up_bytes = self.down_bytes = 0

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes of exchanges that are over: to targets, and to the client."""
        return self.up_bytes, self.down_bytes

    @property
    def ways(self) -> tuple[Dialing, ...]:
        """The ways to targets that are in use, or kept for this client alone."""
        exchange = self.exchange  # asked for by another thread too
        links = (exchange.link if exchange is not None else None, self._own_link)
        return tuple(link.dialing for link in links if link is not None)

    def start(self) -> None:
        """Begin with what has come together with the end of the handshake."""
        loop, fd = self._service.loop, self.front.fd
        if self._mask:
            loop.hand_over(fd, self._on_front)
        self._on_front(READ)

    def leave(self, *, gentle: bool = False) -> None:
        """Say goodbye after the exchange that is under way, or now.

        `gentle`: only after an answer that says so, since a request may be on its way already.
        """
        self._leaving, self._gently = True, gentle
        if not gentle and self.exchange is None and not self._reader.held:
            self.guarded(self._farewell)

    def end(self, fault: BaseException | None = None) -> None:
        """End now; what is under way is broken off so that nobody takes half of it for the whole."""
        done, self._done = self._done, None
        if done is None:
            return
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.leave()
            self._account(exchange)
        if self._own_link is not None:
            self._service.pool.close(self._own_link)
        if fault is not None:
            self.front.reset()
        self._service.loop.close(self.front.sock)
        done(self, fault)

    # -- events --------------------------------------------------------------------------------------

    def _on_front(self, events: int) -> None:
        if self._done is None:
            return
        self.active = self._service.loop.now
        try:
            if events & WRITE:
                self.front.stuck = not self.front.flush()
                self._flush()
            if events & (READ | BROKEN) and self._done is not None:
                self.goes_on()
        except Exception as fault:  # noqa: BLE001 - as `_broke` says
            self._broke(fault)
            return
        self._settle()

    def _on_back(self, events: int) -> None:
        if self._done is None:
            return
        self.active = self._service.loop.now
        try:
            if self.exchange is not None:
                self.exchange.ready(events)
            elif self._own_link is not None:  # nobody has asked it
                link, self._own_link = self._own_link, None
                self._service.pool.close(link)
        except Exception as fault:  # noqa: BLE001 - as `_broke` says
            self._broke(fault)
            return
        self._settle()

    def guarded(self, act: Callable[[], None]) -> None:
        """Do something outside of the two handlers above; what goes wrong ends the conversation."""
        if self._done is None:
            return
        try:
            act()
        except Exception as fault:  # noqa: BLE001 - as `_broke` says
            self._broke(fault)
            return
        self._settle()

    def _broke(self, fault: Exception) -> None:
        """A side has failed, or we have: either way nobody waits here for what will not come."""
        self.end(fault)
        if not isinstance(fault, (OSError, TwowayError)):
            raise fault

    def _settle(self) -> None:
        """Ask for exactly those events that something can be done about."""
        if self._done is None or self._lingering is not None:
            return
        exchange = self.exchange
        if self.parting or self._client_ended:
            mask = 0
        elif exchange is None:
            mask = 0 if self.blocked else READ
        elif exchange.body is not None:
            mask = READ if exchange.takes_body else 0
        else:
            mask = 0 if self._reader.held else READ
        if self.blocked or self.parting:
            mask |= WRITE
        if self.front.stuck:
            mask = WRITE
        if mask != self._mask:
            self._mask = self._service.watch(self.front.fd, self._on_front, self._mask, mask)
        link = exchange.link if exchange is not None else None
        if exchange is not None and link is not None:
            mask = (0 if self.blocked or exchange.answer_over else READ) | (WRITE if exchange.up else 0)
            if link.end.stuck:
                mask = WRITE
            if mask != link.mask:
                link.mask = self._service.watch(link.end.fd, self._on_back, link.mask, mask)

    # -- requests ------------------------------------------------------------------------------------

    def goes_on(self) -> None:
        """Read what the client sends, as far as it can be used."""
        front, turns = self.front, 0
        exchange = self.exchange
        if exchange is not None and exchange.body is None:
            self._look_ahead()
            return
        while turns < TURNS or front.holds():
            exchange = self.exchange
            if self._done is None or self.parting or self.blocked:
                return
            if exchange is not None and not exchange.takes_body:
                return
            turns += 1
            data = front.read()
            if data is None:
                return
            if not data:
                self._client_has_ended()
                return
            size = len(data)
            if exchange is None:
                self._reader.feed(bytes(data))
                self._next()
            else:
                try:
                    self._reader.feed(exchange.take_body(data))
                except BadMessage as fault:
                    self.stop(fault, exchange.request)
                    return
            if size < 1024 and not front.holds():
                return

    def _look_ahead(self) -> None:
        """What a client sends while it waits for its answer: one buffer is taken, the rest stays in the socket."""
        if not (self._reader.held or self._client_ended):
            data = self.front.read()
            if data is not None:
                self._client_ended = not data
                self._reader.feed(bytes(data))

    def _client_has_ended(self) -> None:
        self._client_ended = True
        if self.exchange is not None:
            raise BadMessage("it ends in the middle of its body")
        self._farewell()

    def _next(self) -> None:
        """Take up the next request, if its head is there; one that is refused gives way to the one after it."""
        if self._taking:  # called by what the loop below has called
            return
        self._taking = True
        try:
            self._take()
        finally:
            self._taking = False

    def _take(self) -> None:
        while self.exchange is None and self._done is not None and not self.blocked and not self.parting:
            request: RequestHead | None = None
            try:
                head = self._reader.head()
                if head is None:
                    self._wait_for_head()
                    return
                request = parse_request(head, self._service.request_kinds)
                self._gate.check(request)
                body, up = self._first_of(request)
            except TwowayError as fault:
                self._refuse(fault, request)
                continue
            self.head_since = 0.0
            link, self._own_link = self._own_link, None
            self.exchange = Exchange(self._service, self, request, body, up, self._on_back)
            self.exchange.begin(link)

    def _wait_for_head(self) -> None:
        if self._client_ended or (self._leaving and not self._gently and not self._reader.held):
            self._farewell()
        elif not self._reader.held:
            self.head_since = 0.0
        else:
            self.head_since = self.head_since or self._service.loop.now

    def _first_of(self, request: RequestHead) -> tuple[Body | None, bytes]:
        """The body as far as it is still to come, and what is to be sent first; raises BadMessage."""
        up = request.encode(*self._ours)
        if not request.has_body:
            return None, up
        body = ChunkedBody() if request.chunked else LengthBody(request.length or 0)
        held = self._reader.take()
        piece, at = body.take(held)
        self._reader.feed(held[at:])
        return None if body.done else body, up + piece

    def _refuse(self, fault: TwowayError, request: RequestHead | None) -> None:
        """Answer instead of a target; the connection goes on where it is clear that the next request begins."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.leave()
            self.up_bytes += exchange.up_bytes
        if exchange is not None:
            whole = exchange.body is None
        else:
            whole = request is not None and not request.has_body and isinstance(fault, ABOUT_ONE_REQUEST)
        close = not whole or request is None or request.close or self.closing
        self.send_down(self._service.refused(fault, self._connection, request, close=close))
        self.parting = self.parting or close
        self._flush()

    # -- what an exchange tells ----------------------------------------------------------------------

    @property
    def blocked(self) -> bool:
        return bool(self._down.pending)

    @property
    def closing(self) -> bool:
        return self._leaving or self._client_ended

    def send_down(self, data: Data) -> None:
        """To the client; what it does not take now waits, and nothing more is read for it."""
        self._down.send(data)

    def answered(self, exchange: Exchange) -> None:
        """The answer is over; once the client has taken it, the next request may come."""
        if self.blocked:
            return
        link, exchange.link, self.exchange = exchange.link, None, None
        answer, request = exchange.answer, exchange.request
        assert link is not None
        assert answer is not None
        whole, pool = exchange.sent_whole, self._service.pool
        if exchange.spoilt or not whole:
            pool.close(link)
        elif link.private or request.private or answer.private:
            link.used = link.private = True
            self._own_link = link
        else:
            pool.give(link)
        self._account(exchange)
        if request.close or not whole:
            self._farewell()
            return
        if self._reader.held or self._client_ended or self._leaving:
            self._next()
        if self.exchange is None and self._done is not None and self.front.holds():
            self.goes_on()

    def unanswered(self, exchange: Exchange, fault: BaseException) -> None:
        """No target has answered: the gateway does."""
        self._service.no_way(fault, self._connection)
        known = fault if isinstance(fault, NetworkError) else BadAnswer("the target", str(fault))
        self._refuse(known, exchange.request)

    def switched(self, exchange: Exchange, head: bytes) -> None:
        """The target speaks WebSocket from here on, and nobody reads along (RFC 9110 §7.8)."""
        link, exchange.link, self.exchange = exchange.link, None, None
        assert link is not None
        self._account(exchange)
        self._service.add(self.carried)  # the relay counts from nothing
        self._done = None
        relay = Relay(
            self._service.loop, self.front, link.end, self._connection.relayed,
            front_mask=self._mask, back_mask=link.mask,
        )  # fmt: skip
        relay.down.pending = self._down.pending + head
        self._connection.goes_on_as(relay, link.dialing, partial(self._gate.check, exchange.request))
        relay.start(self._reader.take())

    def _account(self, exchange: Exchange) -> None:
        self.up_bytes += exchange.up_bytes
        self.down_bytes += exchange.down_bytes
        self._service.finished(self._connection, exchange)

    # -- ending --------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Give the client what waits for it, and go on with what had to wait for that."""
        exchange = self.exchange
        if self._down.flush() and exchange is not None:
            exchange.moved = self._service.loop.now
        if self.blocked:
            return
        if self.parting:
            self._farewell()
        elif exchange is None:
            self._next()
        elif exchange.answer_over:
            self.answered(exchange)
        elif exchange.link is not None:
            exchange.pull()

    def _farewell(self) -> None:
        """Our last word is said: close_notify, and time for the client to read it all."""
        self.parting = True
        if self.blocked or not self.front.finish():
            return
        if self._client_ended:
            self.end()
            return
        self._lingering = Lingering(self._service.loop, self.front.sock, self.end)
        self._mask = self._service.watch(self.front.fd, self._lingering.on_front, self._mask, READ)
        self._lingering.on_front(0)

    def stop(self, fault: TwowayError, request: RequestHead | None) -> None:
        """This request does not go on: tell the client, unless its answer has begun."""
        exchange = self.exchange
        if exchange is not None and exchange.answer is not None:
            self.end(fault)
        else:
            self.guarded(lambda: self._refuse(fault, request))
