"""Link layers and IP by hand: which packets carry a TCP segment, and why others do not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.wire.packets import ACK, Packet, Segment, Skipped, read_segment

CLIENT, SERVER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
CLIENT6, SERVER6 = bytes(15) + b"\x01", bytes(15) + b"\x02"


def tcp(payload: bytes = b"payload", options: bytes = b"") -> bytes:
    offset = (20 + len(options)) // 4 << 4
    return struct.pack(">HHIIBBHHH", 40000, 8443, 1000, 2000, offset, ACK, 9, 0, 0) + options + payload


def ipv4(
    body: bytes, options: bytes = b"", fragment: int = 0x4000, protocol: int = 6, total: int | None = None
) -> bytes:
    total = 20 + len(options) + len(body) if total is None else total
    first = 0x40 | (20 + len(options)) // 4
    head = struct.pack(">BBHHHBBH", first, 0, total, 0, fragment, 64, protocol, 0)
    return head + CLIENT + SERVER + options + body


def ipv6(body: bytes, following: int = 6, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return struct.pack(">IHBB", 6 << 28, length, following, 64) + CLIENT6 + SERVER6 + body


def read(data: bytes, link: int = 101) -> Segment | Skipped:
    return read_segment(Packet(5, link, data))


EXPECTED = Segment(5, (CLIENT, 40000), (SERVER, 8443), 1000, 2000, ACK, b"payload", 7)
EXPECTED6 = EXPECTED._replace(source=(CLIENT6, 40000), destination=(SERVER6, 8443))
MACS = bytes(12)
ARP = b"\x08\x06" + bytes(28)


@pytest.mark.parametrize(
    ("link", "before4", "before6"),
    [
        pytest.param(1, MACS + b"\x08\x00", MACS + b"\x86\xdd", id="ethernet"),
        pytest.param(1, MACS + b"\x81\0\0\5\x08\x00", MACS + b"\x81\0\0\5\x86\xdd", id="802.1Q"),
        pytest.param(
            1, MACS + b"\x88\xa8\0\5\x81\0\0\6\x08\x00", MACS + b"\x91\0\0\5\x81\0\0\6\x86\xdd", id="QinQ"
        ),
        pytest.param(113, bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd", id="cooked v1"),
        pytest.param(
            113, bytes(14) + b"\x81\0\0\5\x08\x00", bytes(14) + b"\x81\0\0\5\x86\xdd", id="cooked VLAN"
        ),
        pytest.param(276, b"\x08\x00" + bytes(18), b"\x86\xdd" + bytes(18), id="cooked v2"),
        pytest.param(
            276, b"\x81\0" + bytes(18) + b"\0\5\x08\0", b"\x81\0" + bytes(18) + b"\0\5\x86\xdd", id="v2 VLAN"
        ),
        pytest.param(101, b"", b"", id="raw"),
        pytest.param(12, b"", b"", id="raw, old number"),
        pytest.param(228, b"", b"", id="IPv4"),
        pytest.param(229, b"", b"", id="IPv6"),
        pytest.param(0, b"\x02\0\0\0", b"\x1e\0\0\0", id="null, little"),
        pytest.param(0, b"\0\0\0\x02", b"\0\0\0\x0a", id="null, big"),
        pytest.param(108, b"\0\0\0\x02", b"\0\0\0\x18", id="loopback"),
    ],
)
def test_a_segment_is_found_in_every_link_layer(link: int, before4: bytes, before6: bytes):
    assert read(before4 + ipv4(tcp()), link) == EXPECTED
    assert read(before6 + ipv6(tcp()), link) == EXPECTED6


def test_options_of_ip_and_tcp_are_passed_over():
    assert read(ipv4(tcp(options=bytes(12)), options=bytes(8))) == EXPECTED


def test_what_the_link_layer_pads_is_no_payload():
    assert read(MACS + b"\x08\x00" + ipv4(tcp(b"")) + bytes(6), 1) == EXPECTED._replace(payload=b"", size=0)
    assert read(MACS + b"\x86\xdd" + ipv6(tcp()) + bytes(6), 1) == EXPECTED6


def test_a_packet_without_a_length_reaches_to_its_end():
    assert read(ipv4(tcp(), total=0)) == EXPECTED
    assert read(ipv6(tcp(), length=0)) == EXPECTED6


def test_a_payload_that_was_captured_in_part_keeps_its_size():
    assert read(ipv4(tcp(b"p" * 900))[:50]) == EXPECTED._replace(payload=b"p" * 10, size=900)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(0, bytes(7))], id="hop by hop"),
        pytest.param([(60, b"\x01" + bytes(14)), (43, bytes(7))], id="destination, routing"),
        pytest.param([(51, b"\x04" + bytes(22))], id="authentication"),
        pytest.param([(44, bytes(7))], id="a fragment that is whole (RFC 6946)"),
    ],
)
def test_extension_headers_are_passed_over(headers: list[tuple[int, bytes]]):
    following, body = 6, tcp()
    for kind, rest in reversed(headers):
        following, body = kind, bytes([following]) + rest + body
    assert read(ipv6(body, following)) == EXPECTED6


@pytest.mark.parametrize(
    ("data", "link", "why"),
    [
        (ipv4(tcp(), fragment=0x2000), 101, Skipped.FRAGMENT),
        (ipv4(tcp(), fragment=0x0001), 101, Skipped.FRAGMENT),
        (ipv6(b"\x06\0\0\x01" + bytes(4) + tcp(), 44), 101, Skipped.FRAGMENT),
        (ipv6(b"\x06\0\0\x08" + bytes(4) + tcp(), 44), 101, Skipped.FRAGMENT),
        (ipv4(bytes(8), protocol=17), 101, Skipped.NOT_TCP),
        (ipv6(bytes(8), 58), 101, Skipped.NOT_TCP),
        (MACS + ARP, 1, Skipped.NOT_TCP),
        (b"\x50" + bytes(40), 101, Skipped.NOT_TCP),
        (b"", 101, Skipped.CUT),
        (MACS, 1, Skipped.CUT),
        (MACS + b"\x81\0\0", 1, Skipped.CUT),
        (ipv4(tcp())[:19], 101, Skipped.CUT),
        (ipv4(tcp())[:33], 101, Skipped.CUT),
        (ipv6(tcp())[:39], 101, Skipped.CUT),
        (ipv6(b"\x06\xff" + bytes(6), 0), 101, Skipped.CUT),
        (ipv6(b"\x06", 0), 101, Skipped.CUT),
        (ipv4(tcp(), total=30), 101, Skipped.MALFORMED),
        (b"\x44" + ipv4(tcp())[1:], 101, Skipped.MALFORMED),
        (ipv4(tcp()[:12] + b"\x40" + tcp()[13:]), 101, Skipped.MALFORMED),
        (ipv4(tcp()), 147, Skipped.UNKNOWN_LINK),
    ],
)
def test_what_carries_no_segment_is_skipped_with_its_reason(data: bytes, link: int, why: Skipped):
    assert read(data, link) is why


LINKS = st.sampled_from([0, 1, 12, 101, 108, 113, 228, 276, 9])


@given(LINKS, st.binary(max_size=120))
def test_any_bytes_are_a_segment_or_a_reason(link: int, data: bytes):
    assert isinstance(read(data, link), Segment | Skipped)


@given(st.sampled_from([ipv4(tcp()), ipv6(b"\x06\0" + bytes(6) + tcp(), 0)]), st.data())
def test_changed_bytes_are_a_segment_or_a_reason(whole: bytes, data: st.DataObject):
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    segment = read(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    assert isinstance(segment, Segment | Skipped)
    if isinstance(segment, Segment):
        assert 0 <= len(segment.payload) <= segment.size
