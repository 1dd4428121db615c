"""What two sides said to each other, as a pcapng file that Wireshark opens and decrypts; pure.

The TCP and IP headers are made up (with right sequence numbers and checksums): they say nothing about what
happened on the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct, pack
from typing import Literal, NamedTuple

from twoway.errors import UsageError
from twoway.wire.events import Sender
from twoway.wire.packets import ACK, FIN, RST, SYN, LinkType
from twoway.wire.pcapng import BYTE_ORDER_MAGIC, INTERFACE, PACKET, SECRETS, SECTION, TLS_KEY_LOG

MAX_PAYLOAD = 16384
Ending = Literal["fin", "reset", "open"]

_PUSH = 0x08
_WINDOW = 65535
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TCP = Struct(">HHIIBBHHH")


class Chunk(NamedTuple):
    """Bytes that one side sent, `at_us` microseconds after the recording began."""

    sender: Sender
    data: bytes
    at_us: int


class Recording:
    """One TCP connection that is written down while it happens; `finish` gives the file.

    `client` and `server` are numeric addresses (IPv4 or IPv6, mixed ones become IPv6) and ports; `began` has a
    time zone. Times that go backwards are taken as the latest one. Raises UsageError for other addresses, ports
    and times.
    """

    def __init__(self, client: tuple[str, int], server: tuple[str, int], began: datetime) -> None:
        if began.tzinfo is None:
            raise UsageError("the time at which a recording began has no time zone", "pass datetime.now(UTC)")
        self._began_us = (began - _EPOCH) // timedelta(microseconds=1)
        addresses = _one_family(_address(client[0]), _address(server[0]))
        ports = _port(client[1]), _port(server[1])
        self._at_us = 0
        self._packets: list[bytes] = []
        self._client, self._server = (
            _Side(addresses[mine].packed, ports[mine], addresses[1 - mine].packed, ports[1 - mine])
            for mine in (0, 1)
        )
        self._opened = False
        self._sender: Sender = "client"
        self._unanswered = 0

    def add(self, sender: Sender, data: bytes, at_us: int) -> None:
        """What `sender` said at this time, in as many segments as it takes."""
        self._at_us = max(self._at_us, at_us)
        self._open()
        for start in range(0, len(data), MAX_PAYLOAD):
            payload = data[start : start + MAX_PAYLOAD]
            last = start + MAX_PAYLOAD >= len(data)
            self._send(sender, ACK | _PUSH if last else ACK, payload)
            if self._sender != sender:
                self._sender, self._unanswered = sender, 0
            self._unanswered += len(payload)
            if self._unanswered + MAX_PAYLOAD > _WINDOW:
                # Who reads the file is not to see a window that is overrun.
                self._send(_other(sender), ACK)
                self._unanswered = 0

    def finish(
        self, secrets: bytes | None = None, ending: Ending = "fin", ended_by: Sender = "client"
    ) -> bytes:
        """The whole file. `secrets` is a TLS key log, written as a Decryption Secrets Block.

        The connection ends with a FIN of each side, the first one by `ended_by`, with its RST, or not at all.
        """
        self._open()
        if ending == "reset":
            self._send(ended_by, RST | ACK)
        elif ending == "fin":
            self._send(ended_by, FIN | ACK)
            self._send(_other(ended_by), FIN | ACK)
            self._send(ended_by, ACK)
        # Sections of unknown length are allowed (draft-ietf-opsawg-pcapng §4.1), and what most programs write.
        head = _block(SECTION, pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1))
        interface = _block(INTERFACE, pack("<HHI", LinkType.RAW, 0, 0))
        keys = _block(SECRETS, pack("<II", TLS_KEY_LOG, len(secrets)) + _padded(secrets)) if secrets else b""
        return b"".join((head, interface, keys, *self._packets))

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._send("client", SYN)
            self._send("server", SYN | ACK)
            self._send("client", ACK)

    def _send(self, sender: Sender, flags: int, payload: bytes = b"") -> None:
        mine, other = self._client, self._server
        if sender == "server":
            mine, other = other, mine
        packet = mine.packet(flags, other.seq if flags & ACK else 0, payload)
        at_us = self._began_us + self._at_us
        head = pack("<IIIII", 0, at_us >> 32 & 0xFFFFFFFF, at_us & 0xFFFFFFFF, len(packet), len(packet))
        self._packets.append(_block(PACKET, head + _padded(packet)))


def write_recording(
    chunks: Iterable[Chunk | tuple[Sender, bytes, int]],
    client: tuple[str, int] = ("127.0.0.1", 40000),
    server: tuple[str, int] = ("127.0.0.1", 8443),
    *,
    began: datetime,
    secrets: bytes | None = None,
    ending: Ending = "fin",
    ended_by: Sender = "client",
) -> bytes:
    """A pcapng file of one connection in which these chunks were sent; see Recording."""
    recording = Recording(client, server, began)
    for sender, data, at_us in chunks:
        recording.add(sender, data, at_us)
    return recording.finish(secrets, ending, ended_by)


class _Side:
    """One end of the connection: makes the packets that it sends."""

    def __init__(self, address: bytes, port: int, peer: bytes, peer_port: int) -> None:
        self._address, self._port = address, port
        self._peer, self._peer_port = peer, peer_port
        self.seq = 0

    def packet(self, flags: int, ack: int, payload: bytes) -> bytes:
        """RFC 9293 §3.1, in IPv4 (RFC 791 §3.1) or IPv6 (RFC 8200 §3)."""
        length = _TCP.size + len(payload)
        numbers = (self._port, self._peer_port, self.seq, ack, (_TCP.size // 4) << 4, flags, _WINDOW)
        pseudo = self._address + self._peer + pack(">HHI", 0, 6, length)
        checksum = _checksum(pseudo + _TCP.pack(*numbers, 0, 0) + payload)
        occupied = len(payload) + bool(flags & (SYN | FIN))
        self.seq = (self.seq + occupied) & 0xFFFFFFFF
        return b"".join((self._ip(length), _TCP.pack(*numbers, checksum, 0), payload))

    def _ip(self, length: int) -> bytes:
        ends = self._address + self._peer
        if len(self._address) == 16:
            return pack(">IHBB", 6 << 28, length, 6, 64) + ends
        # Do not fragment, 64 hops, TCP.
        start = pack(">BBHHHBB", 0x45, 0, 20 + length, 0, 0x4000, 64, 6)
        return start + pack(">H", _checksum(start + b"\0\0" + ends)) + ends


def _other(sender: Sender) -> Sender:
    return "server" if sender == "client" else "client"


def _checksum(data: bytes) -> int:
    """RFC 1071: the ones' complement sum of 16-bit words is the number that they form, modulo 2^16 - 1."""
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big") % 0xFFFF
    return 0xFFFF - total if total else 0


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return pack("<II", kind, length) + body + pack("<I", length)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        raise UsageError(f"{text[:80]!r} is not a numeric address", "pass what getpeername() says") from None


def _port(number: int) -> int:
    if not 0 <= number <= 65535:
        raise UsageError(f"{number} is not a port", "ports go from 0 to 65535")
    return number


def _one_family(
    first: IPv4Address | IPv6Address, second: IPv4Address | IPv6Address
) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    """The same two, both IPv6 if one is (RFC 4291 §2.5.5.2)."""
    if first.version == second.version:
        return first, second
    mapped = [
        IPv6Address(b"\0" * 10 + b"\xff\xff" + one.packed) if one.version == 4 else one
        for one in (first, second)
    ]
    return mapped[0], mapped[1]
