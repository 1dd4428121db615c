"""A client that leaves Nagle's algorithm on waits for nobody: its last flight is acknowledged at once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.tls.conftest import Pki
from twoway.tls import ClientContext, ClientSettings, Listener, LiveServer, ServerSettings, Session, aio
from twoway.tls.acknowledging import acknowledge


def test_the_kernel_is_asked_to_acknowledge_on_tcp_and_cannot_be_elsewhere():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as tcp:
            assert acknowledge(tcp)
        assert not acknowledge(tcp)  # closed
    one, other = socket.socketpair()
    with one, other:
        assert not acknowledge(one)
    assert not acknowledge(None)


class Wire:
    """A transport that keeps what is written, in the order in which it is."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.socket = object()

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket if name == "socket" else ("127.0.0.1", 1) if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


@pytest.mark.parametrize("acknowledged", [True, False])
def test_tickets_wait_for_the_first_answer_only_where_the_flight_is_acknowledged_without_them(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, acknowledged: bool
):
    asked: list[Any] = []
    monkeypatch.setattr(aio, "acknowledge", lambda sock: asked.append(sock) or acknowledged)

    async def story() -> list[bytes]:
        live = LiveServer(ServerSettings(pki.server))
        listener = Listener(live, lambda _: asyncio.Protocol())
        connection, wire = aio.TlsConnection(listener), Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        client = Session(ClientContext(ClientSettings(pki.client)), server_name="api.acme.example")
        client.advance()
        connection.data_received(client.outgoing())
        client.receive(b"".join(wire.written))
        assert client.advance()
        wire.written.clear()
        connection.data_received(client.outgoing())
        assert connection.is_open
        assert asked == [wire.socket]
        return wire.written

    assert bool(asyncio.run(story())) is not acknowledged
