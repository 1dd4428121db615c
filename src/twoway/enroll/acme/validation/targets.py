"""Which addresses a proof may be looked for at: nobody makes this authority call where its network alone gets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from twoway.enroll.acme.options import Network

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where cloud machines are told their secrets; most others are link-local.
_METADATA = {ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")}
# IPv6 addresses that are an IPv4 address to whoever routes them (RFC 6052, RFC 3056, RFC 4380).
_TRANSLATED = tuple(
    ipaddress.IPv6Network(each)
    for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)


def objection(address: IpAddress, allowed: Sequence[Network]) -> str | None:
    """Why nothing may be connected to there; None where it may.

    Public addresses may. Private ones only in an allowed network, loopback only where the network itself is one of
    loopback; link-local, multicast, unspecified, metadata and translated addresses never.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return objection(address.ipv4_mapped, allowed)
        if address.scope_id is not None:
            return "it is link-local"
        if not address.is_loopback and not address.is_unspecified and _in(address, _TRANSLATED):
            return "it stands for an IPv4 address"
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        kind = (
            "unspecified" if address.is_unspecified else "multicast" if address.is_multicast else "link-local"
        )
        return f"it is {kind}"
    if address in _METADATA:
        return "it is a metadata service"
    if address.is_loopback:
        mine = [network for network in allowed if network.is_loopback]
        return None if _in(address, mine) else "it is this machine's own (loopback)"
    if _in(address, allowed):
        return None
    if not address.is_global or address.is_reserved:
        return "it is private or reserved, and in no network of --acme-allow-net"
    return None


def _in(address: IpAddress, networks: Iterable[Network]) -> bool:
    return any(network.version == address.version and address in network for network in networks)
