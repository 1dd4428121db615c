"""One request at a target, and its answer: sent up and read back, with the client's side told of each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twoway.errors import PeerRefused, TwowayError
from twoway.gateway.dialing import Dialing
from twoway.gateway.ends import Data, PlainEnd
from twoway.gateway.http.bodies import Body, ChunkedBody, EndlessBody, LengthBody
from twoway.gateway.http.faults import BadAnswer, BadMessage
from twoway.gateway.http.heads import RequestHead, ResponseHead, parse_response
from twoway.gateway.http.pool import Link
from twoway.gateway.http.reader import Reader
from twoway.gateway.loop import BROKEN, READ, WRITE, Handler

if TYPE_CHECKING:
    from twoway.gateway.http.service import HttpService

TURNS = 8  # buffers that one direction may carry before the others have their turn
_MOST_INTERIM = 16
# RFC 9110 §9.2.1: these change nothing, so a second one does no harm.
_REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))


class Asker(Protocol):
    """What an exchange needs of the client's side."""

    @property
    def blocked(self) -> bool:
        """The client has not taken what was sent: nothing more is to be read for it."""

    @property
    def closing(self) -> bool:
        """There will be no request after this one."""

    def send_down(self, data: Data) -> None: ...
    def goes_on(self) -> None:
        """The target takes more of the request's body."""

    def answered(self, exchange: Exchange) -> None: ...
    def unanswered(self, exchange: Exchange, fault: BaseException) -> None: ...
    def end(self, fault: BaseException | None = None) -> None: ...
    def switched(self, exchange: Exchange, head: bytes) -> None: ...
    def guarded(self, act: Callable[[], None]) -> None: ...


class Exchange:
    """`up` is what the target has not taken yet; nothing more is read for it until it has.

    `body` and `answer_body` are None where there is none, and once they are over. `moved` is when something of
    it last went on. `broken`: the target takes no more of the request; `spoilt`: its link is not for another one.
    """

    __slots__ = (
        "_asker", "_dialing", "_interim", "_reader", "_repeat", "_service", "answer", "answer_body", "answer_over",
        "began", "body", "broken", "down_bytes", "link", "moved", "on_back", "request", "spoilt", "status", "up",
        "up_bytes",
    )  # fmt: skip

    def __init__(
        self,
        service: HttpService,
        asker: Asker,
        request: RequestHead,
        body: Body | None,
        up: bytes,
        on_back: Handler,
    ) -> None:
        self._service, self._asker, self.request, self.body, self.up = service, asker, request, body, up
        self.on_back = on_back
        self._repeat = up if body is None and request.method in _REPEATABLE else b""
        self.began = self.moved = service.loop.now
        self.link: Link | None = None
        self._dialing: Dialing | None = None
        self._reader = Reader()
        self.answer: ResponseHead | None = None
        self.answer_body: Body | None = None
        self.answer_over = self.broken = self.spoilt = False
        self._interim = self.status = self.up_bytes = self.down_bytes = 0

    @property
    def sent_whole(self) -> bool:
        """The target has the whole request."""
        return self.body is None and not self.up and not self.broken

    @property
    def takes_body(self) -> bool:
        """Whether more of the client's body can be used now."""
        return self.body is not None and self.link is not None and not self.up and not self.broken

    # -- the way to a target -------------------------------------------------------------------------

    def begin(self, link: Link | None) -> None:
        """Send what there is over this link, a waiting one, or a new one."""
        if link is None:
            target = self._service.backend.choose([])
            if target is not None:
                link = self._service.pool.take(target, self.on_back, repeatable=bool(self._repeat))
        if link is None:
            self._dial()
            return
        self.link = link
        self.push()

    def _dial(self) -> None:
        self._dialing = self._service.dialing(self._reached, self._unreached)
        self._dialing.begin()

    def _reached(self, end: PlainEnd, mask: int) -> None:
        dialing, loop = self._dialing, self._service.loop
        assert dialing is not None
        self._dialing = None
        self.link = self._service.link(dialing, end)
        if mask:
            loop.rewatch(end.fd, self.on_back, READ)
        else:
            loop.watch(end.fd, self.on_back, READ)
        self._asker.guarded(self.push)

    def _unreached(self, fault: BaseException) -> None:
        if self._dialing is not None:
            self._dialing.leave()
            self._dialing = None
        self._asker.guarded(lambda: self._asker.unanswered(self, fault))

    def leave(self) -> None:
        """Break off: the target sees a failure, and never half of a request as a whole one."""
        if self._dialing is not None:
            self._dialing.leave()
            self._dialing = None
        if self.link is not None:
            self._service.pool.close(self.link, reset=True)
            self.link = None

    # -- up ------------------------------------------------------------------------------------------

    def push(self) -> None:
        """Give the target what waits for it; then the client may send more."""
        if self.up:
            self._send(self.up)
        if self.takes_body:
            self._asker.goes_on()

    def take_body(self, data: Data) -> bytes:
        """More of the request's body; gives back what lies behind its end. Raises BadMessage."""
        body = self.body
        assert body is not None
        self.moved = self._service.loop.now
        rest = b""
        if isinstance(body, LengthBody) and len(data) <= body.left:
            body.passed(len(data))
            piece: Data = data
        else:
            whole = bytes(data)
            piece, at = body.take(whole)
            rest = whole[at:]
        if body.done:
            self.body = None
        if piece:
            self._send(piece)
        return rest

    def _send(self, data: Data) -> None:
        assert self.link is not None
        try:
            taken = self.link.end.write(data)
        except (OSError, TwowayError):
            # It may have answered before it hung up, and then its answer says more than this.
            self.up, self.broken = b"", True
            self.pull()
            return
        self.up_bytes += taken
        self.up = b"" if taken == len(data) else bytes(data[taken:])

    # -- down ----------------------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        """The link's socket is ready."""
        link = self.link
        if link is None:
            return
        if events & WRITE:
            link.end.stuck = not link.end.flush()
            self.push()
        if events & (READ | BROKEN) and self.link is link:
            self.pull()

    def pull(self) -> None:
        """Read what the target has sent, and pass it on."""
        link, turns = self.link, 0
        assert link is not None
        end = link.end
        while (turns < TURNS or end.holds()) and not self._asker.blocked:
            turns += 1
            try:
                data = end.read()
            except (OSError, TwowayError) as fault:
                self._failed(fault)
                return
            self.moved = self._service.loop.now
            if data is None:
                return
            size = len(data)
            try:
                self._take(data)
            except BadMessage as fault:
                self._failed(BadAnswer(str(link.target.address), fault.problem))
                return
            if self.link is not link:
                return
            if self.answer_body is not None and self.answer_body.done:
                self.answer_over = True
            if self.answer_over:
                self._asker.answered(self)
                return
            if size < 1024 and not end.holds():
                return

    def _take(self, data: Data) -> None:
        body = self.answer_body
        if not data:
            self.spoilt = True
            if body is None:
                raise BadMessage("it hung up before its end")
            self._down(body.close())
        elif body is None:
            self._reader.feed(bytes(data))
            self._take_head()
        elif isinstance(body, LengthBody) and len(data) <= body.left:
            body.passed(len(data))
            self._down(data)
        else:
            whole = bytes(data)
            piece, at = body.take(whole)
            self.spoilt = self.spoilt or at < len(whole)
            self._down(piece)

    def _down(self, data: Data) -> None:
        if data:
            self.down_bytes += len(data)
            self._asker.send_down(data)

    def _take_head(self) -> None:
        while (head := self._reader.head()) is not None:
            answer = parse_response(head, self.request.method, self._service.response_kinds)
            if answer.status >= 200:
                self._answer(answer)
                return
            if answer.status == 101:
                if not (answer.upgrade and self.request.upgrade and self.sent_whole):
                    raise BadMessage("it switches to a protocol that was not asked for")
                self.status = 101
                self._asker.switched(self, answer.encode(chunked=False, close=False) + self._reader.take())
                return
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise BadMessage("its interim answers have no end")
            if self.request.version:
                self._down(answer.encode(chunked=False, close=False))

    def _answer(self, answer: ResponseHead) -> None:
        in_chunks = self.request.version == 1
        body: Body | None = None
        if answer.chunked:
            body = ChunkedBody(in_chunks=in_chunks)
        elif answer.until_close:
            body = EndlessBody(in_chunks=in_chunks)
        elif answer.length and not answer.bodyless:
            body = LengthBody(answer.length)
        close = self._asker.closing or self.request.close or not self.sent_whole
        self.request.close = close
        out = answer.encode(chunked=in_chunks and (answer.chunked or answer.until_close), close=close)
        held, at = self._reader.take(), 0
        if body is not None and held:
            piece, at = body.take(held)
            out += piece
        # A body that was announced and must not come (to HEAD, say) may come nevertheless, and would answer somebody else.
        announced = answer.bodyless and answer.announces_body
        self.spoilt = answer.close or answer.until_close or announced or at < len(held)
        self.answer, self.answer_body, self.status = answer, body, answer.status
        self.answer_over = body is None
        self._down(out)

    def _failed(self, fault: BaseException) -> None:
        """The link broke: ask another one, let the gateway answer, or break off what was begun."""
        if self.answer is not None:
            self._asker.end(fault)  # the client must not take half of an answer for the whole
            return
        link, self.link = self.link, None
        assert link is not None
        if isinstance(fault, PeerRefused):
            link.dialing.refused(fault)
        self._service.pool.close(link, reset=True)
        # RFC 9110 §9.2.2: a target that closed a waiting connection has not seen the request.
        if link.used and self._repeat and not self._interim and not self._reader.held:
            self.up, self._repeat, self.broken = self._repeat, b"", False
            self._dial()
            return
        self._asker.unanswered(self, fault)
