"""uvicorn's HTTP and WebSocket protocols over our own TLS: they learn the peer, and keep half-closed lines."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from twoway.server.extension import extensions_of
from twoway.server.pace import ANSWER, BODY, REQUEST, Owed
from twoway.tls import Session

MAX_HEAD = 65536  # bytes of a request line and its headers, beyond the read in which they began
_PIECE = 1000  # fewer bytes of a body in one stall's time are none
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class PeerHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 for one proven connection; every scope carries who it is."""

    extensions: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # ours is one, with the peer
        self._received = self._head_began = self._drained = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """What uvicorn does here, without asking the kernel four times for two addresses."""
        session: Session = transport.get_extra_info("twoway.session")
        self.extensions = extensions_of(session)
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = _address(transport.get_extra_info("sockname"))
        self.client = _address(transport.get_extra_info("peername"))
        self.scheme = "https"

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._received += len(data)
        if (
            self._received - self._head_began > MAX_HEAD
            and self._awaits_head()
            and self in self.connections
            and not self.transport.is_closing()
        ):
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.scope is not self.scope

    def owed(self) -> Owed | None:
        """What the client has to do next; None while it is the application's turn."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.flow.write_paused:
                return Owed(ANSWER, (cycle, self._drained))
            if cycle.more_body and not self.flow.read_paused:
                return Owed(BODY, (cycle, self._received // _PIECE))
            return None
        # Between two requests the keep-alive timer runs, until a byte of the next one stops it.
        return Owed(REQUEST, cycle) if self.timeout_keep_alive_task is None else None

    def give_up(self, what: str) -> None:
        """End the connection, with 408 (RFC 9110 §15.5.9) where a request was begun and no answer is under way."""
        if what is not REQUEST:
            self.transport.abort()
            return
        if self._received > self._head_began:
            self.transport.write(_TIMED_OUT)
        self.transport.close()

    def describe(self) -> str:
        """Who it is, and from where."""
        peer = self.extensions["twoway"]["peer"]
        who = peer.describe() if peer else "nobody"
        return f"{who} {self.client[0]}:{self.client[1]}" if self.client else who

    def resume_writing(self) -> None:
        self._drained += 1
        super().resume_writing()

    def on_message_begin(self) -> None:
        self._head_began = self._received
        super().on_message_begin()
        # A dict of its own for each request: what an application writes into it stays there.
        self.scope["extensions"] = {name: dict(value) for name, value in self.extensions.items()}

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; what it asked for it still gets."""
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return True
        return False


def _address(name: Any) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


class PeerWebSocketProtocol(WSProtocol):
    """WebSocket for one proven connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        extensions = extensions_of(transport.get_extra_info("twoway.session"))
        application = self.app

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), **extensions}
            await application(scope, receive, send)

        self.app = with_peer
        super().connection_made(transport)
