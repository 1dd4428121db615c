"""TCP segments, in the order of their capture, to what each side of each connection said; pure.

Bytes that the capture lacks are reported as a gap, never guessed. Where bytes that were sent twice differ,
nothing that was told is taken back, and of segments that wait the one that begins earlier counts. Neither
checksums nor windows are checked, and a reset is believed.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from ipaddress import ip_address
from typing import Literal, NamedTuple

from twoway.wire.events import Sender
from twoway.wire.packets import ACK, FIN, RST, SYN, Endpoint, Packet, Segment, Skipped, read_segment

KnownBy = Literal["syn", "hello", "port"]
How = Literal["fin", "reset", "reused", "evicted", "capture_ended"]

MAX_CONNECTIONS = 4096
MAX_WAITING = 1024 * 1024
MAX_WAITING_IN_ALL = 64 * 1024 * 1024
# How many more segments of a connection may come before bytes that were acknowledged and never seen are given
# up: captures of several queues or interfaces do not keep the order between the two directions.
PATIENCE = 32

# RFC 7323 §2.3: no window is larger, so nothing further ahead is meant for this connection.
_MAX_AHEAD = 2**30
# What one segment that waits costs beside its bytes.
_OVERHEAD = 128


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection of a capture, numbered from 1. `known_by` says how the client was told from the server.

    "syn": it sent the first SYN (or was answered with SYN and ACK). For a connection that began before the
    capture, "hello": the first payload is a ClientHello, or a ServerHello of the other side; "port": neither,
    and the server is the one with the lower port (if they are equal, the one who is spoken to first).
    """

    number: int
    client: tuple[str, int]
    server: tuple[str, int]
    known_by: KnownBy


class Opened(NamedTuple):
    """A connection was seen for the first time."""

    connection: Connection
    at_us: int


class Data(NamedTuple):
    """The next bytes of one side; `at_us` is when the packet came that made them the next ones."""

    connection: Connection
    sender: Sender
    data: bytes
    at_us: int


class Gap(NamedTuple):
    """`missing` bytes of one side are not in the capture; what comes next follows behind them.

    At the end of a connection whose FIN is missing too, that FIN counts as one byte.
    """

    connection: Connection
    sender: Sender
    missing: int
    at_us: int


class Ended(NamedTuple):
    """One side has said all (its FIN, in its place); the other one may still talk."""

    connection: Connection
    sender: Sender
    at_us: int


class Closed(NamedTuple):
    """Nothing more will be told of this connection.

    `how`: "fin" (both sides ended), "reset" (by `sender`), "reused" (a new SYN between the same ports),
    "evicted" (too many connections, or too much that waits for missing bytes: the one that was idle for the
    longest time has to go), "capture_ended".
    """

    connection: Connection
    how: How
    at_us: int
    sender: Sender | None = None


Event = Opened | Data | Gap | Ended | Closed


class _Half:
    """What one side sends. Positions count from its first byte; `base` is that byte's sequence number."""

    __slots__ = ("acknowledged", "base", "ended", "fin", "next", "patience", "sender", "starts", "waiting")

    def __init__(self, sender: Sender) -> None:
        self.sender: Sender = sender
        self.base: int | None = None
        self.next = 0
        self.acknowledged = 0
        self.fin: int | None = None
        self.ended = False
        self.patience = PATIENCE
        self.waiting: dict[int, bytes] = {}
        self.starts: list[int] = []

    def place(self, number: int) -> int:
        """The position of a sequence number, which wraps around (RFC 9293 §3.4): the one nearest to `next`."""
        assert self.base is not None
        ahead = (number - self.base - self.next) & 0xFFFFFFFF
        return self.next + (ahead - 0x100000000 if ahead & 0x80000000 else ahead)

    def acknowledge(self, number: int) -> None:
        """The other side has everything before this sequence number."""
        if self.base is None:
            # The beginning was not captured; what the other side had received by now comes before this.
            self.base = number
            return
        position = self.place(number)
        if self.acknowledged < position < self.next + _MAX_AHEAD:
            # RFC 9293 §3.4: a FIN occupies a number, which its acknowledgement counts.
            self.acknowledged = position if self.fin is None else min(position, self.fin)

    def finish(self, position: int) -> None:
        """There is nothing from this position on."""
        if self.next <= position < self.next + _MAX_AHEAD:
            self.fin = position
            self.acknowledged = min(self.acknowledged, position)

    def keep(self, position: int, payload: bytes) -> int:
        """Remember what lies behind missing bytes; returns by how much that increased the memory taken."""
        known = self.waiting.get(position)
        if known is None:
            heappush(self.starts, position)
            self.waiting[position] = payload
            return len(payload) + _OVERHEAD
        if len(known) >= len(payload):
            return 0
        # What came first counts; only what it lacks is added.
        self.waiting[position] = known + payload[len(known) :]
        return len(payload) - len(known)


@dataclass(slots=True)
class _Tracked:
    connection: Connection
    first: Endpoint
    client: _Half = field(default_factory=lambda: _Half("client"))
    server: _Half = field(default_factory=lambda: _Half("server"))
    waiting: int = 0

    def halves(self, source: Endpoint) -> tuple[_Half, _Half]:
        """What the sender of a segment sends, and what the other one does."""
        return (self.client, self.server) if source == self.first else (self.server, self.client)


_Key = tuple[Endpoint, Endpoint]


class Streams:
    """Puts the TCP connections of a capture together, one packet at a time.

    `skipped` counts what is no TCP segment. Memory is bounded by the three limits; of a connection that is
    closed, only its addresses are remembered for a while, so that stragglers do not open it again.
    """

    def __init__(
        self,
        max_connections: int = MAX_CONNECTIONS,
        max_waiting: int = MAX_WAITING,
        max_waiting_in_all: int = MAX_WAITING_IN_ALL,
    ) -> None:
        self.skipped: Counter[Skipped] = Counter()
        self._max_connections, self._max_waiting = max_connections, max_waiting
        self._max_waiting_in_all = max_waiting_in_all
        self._tracked: OrderedDict[_Key, _Tracked] = OrderedDict()
        self._closed: OrderedDict[_Key, None] = OrderedDict()
        self._count = self._waiting = self._now = 0

    def feed(self, packet: Packet) -> list[Event]:
        """What this packet makes known, in order."""
        segment = read_segment(packet)
        if isinstance(segment, Skipped):
            self.skipped[segment] += 1
            return []
        return self.feed_segment(segment)

    def feed_segment(self, segment: Segment) -> list[Event]:
        at_us, source, destination, seq, ack, flags, payload, size = segment
        self._now = at_us
        events: list[Event] = []
        key = (source, destination) if source < destination else (destination, source)
        tracked = self._tracked.get(key)
        if flags & SYN:
            if tracked is not None and not flags & ACK and self._is_another(tracked, segment):
                self._close(key, tracked, "reused", events)
                tracked = None
            seq = (seq + 1) & 0xFFFFFFFF  # RFC 9293 §3.4: a SYN occupies one number
        if tracked is None:
            tracked = self._open(key, segment, events)
            if tracked is None:
                return events
        else:
            self._tracked.move_to_end(key)
        mine, other = tracked.halves(source)
        if flags & ACK:
            other.acknowledge(ack)
        if mine.base is None and (size or flags & (SYN | FIN)):
            mine.base = seq
        # RFC 9293 §3.5.3: the text that a reset may carry is no part of the stream. Nothing comes after a FIN.
        if size and not mine.ended and not flags & RST:
            position = mine.place(seq)
            if position == mine.next and size == len(payload) and not mine.waiting:
                mine.next += size  # the common case
                mine.patience = PATIENCE
                events.append(Data(tracked.connection, mine.sender, payload, at_us))
            elif position - mine.next < _MAX_AHEAD:
                self._insert(tracked, mine, position, payload, events)
        if flags & FIN and mine.fin is None:
            mine.finish(mine.place(seq + size & 0xFFFFFFFF))
        if mine.waiting or other.waiting or mine.next < mine.acknowledged or other.next < other.acknowledged:
            self._give_up(tracked, mine, events)
            self._give_up(tracked, other, events)
        if flags & RST:
            self._close(key, tracked, "reset", events, mine.sender)
            return events
        if mine.fin is not None or other.fin is not None:
            self._end(tracked, mine, events)
            self._end(tracked, other, events)
            if mine.ended and other.ended:
                self._close(key, tracked, "fin", events)
                return events
        if self._waiting > self._max_waiting_in_all:
            self._evict(events)
        return events

    def end(self) -> list[Event]:
        """The capture is over: what is left is closed, in the order in which the connections opened."""
        events: list[Event] = []
        for key, tracked in sorted(self._tracked.items(), key=lambda item: item[1].connection.number):
            self._close(key, tracked, "capture_ended", events)
        return events

    def _is_another(self, tracked: _Tracked, syn: Segment) -> bool:
        """A SYN that does not repeat the one that is known begins a new connection (RFC 9293 §3.6.1)."""
        half, _ = tracked.halves(syn.source)
        return half.base is not None and half.base != (syn.seq + 1) & 0xFFFFFFFF

    def _open(self, key: _Key, segment: Segment, events: list[Event]) -> _Tracked | None:
        """Track a connection from this segment on; None when it does not show one that is alive."""
        flags = segment.flags
        if flags & RST or not (flags & SYN or segment.payload):
            return None
        # Only a client's SYN opens a connection again: all else is what arrives late.
        if key in self._closed and flags & (SYN | ACK) != SYN:
            return None
        self._closed.pop(key, None)
        client, server, known_by = _roles(segment)
        self._count += 1
        connection = Connection(self._count, _spelled(client), _spelled(server), known_by)
        tracked = self._tracked[key] = _Tracked(connection, client)
        if len(self._tracked) > self._max_connections:
            self._evict(events)
        events.append(Opened(connection, segment.at_us))
        return tracked

    def _insert(
        self, tracked: _Tracked, half: _Half, position: int, payload: bytes, events: list[Event]
    ) -> None:
        """A segment that is early, late, cut, or fills what others wait for."""
        if position > half.next:
            if payload:
                self._take(tracked, half.keep(position, payload))
        elif position + len(payload) > half.next:
            self._deliver(tracked, half, payload[half.next - position :], events)
            self._drain(tracked, half, events)

    def _take(self, tracked: _Tracked, octets: int) -> None:
        tracked.waiting += octets
        self._waiting += octets

    def _deliver(self, tracked: _Tracked, half: _Half, data: bytes, events: list[Event]) -> None:
        half.next += len(data)
        half.patience = PATIENCE
        events.append(Data(tracked.connection, half.sender, data, self._now))

    def _drain(self, tracked: _Tracked, half: _Half, events: list[Event]) -> None:
        """Deliver what waited for the bytes that have just been delivered or given up."""
        while half.starts and half.starts[0] <= half.next:
            position = heappop(half.starts)
            payload = half.waiting.pop(position)
            self._take(tracked, -len(payload) - _OVERHEAD)
            if position + len(payload) > half.next:
                self._deliver(tracked, half, payload[half.next - position :], events)

    def _give_up(self, tracked: _Tracked, half: _Half, events: list[Event]) -> None:
        """Report bytes as missing that the other side has and we will not see, or that too much waits for."""
        if half.next < half.acknowledged:
            half.patience -= 1
            if half.patience < 0:
                self._skip(tracked, half, half.acknowledged, events)
        while half.waiting and tracked.waiting > self._max_waiting:
            self._skip(tracked, half, half.starts[0], events)

    def _skip(self, tracked: _Tracked, half: _Half, limit: int, events: list[Event]) -> None:
        """Go on behind the missing bytes: at what waits, or at `limit`."""
        position = min(limit, half.starts[0]) if half.starts else limit
        events.append(Gap(tracked.connection, half.sender, position - half.next, self._now))
        half.next, half.patience = position, PATIENCE
        self._drain(tracked, half, events)

    def _end(self, tracked: _Tracked, half: _Half, events: list[Event]) -> None:
        if half.fin is not None and not half.ended and half.next >= half.fin:
            half.ended = True
            events.append(Ended(tracked.connection, half.sender, self._now))

    def _evict(self, events: list[Event]) -> None:
        """Make room: the connection that was idle for the longest time goes, then the next one."""
        while len(self._tracked) > self._max_connections or self._waiting > self._max_waiting_in_all:
            key, tracked = next(iter(self._tracked.items()))
            self._close(key, tracked, "evicted", events)

    def _close(
        self, key: _Key, tracked: _Tracked, how: How, events: list[Event], sender: Sender | None = None
    ) -> None:
        """Tell what is still untold, with its gaps, then the end."""
        for half in (tracked.client, tracked.server):
            while half.starts:
                self._skip(tracked, half, half.starts[0], events)
            known = half.acknowledged if half.fin is None else half.fin
            if half.next < known:
                self._skip(tracked, half, known, events)
            self._end(tracked, half, events)
        del self._tracked[key]
        self._closed[key] = None
        if len(self._closed) > self._max_connections:
            self._closed.popitem(last=False)
        events.append(Closed(tracked.connection, how, self._now, sender))


def _roles(segment: Segment) -> tuple[Endpoint, Endpoint, KnownBy]:
    """Client, server, and how that is known; see Connection."""
    source, destination = segment.source, segment.destination
    if segment.flags & SYN:
        return (destination, source, "syn") if segment.flags & ACK else (source, destination, "syn")
    payload = segment.payload
    # RFC 8446 §5.1, §4: a record of type handshake, whose first message says hello.
    if len(payload) > 5 and payload[0] == 22 and payload[1] == 3:
        if payload[5] == 1:
            return source, destination, "hello"
        if payload[5] == 2:
            return destination, source, "hello"
    if source[1] < destination[1]:
        return destination, source, "port"
    return source, destination, "port"


def _spelled(endpoint: Endpoint) -> tuple[str, int]:
    return str(ip_address(endpoint[0])), endpoint[1]
