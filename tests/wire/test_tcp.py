"""Connections put together from segments that come late, twice, overlapping, or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.wire.packets import ACK, FIN, RST, SYN, Packet, Segment, Skipped
from twoway.wire.tcp import PATIENCE, Closed, Data, Ended, Event, Gap, Opened, Streams

C, S = (bytes([10, 0, 0, 1]), 40000), (bytes([10, 0, 0, 2]), 8443)
ISN, ISN_S = 1000, 5000
HELLO = b"\x16\x03\x01\x00\x05\x01rest"
SERVER_HELLO = b"\x16\x03\x03\x00\x05\x02rest"


def client(payload: bytes = b"", at: int = 0, flags: int = ACK, ack: int = 0, isn: int = ISN) -> Segment:
    """`at` and `ack` count from each side's first byte."""
    return Segment(1, C, S, (isn + 1 + at) % 2**32, (ISN_S + 1 + ack) % 2**32, flags, payload, len(payload))


def server(payload: bytes = b"", at: int = 0, flags: int = ACK, ack: int = 0, isn: int = ISN) -> Segment:
    return Segment(1, S, C, (ISN_S + 1 + at) % 2**32, (isn + 1 + ack) % 2**32, flags, payload, len(payload))


def opening(isn: int = ISN) -> list[Segment]:
    return [client(at=-1, flags=SYN, isn=isn), server(at=-1, flags=SYN | ACK, isn=isn), client(isn=isn)]


def run(segments: Iterable[Segment], streams: Streams | None = None) -> list[Event]:
    streams = streams or Streams()
    return [event for one in segments for event in streams.feed_segment(one)] + streams.end()


def told(events: list[Event]) -> list[object]:
    """The events in short."""
    short: list[object] = []
    for one in events:
        match one:
            case Opened(connection):
                short.append(f"opened {connection.number} by {connection.known_by}")
            case Data(_, sender, data):
                short.append((sender, data))
            case Gap(_, sender, missing):
                short.append(f"{sender} misses {missing}")
            case Ended(_, sender):
                short.append(f"{sender} ended")
            case Closed(_, how, _, sender):
                short.append(f"closed: {how}" + (f" by {sender}" if sender else ""))
    return short


OPENED, OVER = "opened 1 by syn", "closed: capture_ended"


def test_a_whole_connection_is_told_from_its_syn_to_its_last_fin():
    ends = [client(at=5, flags=FIN | ACK, ack=3), server(at=3, flags=FIN | ACK, ack=6), client(at=6, ack=4)]
    events = run([*opening(), client(b"hello"), server(b"yes", ack=5), *ends])
    assert told(events) == [
        OPENED,
        ("client", b"hello"),
        ("server", b"yes"),
        "client ended",
        "server ended",
        "closed: fin",
    ]
    assert events[0].connection.client == ("10.0.0.1", 40000)
    assert events[0].connection.server == ("10.0.0.2", 8443)


def test_segments_out_of_order_wait_for_those_before_them():
    assert told(run([*opening(), client(b"ghi", 6), client(b"def", 3), client(b"abc")])) == [
        OPENED,
        ("client", b"abc"),
        ("client", b"def"),
        ("client", b"ghi"),
        OVER,
    ]


def test_what_is_sent_again_is_told_once_wherever_it_starts():
    segments = [client(b"abc"), client(b"abc"), client(b"abcdef"), client(b"cd", 2), client(b"efgh", 4)]
    events = run([*opening(), *segments])
    assert [one.data for one in events if isinstance(one, Data)] == [b"abc", b"def", b"gh"]


def test_of_bytes_that_differ_those_that_were_told_stay():
    events = run(
        [
            *opening(),
            client(b"abc"),
            client(b"XXXdef"),
            client(b"ij", 8),
            client(b"ZZkl", 8),
            client(b"gh", 6),
        ]
    )
    assert b"".join(one.data for one in events if isinstance(one, Data)) == b"abcdefghijkl"


def test_a_keep_alive_probe_is_no_data():
    assert told(run([*opening(), client(b"abc"), client(b"\0", 2)])) == [OPENED, ("client", b"abc"), OVER]


@pytest.mark.parametrize("isn", [2**32 - 1, 2**32 - 2, 2**32 - 4])
def test_sequence_numbers_wrap_around(isn: int):
    data = [client(b"ghi", 6, isn=isn), client(b"abc", isn=isn), client(b"def", 3, isn=isn)]
    events = run([*opening(isn), *data, server(ack=9, isn=isn)])
    assert b"".join(one.data for one in events if isinstance(one, Data)) == b"abcdefghi"
    assert not [one for one in events if isinstance(one, Gap)]


def test_a_syn_may_carry_data():
    assert told(run([client(b"early", -1, SYN), server(at=-1, flags=SYN | ACK, ack=5)]))[1] == (
        "client",
        b"early",
    )


def test_missing_bytes_are_reported_when_the_capture_ends():
    events = run([*opening(), client(b"abc"), client(b"ghi", 6)])
    assert told(events) == [OPENED, ("client", b"abc"), "client misses 3", ("client", b"ghi"), OVER]


def test_missing_bytes_at_the_very_end_are_known_from_their_acknowledgement():
    assert told(run([*opening(), client(b"abc"), server(ack=10)])) == [
        OPENED,
        ("client", b"abc"),
        "client misses 7",
        OVER,
    ]


def test_the_rest_of_a_truncated_packet_is_missing():
    cut = client(b"abc")._replace(size=10)
    assert told(run([*opening(), cut, client(b"klm", 10)])) == [
        OPENED,
        ("client", b"abc"),
        "client misses 7",
        ("client", b"klm"),
        OVER,
    ]


def test_acknowledged_bytes_may_still_come_for_a_while():
    assert told(run([*opening(), server(ack=6), client(b"def", 3), client(b"abc")])) == [
        OPENED,
        ("client", b"abc"),
        ("client", b"def"),
        OVER,
    ]


def test_acknowledged_bytes_that_do_not_come_are_given_up():
    streams = Streams()
    for one in [*opening(), client(b"def", 3)]:
        streams.feed_segment(one)
    events = [streams.feed_segment(server(ack=6)) for _ in range(PATIENCE + 1)]
    assert told(events[-1]) == ["client misses 3", ("client", b"def")]
    assert not any(events[:-1])


def test_a_half_closed_connection_that_goes_on_misses_nothing():
    """The acknowledgement of a FIN counts one more than the bytes."""
    answers = [server(b"x", n, ack=4) for n in range(PATIENCE * 2)]
    events = run([*opening(), client(b"abc", flags=FIN | ACK), *answers])
    assert not [one for one in events if isinstance(one, Gap)]
    assert told(events)[2] == "client ended"


def test_a_fin_that_comes_early_waits_for_its_bytes():
    segments = [client(at=3, flags=FIN | ACK), client(b"abc"), client(b"more", 3)]
    assert told(run([*opening(), *segments])) == [OPENED, ("client", b"abc"), "client ended", OVER]


def test_a_reset_closes_at_once_and_says_whose_it_was():
    segments = [
        client(b"abc"),
        client(b"ghi", 6),
        server(b"reason", flags=RST | ACK, ack=3),
        client(b"late", 9),
    ]
    assert told(run([*opening(), *segments])) == [
        OPENED,
        ("client", b"abc"),
        "client misses 3",
        ("client", b"ghi"),
        "closed: reset by server",
    ]


def test_a_refused_connection_is_one():
    assert told(run([client(at=-1, flags=SYN), server(at=-ISN_S - 1, flags=RST | ACK)])) == [
        OPENED,
        "closed: reset by server",
    ]


def test_what_straggles_behind_the_end_opens_nothing():
    late = [client(b"abc"), server(at=-1, flags=SYN | ACK), client(at=3, flags=FIN | ACK), server(b"x")]
    assert told(run([*opening(), client(flags=RST), *late])) == [OPENED, "closed: reset by client"]


def test_the_same_ports_may_serve_a_new_connection():
    again = [client(at=-1, flags=SYN, isn=99), client(b"two", isn=99)]
    assert told(run([*opening(), client(b"one"), *opening(), *again])) == [
        OPENED,
        ("client", b"one"),
        "closed: reused",
        "opened 2 by syn",
        ("client", b"two"),
        OVER,
    ]


@pytest.mark.parametrize(
    ("first", "client_port", "known_by"),
    [
        (client(HELLO), 40000, "hello"),
        (server(SERVER_HELLO), 40000, "hello"),
        (server(HELLO), 8443, "hello"),
        (client(b"GET /"), 40000, "port"),
        (server(b"220 ready"), 40000, "port"),
        (server(at=-1, flags=SYN | ACK), 40000, "syn"),
    ],
)
def test_who_the_client_is_when_its_syn_was_not_captured(first: Segment, client_port: int, known_by: str):
    connection = run([first])[0].connection
    assert (connection.client[1], connection.known_by) == (client_port, known_by)


def test_between_equal_ports_the_one_who_speaks_first_is_the_client():
    segment = client(b"x")._replace(source=(S[0], 7), destination=(C[0], 7))
    assert run([segment])[0].connection.client == ("10.0.0.2", 7)


def test_a_connection_that_began_before_the_capture_goes_on_from_there():
    segments = [client(b"later", 500, ack=900), server(b"old", 897), server(b"new", 900), client(b"!", 505)]
    assert told(run(segments)) == [
        "opened 1 by port",
        ("client", b"later"),
        ("server", b"new"),
        ("client", b"!"),
        OVER,
    ]


def test_segments_that_say_nothing_open_no_connection():
    assert run([client(), server(flags=FIN | ACK), client(flags=RST)]) == []


def test_the_connection_that_was_idle_for_the_longest_time_makes_room():
    def syn(port: int) -> Segment:
        return client(at=-1, flags=SYN)._replace(source=(C[0], port))

    events = run([syn(1), syn(2), syn(1), syn(3)], Streams(max_connections=2))
    closed = [(one.connection.client[1], one.how) for one in events if isinstance(one, Closed)]
    assert closed == [(2, "evicted"), (1, "capture_ended"), (3, "capture_ended")]


def test_too_much_that_waits_is_told_with_its_gap():
    streams = Streams(max_waiting=1000)
    for one in opening():
        streams.feed_segment(one)
    events = [streams.feed_segment(client(b"x" * 400, 10 + 400 * n)) for n in range(2)]
    assert told(events[0]) == []
    assert told(events[1]) == ["client misses 10", ("client", b"x" * 400), ("client", b"x" * 400)]


def test_too_much_that_waits_in_all_costs_the_idlest_connection():
    streams = Streams(max_waiting_in_all=2000)
    for port in (1, 2):
        for one in (client(at=-1, flags=SYN), client(b"x" * 900, 9)):
            events = streams.feed_segment(one._replace(source=(C[0], port)))
    assert told(events) == ["client misses 9", ("client", b"x" * 900), "closed: evicted"]
    assert events[-1].connection.client[1] == 1


def test_nothing_of_a_closed_connection_is_kept_but_its_addresses():
    streams = Streams(max_connections=10)
    for port in range(1, 200):
        for one in (client(at=-1, flags=SYN), client(b"x" * 900, 9), client(flags=RST)):
            streams.feed_segment(one._replace(source=(C[0], port)))
    assert (len(streams._tracked), streams._waiting, len(streams._closed)) == (0, 0, 10)


def test_packets_without_a_segment_are_counted_by_their_reason():
    streams = Streams()
    assert streams.feed(Packet(0, 147, b"")) == []
    assert streams.skipped == {Skipped.UNKNOWN_LINK: 1}


STREAM = bytes(range(256)) * 2


@given(st.data(), st.integers(0, 2**32 - 1))
def test_any_order_of_any_cuts_gives_the_same_stream(data: st.DataObject, isn: int):
    """Every byte is sent at least once, in pieces that overlap, repeat, and come in any order."""
    cuts = sorted({0, len(STREAM), *data.draw(st.lists(st.integers(1, len(STREAM) - 1), max_size=8))})
    pieces = list(itertools.pairwise(cuts))
    for start, end in data.draw(st.lists(st.tuples(*[st.integers(0, len(STREAM))] * 2), max_size=8)):
        pieces.append((min(start, end), max(start, end)))
    order = data.draw(st.permutations(pieces))
    segments = [client(STREAM[start:end], start, isn=isn) for start, end in order]
    fin = client(at=len(STREAM), flags=FIN | ACK, isn=isn)
    segments.insert(data.draw(st.integers(0, len(segments))), fin)
    streams = Streams()
    events = run([*opening(isn), *segments], streams)
    assert b"".join(one.data for one in events if isinstance(one, Data)) == STREAM
    assert told(events)[-2:] == ["client ended", OVER]
    assert not [one for one in events if isinstance(one, Gap)]
    assert streams._waiting == 0


@given(
    st.lists(
        st.builds(
            Segment,
            st.integers(0, 9),
            st.sampled_from([C, S]),
            st.sampled_from([C, S]),
            st.one_of(st.integers(990, 1020), st.integers(0, 2**32 - 1)),
            st.one_of(st.integers(990, 1020), st.integers(0, 2**32 - 1)),
            st.one_of(st.just(ACK), st.integers(0, 31)),
            st.binary(max_size=9),
            st.integers(0, 12),
        ).map(lambda one: one._replace(size=max(one.size, len(one.payload)))),
        max_size=60,
    )
)
def test_whatever_comes_every_connection_is_told_in_order(segments: list[Segment]):
    """Opened first, Closed last, nothing of a side after it ended, and no memory kept."""
    streams = Streams(max_waiting=700)
    state: dict[int, set[str]] = {}
    for one in run(segments, streams):
        number = one.connection.number
        if isinstance(one, Opened):
            assert number not in state
            state[number] = set()
            continue
        assert "closed" not in state[number]
        if isinstance(one, Closed):
            state[number].add("closed")
            continue
        assert one.sender not in state[number]
        if isinstance(one, Ended):
            state[number].add(one.sender)
        elif isinstance(one, Data):
            assert one.data
        else:
            assert one.missing > 0
    assert all("closed" in one for one in state.values())
    assert (streams._waiting, len(streams._tracked)) == (0, 0)
