"""pcap files by hand, in every byte order and unit of time, and all that is no capture."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.errors import ConfigError
from twoway.wire.pcap import (
    CaptureCutShort,
    CaptureDamaged,
    CaptureUnreadable,
    NotACapture,
    Packet,
    read_capture,
)

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D


def header(order: str = "<", magic: int = MICRO, link: int = 1, major: int = 2) -> bytes:
    return struct.pack(order + "IHHiIII", magic, major, 4, 0, 0, 65535, link)


def packet(
    data: bytes, seconds: int = 7, fraction: int = 5, order: str = "<", size: int | None = None
) -> bytes:
    size = len(data) if size is None else size
    return struct.pack(order + "IIII", seconds, fraction, len(data), size) + data


def read(data: bytes) -> list[Packet]:
    return list(read_capture(io.BytesIO(data)))


class Dripping:
    """A file that only has `read`, and gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, 1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(MICRO, 5), (NANO, 5999)])
def test_both_byte_orders_and_units_give_the_same_packets(order: str, magic: int, fraction: int):
    data = header(order, magic) + packet(b"one", 7, fraction, order) + packet(b"", 8, 0, order)
    assert read(data) == [Packet(7_000_005, 1, b"one", False), Packet(8_000_000, 1, b"", False)]


def test_a_packet_that_the_capture_kept_in_part_is_marked():
    assert read(header() + packet(b"par", size=300)) == [Packet(7_000_005, 1, b"par", True)]


def test_the_length_of_a_frame_check_sequence_is_no_part_of_the_link_type():
    assert read(header(link=0x54000071) + packet(b"x"))[0].link_type == 113


def test_a_capture_of_nothing_is_a_capture():
    assert read(header()) == []


def test_a_file_that_gives_little_at_a_time_is_read_the_same():
    data = header() + packet(b"one") + packet(b"three" * 50)
    assert list(read_capture(Dripping(data))) == read(data)


def test_a_packet_is_given_before_the_next_one_is_read():
    class Live(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            assert self.tell() < len(first), "asked for more than the packet that is there"
            return super().read(count)

    first = header() + packet(b"one")
    assert next(read_capture(Live(first))).data == b"one"


@pytest.mark.parametrize("end", [10, 24 + 3, 24 + 16, 24 + 16 + 2])
def test_a_capture_that_was_cut_short_says_where_after_all_that_is_whole(end: int):
    whole = header() + packet(b"whole")
    cut = (header() if end < 24 else b"") + packet(b"cut")
    data = header()[:end] if end < 24 else whole + cut[: end - 24]
    got: list[Packet] = []
    with pytest.raises(CaptureCutShort) as caught:
        for one in read_capture(io.BytesIO(data)):
            got.append(one)
    assert len(got) == (0 if end < 24 else 1)
    assert caught.value.position == (0 if end < 24 else len(whole))
    assert "let the capturing program end" in caught.value.remedy


def test_a_packet_of_more_than_16_mib_is_refused_with_its_place():
    data = header() + packet(b"one") + struct.pack("<IIII", 0, 0, 16 * 1024 * 1024 + 1, 5)
    with pytest.raises(CaptureDamaged, match="byte 43: a packet of 16777217 bytes") as caught:
        read(data)
    assert caught.value.evidence["position"] == 43


def test_another_version_is_refused():
    with pytest.raises(CaptureDamaged, match=r"version 3\.4 of pcap"):
        read(header(major=3))


@pytest.mark.parametrize(
    ("data", "looks", "hint"),
    [
        (b"", "an empty file", "tcpdump"),
        (b"\xd4\xc3", "a file of 2 bytes", "ends before"),
        (b"\x1f\x8b\x08\x00rest", "a file compressed with gzip", "decompress"),
        (b"\x28\xb5\x2f\xfdrest", "a file compressed with zstd", "decompress"),
        (b"snoop\0\0\0\0\0\0\2", "a snoop capture", "editcap"),
        (b"-----BEGIN CERTIFICATE-----\nMII", "a PEM file", "inspect"),
        (b'{"outcome": "refused"}', "JSON", "packets"),
        (b"# keys\nCLIENT_RANDOM 00 11\n", "a TLS key log", "name the capture"),
        (b"SERVER_HANDSHAKE_TRAFFIC_SECRET 00 11\n", "a TLS key log", "name the capture"),
        ("12:00 IP café > b: Flags [S]\n".encode(), "a text file", "needs -w"),
        (b"12:00 IP a > b: Flags [S]\n", "a text file", "needs -w"),
        (b"\x7fELF\x02\x01\x01\x00", "a file that begins with 7f 45 4c 46 02 01 01 00", "tcpdump"),
    ],
)
def test_what_is_no_capture_is_called_by_its_name(data: bytes, looks: str, hint: str):
    with pytest.raises(NotACapture) as caught:
        read(data)
    assert str(caught.value).startswith(f"expected a capture (pcap or pcapng), got {looks}")
    assert hint in caught.value.remedy
    assert caught.value.evidence["looks"] == caught.value.looks
    assert isinstance(caught.value, ConfigError)


@given(st.data())
def test_changed_bytes_give_packets_or_a_typed_error(data: st.DataObject):
    order = data.draw(st.sampled_from("<>"))
    raw = bytearray(header(order) + packet(b"one" * 9, order=order) + packet(b"two", order=order))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert all(isinstance(one, Packet) for one in read(bytes(raw)))
    except CaptureUnreadable as error:
        assert str(error)
        assert error.remedy


@given(st.binary(max_size=200))
def test_any_bytes_give_packets_or_a_typed_error(data: bytes):
    for start in (b"", header()):
        try:
            read(start + data)
        except CaptureUnreadable as error:
            assert error.remedy
