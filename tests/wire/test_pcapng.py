"""pcapng files by hand: every block that is understood, both byte orders, clocks, and damage."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.wire.pcap import (
    CaptureCutShort,
    CaptureDamaged,
    CaptureUnreadable,
    Packet,
    Secrets,
    read_capture,
)

ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<", major: int = 1) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(order: str = "<", link: int = 1, snapshot: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link, 0, snapshot) + options)


def enhanced(order: str, data: bytes, ticks: int, number: int = 0, size: int | None = None) -> bytes:
    size = len(data) if size is None else size
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), size)
    return block(order, 6, head + data + bytes(-len(data) % 4) + option(order, 2, b"\0\0\0\1"))


def read(data: bytes) -> list[Packet | Secrets]:
    return list(read_capture(io.BytesIO(data)))


@ORDERS
def test_enhanced_packets_have_their_interface_and_time(order: str):
    now = 1_795_000_000_123_456
    data = section(order) + interface(order, 101) + interface(order, 276)
    data += enhanced(order, b"first", now) + enhanced(order, b"second", now + 1, 1, 900)
    assert read(data) == [Packet(now, 101, b"first", False), Packet(now + 1, 276, b"second", True)]


@ORDERS
@pytest.mark.parametrize(
    ("resolution", "ticks", "at_us"),
    [(6, 5_000_001, 5_000_001), (9, 5_000_001_999, 5_000_001), (3, 5_001, 5_001_000), (0x81, 3, 1_500_000)],
)
def test_an_interface_has_a_clock_of_its_own(order: str, resolution: int, ticks: int, at_us: int):
    clock = option(order, 2, b"eth0") + option(order, 9, bytes([resolution]))
    clock += option(order, 14, struct.pack(order + "q", -1)) + option(order, 0, b"")
    data = section(order) + interface(order, options=clock) + enhanced(order, b"x", ticks)
    assert read(data) == [Packet(at_us - 1_000_000, 1, b"x", False)]


def test_options_behind_their_end_do_not_count():
    options = option("<", 0, b"") + option("<", 9, b"\x09")
    assert read(section() + interface(options=options) + enhanced("<", b"x", 77))[0].at_us == 77


@ORDERS
def test_short_packets_are_cut_at_the_snapshot_length_and_have_the_time_of_the_one_before(order: str):
    short = block(order, 3, struct.pack(order + "I", 9) + b"abcd")
    data = section(order) + interface(order, snapshot=4) + short + enhanced(order, b"x", 1234) + short
    assert read(data) == [
        Packet(0, 1, b"abcd", True),
        Packet(1234, 1, b"x", False),
        Packet(1234, 1, b"abcd", True),
    ]


@ORDERS
def test_packets_of_the_obsolete_block_are_read(order: str):
    old = block(order, 2, struct.pack(order + "HHIIII", 0, 3, 0, 99, 3, 3) + b"old")
    assert read(section(order) + interface(order) + old) == [Packet(99, 1, b"old", False)]


@ORDERS
def test_key_logs_come_out_where_they_stand_and_other_secrets_do_not(order: str):
    text = b"CLIENT_RANDOM 00 11\n"
    tls = block(order, 10, struct.pack(order + "II", 0x544C534B, len(text)) + text)
    other = block(order, 10, struct.pack(order + "II", 0x57474B4C, 4) + b"wire")
    data = section(order) + interface(order) + other + tls + enhanced(order, b"x", 1)
    assert read(data) == [Secrets(text), Packet(1, 1, b"x", False)]


def test_sections_follow_one_another_each_with_its_byte_order_and_interfaces():
    data = section("<") + interface("<", 1) + enhanced("<", b"little", 1)
    data += section(">") + interface(">", 113) + enhanced(">", b"big", 2)
    assert read(data) == [Packet(1, 1, b"little", False), Packet(2, 113, b"big", False)]
    with pytest.raises(CaptureDamaged, match="a packet of interface 0, of 0 described ones"):
        read(data + section("<") + enhanced("<", b"x", 3))


@ORDERS
def test_unknown_blocks_are_passed_over(order: str):
    unknown = block(order, 0x0BAD, b"whatever") + block(order, 5, bytes(12)) + block(order, 0x80000001, b"")
    data = section(order) + unknown + interface(order) + unknown + enhanced(order, b"x", 1)
    assert read(data) == [Packet(1, 1, b"x", False)]


START = section() + interface()


@pytest.mark.parametrize(
    ("data", "position", "problem"),
    [
        (
            START + struct.pack("<II", 6, 17 * 1024 * 1024),
            48,
            "a block of 17825792 bytes, more than 16777216",
        ),
        (START + struct.pack("<III", 6, 8, 8), 48, "a block cannot be 8 bytes long"),
        (START + struct.pack("<III", 6, 13, 13), 48, "a block cannot be 13 bytes long"),
        (START + struct.pack("<III", 6, 12, 16), 48, "a block's two lengths differ"),
        (START + block("<", 6, b"abcd"), 48, "a block of this type has 20 bytes or more, got 4"),
        (
            START + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + b"abcd"),
            48,
            "a packet is longer than its block",
        ),
        (START + enhanced("<", b"x", 1, number=1), 48, "a packet of interface 1, of 1 described ones"),
        (
            START + block("<", 10, struct.pack("<II", 0x544C534B, 99)),
            48,
            "secrets are longer than their block",
        ),
        (
            section() + interface(options=struct.pack("<HH", 2, 99)),
            28,
            "an option is longer than its block",
        ),
        (section("<", major=2), 0, "version 2 of pcapng is not known"),
        (block("<", 0x0A0D0D0A, b"nonsense" * 2), 0, "a section header without the byte-order magic"),
    ],
)
def test_damage_is_told_with_its_place(data: bytes, position: int, problem: str):
    with pytest.raises(CaptureDamaged) as caught:
        read(data)
    assert (caught.value.position, caught.value.problem) == (position, problem)
    assert str(caught.value) == f"the capture cannot be read further than byte {position}: {problem}"


def test_no_file_makes_us_remember_more_interfaces_than_there_can_be():
    with pytest.raises(CaptureDamaged, match="more than 65536 interfaces"):
        read(section() + interface() * 65537)


def test_wherever_a_file_is_cut_what_is_whole_comes_out():
    starts, data = [], b""
    for part in (section(), interface(), enhanced("<", b"one", 1), enhanced("<", b"two", 2)):
        starts.append(len(data))
        data += part
    for end in range(4, len(data)):
        got = []
        try:
            for one in read_capture(io.BytesIO(data[:end])):
                got.append(one.data)
        except CaptureCutShort as error:
            assert error.position == max(start for start in starts if start < end)
        else:
            assert end in starts
        assert got == [b"one"][: end >= starts[3]]


@given(st.data())
def test_changed_bytes_give_packets_or_a_typed_error(data: st.DataObject):
    order = data.draw(st.sampled_from("<>"))
    clock = option(order, 9, b"\x09") + option(order, 14, bytes(8)) + option(order, 0, b"")
    raw = bytearray(section(order) + interface(order, options=clock) + enhanced(order, b"one" * 9, 1))
    raw += block(order, 3, struct.pack(order + "I", 4) + b"abcd")
    raw += block(order, 10, struct.pack(order + "II", 0x544C534B, 4) + b"keys")
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert all(isinstance(one, Packet | Secrets) for one in read(bytes(raw)))
    except CaptureUnreadable as error:
        assert str(error)
        assert error.remedy


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_section_give_packets_or_a_typed_error(data: bytes):
    try:
        read(section() + interface() + data)
    except CaptureUnreadable as error:
        assert error.remedy
