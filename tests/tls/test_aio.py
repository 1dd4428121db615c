"""The listener on asyncio: refusals arrive and are told once, nobody unproven reaches the application."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from twoway.errors import TwowayError
from twoway.tls import (
    AlertReceived,
    ClientContext,
    ClientSettings,
    Limits,
    Listener,
    LiveServer,
    Refusal,
    ServerSettings,
    Session,
    TlsConnection,
    TlsSocket,
)
from twoway.trust import Policy, Trust

from .conftest import BOTH, Pki

versions = pytest.mark.parametrize("version", BOTH)


class Echo(asyncio.Protocol):
    """Sends back what comes, in two writes, and remembers what it saw."""

    def __init__(self, seen: list[Any], session: Session) -> None:
        self.seen, self.session = seen, session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.seen.append(("made", self.session.peer and self.session.peer.common_name))

    def data_received(self, data: bytes) -> None:
        self.seen.append(("data", data))
        self.transport.write(data[:1])  # type: ignore[attr-defined]
        self.transport.write(data[1:])  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append(("lost", type(exc)))


class Running:
    def __init__(self, listener: Listener, port: int, seen: list[Any], refusals: list[Refusal]) -> None:
        self.listener, self.port, self.seen, self.refusals = listener, port, seen, refusals

    async def until(self, condition: Any) -> None:
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it did not come to pass")


@asynccontextmanager
async def running(settings: ServerSettings, **limits: Any) -> AsyncIterator[Running]:
    seen: list[Any] = []
    refusals: list[Refusal] = []
    listener = Listener(
        LiveServer(settings),
        lambda session: Echo(seen, session),
        refused=refusals.append,
        limits=Limits(**limits),
    )
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    try:
        yield Running(listener, server.sockets[0].getsockname()[1], seen, refusals)
    finally:
        server.close()
        for connection in tuple(listener.connections):
            connection.abort()
        await server.wait_closed()


def client_context(pki: Pki, version: str = "TLSv1.3", **arguments: Any) -> ClientContext:
    arguments = {"credential": pki.client, "trust": pki.trust} | arguments
    return ClientContext(ClientSettings(minimum_version=version, maximum_version=version, **arguments))  # type: ignore[arg-type]


def talk(port: int, context: ClientContext, data: bytes, name: str = "localhost") -> bytes:
    with TlsSocket.connect("127.0.0.1", port, context, server_name=name) as connection:
        connection.sendall(data)
        got = b""
        while len(got) < len(data):
            part = connection.recv()
            if not part:
                break
            got += part
        return got


@versions
def test_the_application_gets_the_peer_and_the_bytes(pki: Pki, version: str):
    async def story() -> None:
        async with running(ServerSettings(pki.server)) as server:
            data = bytes(range(256)) * 4000
            got = await asyncio.to_thread(talk, server.port, client_context(pki, version), data)
            assert got == data
            assert server.seen[0] == ("made", "orders")
            await server.until(lambda: ("lost", type(None)) in server.seen)
            assert server.refusals == []
            await server.until(lambda: not server.listener.connections)

    asyncio.run(story())


@versions
@pytest.mark.parametrize(
    ("who", "code", "alerts"),
    [
        ("nobody", "no_certificate", {"certificate_required", "handshake_failure"}),
        ("stranger", "unknown_authority", {"unknown_ca"}),
        ("denied", "not_allowed", {"certificate_unknown"}),
    ],
)
def test_a_refusal_is_told_once_and_reaches_the_client(
    pki: Pki, version: str, who: str, code: str, alerts: set[str]
):
    credential = {"nobody": None, "stranger": pki.stranger, "denied": pki.client}[who]
    policy = Policy() if who == "denied" else Policy.anyone_proven()

    async def story() -> None:
        async with running(ServerSettings(pki.server, policy=policy)) as server:
            context = client_context(pki, version, credential=credential)
            for _ in range(10):
                with pytest.raises(AlertReceived) as caught:
                    await asyncio.to_thread(talk, server.port, context, b"x" * 10_000)
                assert caught.value.alert in alerts
            await server.until(lambda: len(server.refusals) == 10)
            refusal = server.refusals[0]
            assert refusal.code == code
            assert refusal.step == 4
            assert refusal.alert in alerts
            assert refusal.remedy
            assert bool(refusal.presented) == (who != "nobody")
            assert server.seen == []  # not one byte, not even a connection, reached the application
            assert len({one.id for one in server.refusals}) == 10

    asyncio.run(story())


def test_connections_that_are_no_longer_admitted_are_cut_and_the_others_live(pki: Pki):
    """Revocation reaches connections that are open: a new list, and the revoked one is gone."""
    other = pki.issuing.leaf("billing")

    async def story() -> None:
        async with running(ServerSettings(pki.server)) as server:
            first = await asyncio.to_thread(
                TlsSocket.connect, "127.0.0.1", server.port, client_context(pki), server_name="localhost"
            )
            second = await asyncio.to_thread(
                TlsSocket.connect,
                "127.0.0.1",
                server.port,
                client_context(pki, credential=other),
                server_name="localhost",
            )
            await server.until(lambda: len(server.seen) == 2)
            crls = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
            trust = Trust((pki.root.certificate,), crls)
            server.listener.live.reload(lambda: ServerSettings(pki.server, trust))
            assert server.listener.reauthorize() == 1
            assert await asyncio.to_thread(first.recv) == b""
            second.sendall(b"still here")
            assert await asyncio.to_thread(second.recv) == b"still here"
            assert [one.code for one in server.refusals] == ["certificate_revoked"]
            first.close()
            second.close()

    asyncio.run(story())


def test_a_silent_client_costs_one_slot_for_a_bounded_time(pki: Pki):
    async def story() -> None:
        async with running(ServerSettings(pki.server), handshake_seconds=0.05, drain_seconds=0.05) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as silent:
                await server.until(lambda: len(server.refusals) == 1)
                assert server.refusals[0].code == "timed_out"
                assert server.refusals[0].step == 1
                await server.until(lambda: not server.listener.connections)
                assert silent.recv(1) == b""

    asyncio.run(story())


def test_connections_beyond_the_limit_are_turned_away(pki: Pki):
    async def story() -> None:
        async with running(ServerSettings(pki.server), connections=2) as server:
            socks = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
            await server.until(lambda: server.listener.turned_away == 3)
            assert len(server.listener.connections) == 2
            for sock in socks:
                sock.close()
            await server.until(lambda: not server.listener.connections)
            assert await asyncio.to_thread(talk, server.port, client_context(pki), b"x") == b"x"

    asyncio.run(story())


def test_plain_http_gets_an_answer_in_plain_http(pki: Pki):
    async def story() -> None:
        async with running(ServerSettings(pki.server)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"https://" in answer
            writer.close()
            assert server.refusals[0].code == "not_tls"

    asyncio.run(story())


def test_the_server_name_chooses_the_context_even_when_the_hello_comes_in_pieces(pki: Pki):
    inner = pki.issuing.leaf("inner", dns=("inner.acme.example",), purpose="server")
    settings = ServerSettings(
        pki.server, clients="none", names=(("inner.acme.example", ServerSettings(inner)),)
    )

    async def story() -> None:
        async with running(settings) as server:
            session = Session(client_context(pki), server_name="inner.acme.example")
            session.advance()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for byte in session.outgoing():
                writer.write(bytes([byte]))
                await writer.drain()
            while not session.advance():
                session.receive(await reader.read(65536))
            writer.write(session.outgoing())
            await server.until(lambda: server.seen == [("made", "orders")])
            assert session.peer is not None
            assert session.peer.names.dns == ("inner.acme.example",)
            writer.close()

    asyncio.run(story())


def test_descriptors_return_to_where_they_were(pki: Pki):
    import os

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def story() -> None:
        async with running(ServerSettings(pki.server)) as server:
            await asyncio.to_thread(talk, server.port, client_context(pki), b"x")
            await server.until(lambda: not server.listener.connections)
            before = open_files()
            for index in range(100):
                sock = socket.create_connection(("127.0.0.1", server.port))
                if index % 3 == 0:
                    sock.sendall(b"\x16\x03\x01\x00\x05garbage")
                sock.close()
                try:
                    await asyncio.to_thread(talk, server.port, client_context(pki, credential=None), b"x")
                except TwowayError:
                    continue
            await server.until(lambda: not server.listener.connections)
            assert open_files() <= before

    asyncio.run(story())


def test_a_connection_is_a_transport_like_any_other(pki: Pki):
    async def story() -> None:
        async with running(ServerSettings(pki.server)) as server:
            sock = await asyncio.to_thread(
                TlsSocket.connect, "127.0.0.1", server.port, client_context(pki), server_name="localhost"
            )
            await server.until(lambda: server.listener.connections)
            (connection,) = server.listener.connections
            assert isinstance(connection, TlsConnection)
            assert connection.get_extra_info("twoway.peer").common_name == "orders"
            assert connection.get_extra_info("peername")[0] == "127.0.0.1"
            assert connection.get_extra_info("nothing", 5) == 5
            assert not connection.is_closing()
            connection.close()
            assert connection.is_closing()
            connection.write(b"too late")
            assert await asyncio.to_thread(sock.recv) == b""
            sock.close()

    asyncio.run(story())


@pytest.mark.parametrize("version", BOTH)
def test_a_handshake_that_a_reload_overtakes_is_judged_by_the_new_generation(pki: Pki, version: str):
    """Begun under the old policy and ended after the new one took over: what counts is the new one."""

    async def story() -> None:
        async with running(ServerSettings(pki.server)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            session = Session(client_context(pki, version), server_name="localhost")
            with contextlib.suppress(TwowayError):
                session.advance()
            writer.write(session.outgoing())
            session.receive(await reader.read(65536))
            server.listener.live.reload(lambda: ServerSettings(pki.server, policy=Policy()))
            server.listener.reauthorize()
            with contextlib.suppress(TwowayError):
                while not session.advance():
                    writer.write(session.outgoing())
                    session.receive(await reader.read(65536))
            writer.write(session.outgoing())
            session.write(b"hello")
            writer.write(session.outgoing())
            await server.until(lambda: server.refusals)
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            assert server.refusals[0].code == "not_allowed"
            assert server.seen == []

    asyncio.run(story())
