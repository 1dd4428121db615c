"""uvicorn's HTTP and WebSocket protocols over our own TLS: they learn the peer, and keep half-closed lines."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from twoway.server.extension import extensions_of
from twoway.tls import Session


class PeerHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 for one proven connection; every scope carries who it is."""

    extensions: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # ours is one, with the peer

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

    def on_message_begin(self) -> None:
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
