"""What all conversations of one listener share: names, waiting links, refusals, counts and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from twoway.errors import TwowayError
from twoway.gateway.dialing import Dialing
from twoway.gateway.ends import PlainEnd
from twoway.gateway.faults import OutlivedLimit
from twoway.gateway.http.answers import answer
from twoway.gateway.http.conversation import Conversation
from twoway.gateway.http.exchange import Exchange
from twoway.gateway.http.faults import TargetSilent, TooSlow, status_of, told
from twoway.gateway.http.fields import request_kinds, response_kinds
from twoway.gateway.http.heads import RequestHead
from twoway.gateway.http.identity import Identity
from twoway.gateway.http.pool import Link, Pool
from twoway.gateway.loop import Handler
from twoway.tls import Refusal

if TYPE_CHECKING:
    from twoway.gateway.connection import Connection
    from twoway.gateway.frontend import Frontend


class HttpService:
    """The HTTP side of one Frontend."""

    def __init__(self, frontend: Frontend) -> None:
        options = frontend.options
        self.frontend, self.loop, self.backend = frontend, frontend.loop, frontend.backend
        self._identity = Identity(options.client_cert_headers, options.named_headers)
        self.request_kinds, self.response_kinds = request_kinds(self._identity.stripped), response_kinds()
        self.pool = Pool(self.loop, frontend.client_context)

    def lines_about(self, connection: Connection) -> tuple[bytes, bytes]:
        """What every request of a connection tells the target about its client: certificate and address."""
        assert connection.session is not None
        shown, address = connection.session.context.settings.credential, connection.address
        told = self._identity.lines(connection.peer, own_uris=shown.names.uri if shown is not None else ())
        return told, f"X-Forwarded-For: {address[0]}\r\n".encode() if isinstance(address, tuple) else b""

    # -- links ---------------------------------------------------------------------------------------

    def dialing(
        self, reached: Callable[[PlainEnd, int], None], failed: Callable[[BaseException], None]
    ) -> Dialing:
        return Dialing(self.backend, self.loop, reached, failed)

    def link(self, dialing: Dialing, end: PlainEnd) -> Link:
        return Link(dialing, end, self.frontend.client_context())

    def watch(self, fd: int, handler: Handler, before: int, mask: int) -> int:
        """Have the loop watch for another mask; 0 is a descriptor that is not watched."""
        if not mask:
            self.loop.forget(fd)
        elif before:
            self.loop.rewatch(fd, handler, mask)
        else:
            self.loop.watch(fd, handler, mask)
        return mask

    # -- what is told --------------------------------------------------------------------------------

    def refused(
        self, fault: TwowayError, connection: Connection, request: RequestHead | None, *, close: bool
    ) -> bytes:
        """Log and count a request that no target answers; the answer that goes out instead."""
        assert connection.session is not None
        refusal = Refusal.of(fault, connection.session)
        if request is not None:
            asked = {
                "method": request.method.decode(),
                "path": request.path.decode() if request.path else None,
            }
            refusal = dataclasses.replace(refusal, evidence={**refusal.evidence, **asked})
        status, tally = status_of(fault), self.frontend.tally
        tally.requests_refused[refusal.code] += 1
        tally.requests[f"{status // 100}xx"] += 1
        self.frontend.keep(refusal)
        return answer(
            status,
            refusal=refusal.id,
            at=refusal.at,
            code=refusal.code,
            reason=told(fault),
            remedy=fault.remedy if status < 500 and status != 403 else "",
            accept=request.accept if request is not None else b"",
            close=close,
            bodyless=request is not None and request.method == b"HEAD",
        )

    def no_way(self, fault: BaseException, connection: Connection) -> None:
        self.frontend.no_way(fault, connection, what="a request")

    def finished(self, connection: Connection, exchange: Exchange) -> None:
        """Count and log a request that a target has answered, or whose answer was broken off."""
        frontend, request, status = self.frontend, exchange.request, exchange.status
        seconds = self.loop.now - exchange.began
        tally = frontend.tally
        tally.requests[f"{status // 100}xx" if status else "none"] += 1
        tally.request_seconds.add(seconds)
        if not frontend.journal.access:
            return
        peer, method = connection.peer, request.method.decode()
        path = request.path.decode() if request.path else "*"
        who = peer.describe() if peer is not None else "-"
        broken = status != 101 and not exchange.answer_over
        frontend.journal.event(
            "request",
            f"{frontend.name} #{connection.number} {who} {connection.told_address or '-'} {method} {path} "
            f"{status or '-'} up={exchange.up_bytes}B down={exchange.down_bytes}B {seconds * 1000:.1f}ms"
            + (" broken off" if broken else ""),
            listener=frontend.name, number=connection.number, peer=peer.describe() if peer else None,
            fingerprint=peer.fingerprint if peer else None, address=connection.told_address, method=method,
            path=path, host=request.host.decode(), status=status or None, up=exchange.up_bytes,
            down=exchange.down_bytes, ms=round(seconds * 1000, 2), broken_off=broken,
        )  # fmt: skip

    def add(self, carried: tuple[int, int]) -> None:
        """Count bytes of a conversation that does not end, and so is not counted then."""
        self.frontend.tally.bytes_up += carried[0]
        self.frontend.tally.bytes_down += carried[1]

    # -- limits --------------------------------------------------------------------------------------

    def limit(self, conversation: Conversation, now: float) -> None:
        """End what has lasted too long: a head, a body, a wait for an answer, a silence between requests."""
        bounds, exchange = self.frontend.options.bounds, conversation.exchange
        if exchange is None:
            self._limit_idle(conversation, now)
            return
        waited, request = now - exchange.moved, exchange.request
        if exchange.answer is not None:
            if conversation.blocked and waited >= bounds.body_seconds:
                conversation.end(TooSlow("the reading of an answer", bounds.body_seconds))
            elif waited >= bounds.idle_seconds:
                conversation.end(OutlivedLimit(f"idle for {bounds.idle_seconds:g} s"))
        elif exchange.link is None:
            return  # on the way to a target each try has its own limit
        elif exchange.takes_body:
            if waited >= bounds.body_seconds:
                conversation.stop(TooSlow("the body of a request", bounds.body_seconds), request)
        elif waited >= bounds.response_seconds:
            fault = TargetSilent(str(exchange.link.target.address), bounds.response_seconds)
            conversation.guarded(lambda: conversation.unanswered(exchange, fault))

    def _limit_idle(self, conversation: Conversation, now: float) -> None:
        bounds = self.frontend.options.bounds
        if conversation.blocked or conversation.parting:
            if now - conversation.active >= bounds.body_seconds:
                conversation.end(OutlivedLimit("the client takes nothing"))
        elif conversation.head_since:
            if now - conversation.head_since >= bounds.header_seconds:
                conversation.stop(TooSlow("the head of a request", bounds.header_seconds), None)
        elif now - conversation.active >= bounds.keep_alive_seconds:
            conversation.leave()

    def close(self) -> None:
        """The listener is gone: nobody waits for its targets any more."""
        self.pool.close_all()
