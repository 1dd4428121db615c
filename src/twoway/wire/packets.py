"""Captured packets to TCP segments: link layers, IPv4, IPv6, TCP; pure.

Checksums are not verified: a capture taken where the network card computes them holds wrong ones. Nothing is
taken out of tunnels, and fragments are not put together.
"""

from __future__ import annotations

from enum import StrEnum
from struct import Struct
from typing import NamedTuple


class Packet(NamedTuple):
    """One packet of a capture: when (microseconds since the epoch), its LINKTYPE number, and its bytes.

    `truncated` says that more bytes travelled than the capture kept (its snapshot length).
    """

    at_us: int
    link_type: int
    data: bytes
    truncated: bool = False


class Secrets(NamedTuple):
    """A TLS key log (NSS format) that travels inside a capture."""

    text: bytes


Endpoint = tuple[bytes, int]
"""An address, 4 or 16 bytes, and a port."""

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


class Segment(NamedTuple):
    """One TCP segment. `size` counts the payload's bytes that travelled; `payload` may hold fewer of them."""

    at_us: int
    source: Endpoint
    destination: Endpoint
    seq: int
    ack: int
    flags: int
    payload: bytes
    size: int


class Skipped(StrEnum):
    """Why a packet gives no segment."""

    NOT_TCP = "not TCP over IP"
    FRAGMENT = "a fragment of an IP packet"
    CUT = "shorter than its headers"
    MALFORMED = "contradicts itself"
    UNKNOWN_LINK = "a link layer that is not known here"


class LinkType:
    """LINKTYPE numbers that are understood (draft-ietf-opsawg-pcaplinktype)."""

    NULL, ETHERNET, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 101, 108, 113, 228, 229, 276
    # What some systems wrote for RAW before it had a number of its own.
    RAW_OLD = (12, 14)


_TCP = 6
_ETHERTYPE_IPV4, _ETHERTYPE_IPV6 = 0x0800, 0x86DD
# IEEE 802.1Q, 802.1ad, and what switches used before the latter.
_VLAN = (0x8100, 0x88A8, 0x9100)
_RAW = (LinkType.RAW, *LinkType.RAW_OLD, LinkType.IPV4, LinkType.IPV6)
_TCP_HEADER = Struct(">HHIIBB")
_IPV4_HEADER = Struct(">BxHxxHxBxx4s4s")
_IPV6_HEADER = Struct(">IHBx16s16s")
_SHORT = Struct(">H")
# Extension headers that carry their length in units of 8 bytes (RFC 8200 §4); the last three are those of
# Mobile IPv6, HIP and Shim6.
_HOP_BY_HOP, _ROUTING, _DESTINATION, _FRAGMENT, _AUTHENTICATION = 0, 43, 60, 44, 51
_EXTENSIONS = frozenset((_HOP_BY_HOP, _ROUTING, _DESTINATION, 135, 139, 140))


def read_segment(packet: Packet) -> Segment | Skipped:
    """The TCP segment in a packet, or why there is none. Never raises for any bytes."""
    data, link = packet.data, packet.link_type
    if link == LinkType.ETHERNET:
        position = _after_ethertype(data, 12)
    elif link in _RAW:
        position = 0
    elif link == LinkType.SLL:
        position = _after_ethertype(data, 14)
    elif link == LinkType.SLL2:
        # The type stands first in the header of 20 bytes; where it is a tag's, the tag follows the header.
        position = _after_ethertype(data, 0, 20)
    elif link in (LinkType.NULL, LinkType.LOOP):
        # Four bytes of address family in the byte order and numbering of a system that is not known here:
        # the version in the IP header says the same.
        position = 4
    else:
        return Skipped.UNKNOWN_LINK
    if position < 0:
        return Skipped.NOT_TCP
    if position >= len(data):
        return Skipped.CUT
    version = data[position] >> 4
    if version == 4:
        return _ipv4(packet.at_us, data, position)
    if version == 6:
        return _ipv6(packet.at_us, data, position)
    return Skipped.NOT_TCP


def _after_ethertype(data: bytes, at: int, end: int | None = None) -> int:
    """Where the IP header begins, VLAN tags passed over; -1 when what is carried is not IP."""
    position = at + 2 if end is None else end
    if len(data) < position:
        return len(data)
    (kind,) = _SHORT.unpack_from(data, at)
    while kind in _VLAN:
        if len(data) < position + 4:
            return len(data)
        (kind,) = _SHORT.unpack_from(data, position + 2)
        position += 4
    return position if kind in (_ETHERTYPE_IPV4, _ETHERTYPE_IPV6) else -1


def _ipv4(at_us: int, data: bytes, start: int) -> Segment | Skipped:
    """RFC 791 §3.1."""
    if len(data) - start < _IPV4_HEADER.size:
        return Skipped.CUT
    first, total, fragment, protocol, source, destination = _IPV4_HEADER.unpack_from(data, start)
    if protocol != _TCP:
        return Skipped.NOT_TCP
    # More fragments follow, or this one does not begin at 0.
    if fragment & 0x3FFF:
        return Skipped.FRAGMENT
    header = (first & 0x0F) * 4
    # A card that segments by itself (TSO) is given packets without a length.
    total = total or len(data) - start
    if header < _IPV4_HEADER.size or header > total:
        return Skipped.MALFORMED
    return _tcp(at_us, data, start + header, start + total, source, destination)


def _ipv6(at_us: int, data: bytes, start: int) -> Segment | Skipped:
    """RFC 8200 §3, with the extension headers of §4 passed over."""
    if len(data) - start < _IPV6_HEADER.size:
        return Skipped.CUT
    _, length, following, source, destination = _IPV6_HEADER.unpack_from(data, start)
    position = start + _IPV6_HEADER.size
    # As with IPv4, and for jumbograms (RFC 2675).
    end = position + length if length else len(data)
    while following != _TCP:
        if following != _FRAGMENT and following != _AUTHENTICATION and following not in _EXTENSIONS:
            return Skipped.NOT_TCP
        if len(data) - position < 8:
            return Skipped.CUT
        if following == _FRAGMENT:
            # RFC 6946: a first fragment that is also the last one is a whole packet.
            if _SHORT.unpack_from(data, position + 2)[0] & 0xFFF9:
                return Skipped.FRAGMENT
            size = 8
        elif following == _AUTHENTICATION:
            size = (data[position + 1] + 2) * 4
        else:
            size = (data[position + 1] + 1) * 8
        following = data[position]
        position += size
    return _tcp(at_us, data, position, end, source, destination)


def _tcp(
    at_us: int, data: bytes, start: int, end: int, source: bytes, destination: bytes
) -> Segment | Skipped:
    """RFC 9293 §3.1. `end` is where the IP packet ends, which may lie behind the captured bytes."""
    if len(data) - start < _TCP_HEADER.size:
        return Skipped.CUT
    source_port, destination_port, seq, ack, offset, flags = _TCP_HEADER.unpack_from(data, start)
    header = (offset >> 4) * 4
    payload = start + header
    if header < 20 or payload > end:
        return Skipped.MALFORMED
    return Segment(
        at_us,
        (source, source_port),
        (destination, destination_port),
        seq,
        ack,
        flags,
        data[payload:end],  # without what a link layer pads or appends
        end - payload,
    )
