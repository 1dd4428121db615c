"""Recordings: read back by ourselves, and judged by tshark, which decrypts them with the keys inside."""

from __future__ import annotations

import datetime as dt
import io
import ipaddress
import itertools
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import judge
from tests.tls.conftest import Pki, pki
from twoway.errors import UsageError
from twoway.wire.events import Sender
from twoway.wire.pcap import Packet, Secrets, read_capture
from twoway.wire.pcapng_writer import Chunk, Ending, Recording, write_recording
from twoway.wire.tcp import Closed, Data, Ended, Event, Gap, Opened, Streams

__all__ = ["pki"]

BEGAN = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
BEGAN_US = 1_795_521_600_000_000
CHUNKS: list[Chunk] = [
    Chunk("client", b"hello", 10),
    Chunk("server", bytes(range(256)) * 700, 20),
    Chunk("client", b"", 25),
    Chunk("client", b"odd" * 11111, 30),
]


def events_of(recording: bytes) -> list[Event]:
    streams, events = Streams(), list[Event]()
    for one in read_capture(io.BytesIO(recording)):
        if isinstance(one, Packet):
            events += streams.feed(one)
    assert not streams.skipped
    return events + streams.end()


def said(events: list[Event], sender: Sender) -> bytes:
    return b"".join(one.data for one in events if isinstance(one, Data) and one.sender == sender)


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (("127.0.0.1", 40000), ("127.0.0.1", 8443)),
        (("2001:db8::1", 40000), ("2001:db8::2", 443)),
        (("::1", 5), ("::1", 65535)),
    ],
)
def test_what_was_recorded_is_read_back(client: tuple[str, int], server: tuple[str, int]):
    events = events_of(write_recording(CHUNKS, client, server, began=BEGAN))
    assert isinstance(events[0], Opened)
    connection = events[0].connection
    assert (connection.client, connection.server, connection.known_by) == (client, server, "syn")
    assert said(events, "client") == b"hello" + b"odd" * 11111
    assert said(events, "server") == CHUNKS[1].data
    assert not [one for one in events if isinstance(one, Gap)]
    assert [(one.sender, one.at_us - BEGAN_US) for one in events if isinstance(one, Data)][:2] == [
        ("client", 10),
        ("server", 20),
    ]
    assert isinstance(events[-1], Closed)
    assert events[-1].how == "fin"


def test_the_keys_come_before_the_packets_that_they_open():
    text = b"CLIENT_RANDOM 00 11\n"
    held = list(read_capture(io.BytesIO(write_recording(CHUNKS, began=BEGAN, secrets=text))))
    assert held[0] == Secrets(text)
    assert all(isinstance(one, Packet) for one in held[1:])


@pytest.mark.parametrize(
    ("ending", "by", "closed"),
    [
        ("fin", "server", ("fin", None)),
        ("reset", "server", ("reset", "server")),
        ("reset", "client", ("reset", "client")),
        ("open", "client", ("capture_ended", None)),
    ],
)
def test_a_recording_ends_as_the_connection_did(ending: Ending, by: Sender, closed: tuple[str, Any]):
    events = events_of(write_recording(CHUNKS, began=BEGAN, ending=ending, ended_by=by))
    last = events[-1]
    assert isinstance(last, Closed)
    assert (last.how, last.sender) == closed
    ended = [one.sender for one in events if isinstance(one, Ended)]
    assert ended == (["server", "client"] if ending == "fin" else [])


def test_addresses_of_two_families_become_one():
    (opened, *_) = events_of(write_recording([], ("127.0.0.1", 1), ("fe80::1%eth0", 2), began=BEGAN))
    assert str(ipaddress.IPv6Address(opened.connection.client[0]).ipv4_mapped) == "127.0.0.1"
    assert opened.connection.server == ("fe80::1", 2)


def test_time_does_not_go_backwards():
    recording = write_recording([Chunk("client", b"a", 50), Chunk("server", b"b", 10)], began=BEGAN)
    times = [one.at_us - BEGAN_US for one in read_capture(io.BytesIO(recording)) if isinstance(one, Packet)]
    assert set(times) == {50}


@pytest.mark.parametrize(
    ("client", "began", "problem"),
    [
        (("api.acme.example", 1), BEGAN, "'api.acme.example' is not a numeric address"),
        (("127.0.0.1", 65536), BEGAN, "65536 is not a port"),
        (("127.0.0.1", 1), BEGAN.replace(tzinfo=None), "has no time zone"),
    ],
)
def test_what_cannot_be_written_down_is_refused(client: tuple[str, int], began: dt.datetime, problem: str):
    with pytest.raises(UsageError, match=problem) as caught:
        Recording(client, ("127.0.0.1", 2), began)
    assert caught.value.remedy


def real_conversation(pki: Pki, directory: Path, version: ssl.TLSVersion) -> tuple[list[Chunk], bytes]:
    """A mutual handshake, one HTTP request and its answer, in memory: what travelled, and its keys."""
    keys = directory / "keys.txt"
    contexts = {}
    for name, purpose in (("client", ssl.PROTOCOL_TLS_CLIENT), ("server", ssl.PROTOCOL_TLS_SERVER)):
        home = getattr(pki, name).save(directory / name)
        context = contexts[name] = ssl.SSLContext(purpose)
        context.load_cert_chain(home / "cert.pem", home / "key.pem")
        context.load_verify_locations(home / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = version
    contexts["client"].keylog_filename = str(keys)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = contexts["client"].wrap_bio(to_client, to_server, server_hostname="api.acme.example")
    server = contexts["server"].wrap_bio(
        to_server_in := ssl.MemoryBIO(), to_client_out := ssl.MemoryBIO(), True
    )
    chunks: list[Chunk] = []
    clock = itertools.count(0, 100)

    def carry() -> None:
        sides: tuple[tuple[Sender, ssl.MemoryBIO, ssl.MemoryBIO], ...] = (
            ("client", to_server, to_server_in),
            ("server", to_client_out, to_client),
        )
        for sender, source, target in sides:
            if data := source.read():
                target.write(data)
                chunks.append(Chunk(sender, data, next(clock)))

    ready: set[str] = set()
    for _ in range(6):
        for name, side in (("client", client), ("server", server)):
            try:
                side.do_handshake()
                ready.add(name)
            except ssl.SSLWantReadError:
                pass
            carry()
    assert ready == {"client", "server"}
    client.write(b"GET /orders HTTP/1.1\r\nHost: api.acme.example\r\n\r\n")
    carry()
    assert server.read().startswith(b"GET /orders")
    server.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nthree")
    carry()
    assert client.read().endswith(b"three")
    return chunks, keys.read_bytes()


def dissected(recording: bytes, path: Path) -> tuple[list[dict[str, Any]], str]:
    """Every packet's layers as tshark sees them, checksums included, and all that as text."""
    path.write_bytes(recording)
    checks = ("tcp.check_checksum:TRUE", "ip.check_checksum:TRUE")
    done = subprocess.run(
        [judge("tshark"), "-r", path, "-T", "json", *(word for one in checks for word in ("-o", one))],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(path.parent), "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    # An object's keys repeat where a packet holds several records; the text keeps them all.
    return [one["_source"]["layers"] for one in json.loads(done.stdout)], done.stdout


@pytest.mark.judge
@pytest.mark.parametrize("addresses", ["127.0.0.1", "2001:db8::7"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_tshark_reads_a_recording_and_decrypts_it_with_the_keys_inside(
    pki: Pki, tmp_path: Path, version: ssl.TLSVersion, addresses: str
):
    """certificate_verify (15) travels encrypted in TLS 1.3; the request and its answer do in both."""
    chunks, keys = real_conversation(pki, tmp_path, version)
    ends = (addresses, 40000), (addresses, 8443)
    layers, text = dissected(write_recording(chunks, *ends, began=BEGAN, secrets=keys), tmp_path / "a.pcapng")
    assert '"tls.handshake.type": "15"' in text
    assert '"http.request.uri": "/orders"' in text
    assert '"http.response.code": "200"' in text
    assert "malformed" not in text.lower()
    assert '"tcp.checksum.status": "1"' in text
    assert '"tcp.checksum.status": "0"' not in text
    assert '"tcp.analysis.flags"' not in text, "tshark finds something odd about the numbers"
    assert layers[0]["frame"]["frame.time_epoch"] == "1795521600.000000000"
    assert layers[-1]["tcp"]["tcp.flags"] == "0x0010"

    _, without = dissected(write_recording(chunks, *ends, began=BEGAN), tmp_path / "b.pcapng")
    assert "http.request.uri" not in without


@pytest.mark.judge
def test_tshark_finds_nothing_odd_about_a_long_recording_that_ends_with_a_reset(tmp_path: Path):
    chunks = [Chunk("client", bytes(100_000), 1), Chunk("server", bytes(200_001), 2)]
    recording = write_recording(chunks, began=BEGAN, ending="reset", ended_by="server")
    layers, text = dissected(recording, tmp_path / "long.pcapng")
    assert layers[-1]["tcp"]["tcp.flags"] == "0x0014"
    assert '"tcp.analysis.flags"' not in text
    assert '"tcp.checksum.status": "0"' not in text
    assert "malformed" not in text.lower()
