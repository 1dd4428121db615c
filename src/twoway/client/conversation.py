"""What the blocking and the asynchronous stream share: one TLS session with a server, and the meaning of its ends."""

from __future__ import annotations

import os
import socket
from typing import Any

import httpx2

from twoway.client.faults import as_call_error
from twoway.client.source import IdentitySource
from twoway.errors import TwowayError
from twoway.steps import Step
from twoway.tls import (
    ClientContext,
    ConnectionBroke,
    ConnectionCut,
    Session,
    TimedOut,
    Truncated,
)

CHUNK = 65536
LINGER_SECONDS = 1.0


class Conversation:
    """A client's session on one connection; `target` is what errors call the server."""

    def __init__(self, source: IdentitySource, server_name: str, target: str) -> None:
        self.source, self.target = source, target
        self.context: ClientContext = source.context()
        self.session = Session(
            self.context,
            server_name=server_name,
            target=target,
            ticket=source.take_ticket(target, self.context),
        )
        self.was_heard = False

    def heard(self) -> None:
        """The server has sent application data: it has judged us, and its tickets have come."""
        if not self.was_heard:
            self.was_heard = True
            self.source.keep_ticket(self.target, self.context, self.session.ticket())

    def ended(self) -> bytes:
        """The transport has ended: b"" where that is a proper end; raises what else it is."""
        try:
            self.session.eof()
        except Truncated:
            if self.was_heard:
                raise
            raise self.closed_unheard() from None
        return self.goodbye()

    def goodbye(self) -> bytes:
        """The server said close_notify: a proper end, unless it never said anything else."""
        if self.was_heard:
            return b""
        raise self.closed_unheard()

    def closed_unheard(self) -> TwowayError:
        """Hung up after the handshake without a word: some servers refuse a certificate that way."""
        return ConnectionCut(Step.SERVER_CHECKS, "client", self.target)

    def broke(self, error: Exception) -> TwowayError:
        """What a broken transport means now."""
        if not self.session.complete:
            return ConnectionCut(self.session.step, "client", self.target)
        if not self.was_heard:
            return self.closed_unheard()
        return ConnectionBroke(self.target, str(error) or "reset by the other side")

    def last_words(self, data: bytes, error: Exception) -> TwowayError:
        """Why the handshake broke: what the server said in `data`, or what `error` means when it said nothing."""
        session = self.session
        try:
            session.receive(data)
            if session.advance():
                session.read()
        except TwowayError as fault:
            return fault
        return self.broke(error)

    def too_slow(self, what: str, seconds: float | None, kind: type[httpx2.TimeoutException]) -> TwowayError:
        return as_call_error(TimedOut(what, seconds or 0), kind)

    def fact(self, info: str, inner: Any) -> Any:
        if info == "twoway.session":
            return self.session
        if info == "twoway.peer":
            return self.session.peer
        if info == "ssl_object":
            return None  # we offer HTTP/1.1 only, and have no ssl.SSLObject
        if info == "is_readable" and self.source.context() is not self.context:
            # httpcore2 asks this of an idle connection, and takes a yes for a server that has hung up: it closes
            # the connection and makes a new one. One that showed the identity of before is retired that way.
            return True
        return inner.get_extra_info(info)


def name_in_errors(server_name: str | None, target: str) -> str:
    """What errors call the server: through a tunnel the socket leads to the proxy, the name to the server."""
    host = target.rpartition(":")[0]
    return target if server_name in (None, host) else f"{server_name} (through {target})"


def second_handle(inner: Any) -> socket.socket | None:
    """A second descriptor of the socket under `inner`, which outlives what an event loop does to the first.

    None where our bytes are not the socket's own, as in a tunnel through a TLS proxy.
    """
    sock = inner.get_extra_info("socket")
    if sock is None or inner.get_extra_info("ssl_object") is not None:
        return None
    try:
        handle = socket.socket(fileno=os.dup(sock.fileno()))
    except OSError:
        return None
    handle.setblocking(False)
    return handle


def rest_of(handle: socket.socket | None) -> bytes:
    """What has arrived on a socket and nobody has read; closes this handle of it."""
    if handle is None:
        return b""
    parts: list[bytes] = []
    with handle:
        try:
            while len(parts) < 64 and (part := handle.recv(CHUNK)):
                parts.append(part)
        except OSError:
            pass  # nothing more to read
    return b"".join(parts)
