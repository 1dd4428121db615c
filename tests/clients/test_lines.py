"""Every line of the table in docs/clients.md, executed: the server sees the certificate of "orders"."""

from __future__ import annotations

import asyncio
import json
import smtplib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import websockets

import twoway
from tests.tls.conftest import Pki

from .fronts import Front, common_name, front, in_lines, nats_server, postgres_server, redis_server
from .lines import Line, awaited, lines, rows

LINES = lines()
PROVEN: set[str] = set()


def proof(*libraries: str, mark: Any = ()) -> Callable[[Any], Any]:
    """A test of these rows: it gets each as `line`."""
    PROVEN.update(libraries)
    return pytest.mark.parametrize(
        "line", [pytest.param(LINES[library], id=library, marks=mark) for library in libraries]
    )


def test_each_line_of_the_table_has_its_proof():
    assert set(LINES) == PROVEN
    assert len(LINES) == rows() > 20  # none that cannot be read, and so would be executed by nobody


# -- HTTP --------------------------------------------------------------------------------------------------


@proof("twoway", "httpx2")
def test_httpx2(line: Line, server: str, workplace: Path):
    with line() as client:
        assert client.get(server).json()["peer"]["common_name"] == "orders"


@proof("httpx2, asynchronous")
def test_httpx2_asynchronously(line: Line, server: str, workplace: Path):
    async def story() -> Any:
        async with line() as client:
            return (await client.get(server)).json()

    assert asyncio.run(story())["peer"]["common_name"] == "orders"


@proof("requests")
def test_requests(line: Line, server: str, workplace: Path):
    with requests.Session() as session:
        line(session=session, url=server)
        assert session.get(server).json()["peer"]["common_name"] == "orders"


@proof("urllib3")
def test_urllib3(line: Line, server: str, workplace: Path):
    with line() as pool:
        assert pool.request("GET", server).json()["peer"]["common_name"] == "orders"


@proof("aiohttp")
def test_aiohttp(line: Line, server: str, workplace: Path):
    async def story() -> Any:
        async with line() as session, session.get(server) as response:
            return await response.json()

    assert asyncio.run(story())["peer"]["common_name"] == "orders"


@proof("urllib.request")
def test_urllib(line: Line, server: str, workplace: Path):
    with line(url=server) as response:
        assert json.load(response)["peer"]["common_name"] == "orders"


# -- gRPC --------------------------------------------------------------------------------------------------


@proof("grpcio")
def test_grpc(line: Line, pki: Pki, grpc_port: int, workplace: Path):
    with line(host="localhost", port=grpc_port) as channel:
        assert channel.unary_unary("/acme.Orders/Who")(b"", timeout=10) == pki.client.fingerprint.encode()


@proof("grpcio, asynchronous")
def test_grpc_asynchronously(line: Line, pki: Pki, grpc_port: int, workplace: Path):
    async def story() -> bytes:
        async with line(host="localhost", port=grpc_port) as channel:
            return await channel.unary_unary("/acme.Orders/Who")(b"", timeout=10)

    assert asyncio.run(story()) == pki.client.fingerprint.encode()


# -- streams -----------------------------------------------------------------------------------------------


@proof("asyncio streams")
def test_asyncio_streams(line: Line, pki: Pki, workplace: Path):
    async def story() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(common_name(writer.get_extra_info("peercert")).encode() + b"\n")
            await reader.read()
            writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=twoway.server_context("api"))
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            reader, writer = await line(host="localhost", port=port)
            told = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return told

    assert asyncio.run(story()) == b"orders\n"


@proof("websockets", "websockets, threads")
def test_websockets(line: Line, workplace: Path):
    async def serve(connection: websockets.ServerConnection) -> None:
        await connection.send(common_name(connection.transport.get_extra_info("peercert")))

    def in_a_thread(port: int) -> str:
        with line(host="localhost", port=port) as connection:
            return connection.recv()

    async def story() -> str:
        async with websockets.serve(serve, "127.0.0.1", 0, ssl=twoway.server_context("api")) as listener:
            port = next(iter(listener.sockets)).getsockname()[1]
            if "threads" in line.library:
                return await asyncio.to_thread(in_a_thread, port)
            async with await line(host="localhost", port=port) as connection:
                return str(await connection.recv())

    assert asyncio.run(story()) == "orders"


# -- mail --------------------------------------------------------------------------------------------------


def _smtp(line: bytes) -> bytes:
    return b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 mail.acme.example\r\n"


@proof("smtplib")
def test_smtp(line: Line, pki: Pki, workplace: Path):
    with front(pki, in_lines(b"220 mail.acme.example\r\n", _smtp)) as found:
        with line(host=found.host, port=found.port) as smtp:
            assert smtp.noop()[0] == 250
        assert found.seen == ["orders"]


@proof("smtplib, STARTTLS")
def test_smtp_that_begins_in_clear(line: Line, pki: Pki, workplace: Path):
    def before(sock: Any) -> None:
        sock.sendall(b"220 mail.acme.example\r\n")
        assert sock.recv(4096).upper().startswith(b"EHLO")
        sock.sendall(b"250-mail.acme.example\r\n250 STARTTLS\r\n")
        assert sock.recv(4096).upper().startswith(b"STARTTLS")
        sock.sendall(b"220 go ahead\r\n")

    with front(pki, in_lines(b"", _smtp), before) as found:
        with smtplib.SMTP(found.host, found.port) as smtp:
            line(smtp=smtp)
            assert smtp.noop()[0] == 250
        assert found.seen == ["orders"]


@proof("imaplib")
def test_imap(line: Line, pki: Pki, workplace: Path):
    def answer(asked: bytes) -> bytes:
        tag, verb = asked.split()[:2]
        said = {b"CAPABILITY": b"* CAPABILITY IMAP4REV1\r\n", b"LOGOUT": b"* BYE\r\n"}.get(verb.upper(), b"")
        return said + tag + b" OK done\r\n"

    with front(pki, in_lines(b"* OK ready\r\n", answer)) as found:
        with line(host=found.host, port=found.port) as imap:
            assert imap.noop()[0] == "OK"
        assert found.seen == ["orders"]


# -- databases ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres_port(pki: Pki) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with postgres_server(pki, port):
        yield port


WHO = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@proof("asyncpg", mark=pytest.mark.judge)
def test_asyncpg(line: Line, postgres_port: int, workplace: Path):
    async def story() -> str:
        connection = await line(host="localhost", port=postgres_port)
        try:
            return await connection.fetchval(WHO)
        finally:
            await connection.close()

    assert asyncio.run(story()) == "/CN=orders"


@proof("psycopg", mark=pytest.mark.judge)
def test_psycopg(line: Line, postgres_port: int, workplace: Path):
    with line(host="localhost", port=postgres_port) as connection:
        assert connection.execute(WHO).fetchone() == ("/CN=orders",)


@proof("redis-py", mark=pytest.mark.judge)
def test_redis(line: Line, workplace: Path, unused_port: int):
    with redis_server(workplace / "api", unused_port), line(host="localhost", port=unused_port) as redis:
        assert redis.set("order", 1223)
        assert redis.get("order") == b"1223"


@proof("redis-py, asynchronous", mark=pytest.mark.judge)
def test_redis_asynchronously(line: Line, workplace: Path, unused_port: int):
    async def story() -> bytes:
        async with line(host="localhost", port=unused_port) as redis:
            await redis.set("order", 1223)
            return await redis.get("order")

    with redis_server(workplace / "api", unused_port):
        assert asyncio.run(story()) == b"1223"


# -- messages ----------------------------------------------------------------------------------------------


@proof("nats-py", mark=pytest.mark.judge)
def test_nats(line: Line, workplace: Path, unused_port: int):
    async def story() -> bytes:
        client = await line(host="localhost", port=unused_port)
        try:
            subscription = await client.subscribe("order.update")
            await client.publish("order.update", b"1223")
            return (await subscription.next_msg(timeout=10)).data
        finally:
            await client.close()

    with nats_server(workplace / "api", unused_port):
        assert asyncio.run(story()) == b"1223"


def _amqp(heard: list[bytes]) -> Callable[[Any], None]:
    """AMQP 0-9-1 as far as its first words: 4.2.2 lets a server answer with the version that it wants instead."""

    def talk(sock: Any) -> None:
        heard.append(sock.recv(8))
        sock.sendall(b"AMQP\0\0\x08\0")

    return talk


@proof("pika", "aio-pika")
def test_amqp(line: Line, pki: Pki, workplace: Path):
    heard: list[bytes] = []
    with front(pki, _amqp(heard)) as found:
        with pytest.raises(Exception, match=r"(?i)protocol|version|server"):
            asyncio.run(awaited(line(host=found.host, port=found.port)))
        assert set(found.seen) == {"orders"}
        assert set(heard) == {b"AMQP\0\0\x09\x01"}


def _kafka(heard: list[int]) -> Callable[[Any], None]:
    """Kafka as far as the first request: its length, then which request it is."""

    def talk(sock: Any) -> None:
        head = sock.recv(6)
        heard.append(int.from_bytes(head[4:6]))

    return talk


API_VERSIONS = 18


@proof("aiokafka")
def test_aiokafka(line: Line, pki: Pki, workplace: Path):
    from aiokafka.errors import KafkaConnectionError

    async def story(found: Front) -> None:
        producer = line(host=found.host, port=found.port)
        try:
            with pytest.raises(KafkaConnectionError):
                await producer.start()
        finally:
            await producer.stop()

    heard: list[int] = []
    with front(pki, _kafka(heard)) as found:
        asyncio.run(story(found))
        assert set(found.seen) == {"orders"}
        assert heard[0] == API_VERSIONS


@proof("confluent-kafka")
def test_confluent_kafka(line: Line, pki: Pki, workplace: Path):
    heard: list[int] = []
    with front(pki, _kafka(heard)) as found:
        producer = line(host=found.host, port=found.port)
        with pytest.raises(Exception, match=r"_TRANSPORT|_TIMED_OUT"):
            producer.list_topics(timeout=1.0)
        assert set(found.seen) == {"orders"}
        assert heard[0] == API_VERSIONS
