"""PROXY protocol, version 2: tells a plain backend who is at the other end of the connection.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt §2.2. Pure; `decode` is for backends and tests.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding

from twoway.errors import PeerError
from twoway.trust import Peer

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ALPN, AUTHORITY, UNIQUE_ID, SSL = 0x01, 0x02, 0x05, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_GROUP, SSL_CLIENT_CERT = 0x21, 0x22, 0x23, 0x26, 0x28
_CLIENT_SSL, _CERT_CONNECTION, _CERT_SESSION = 0x01, 0x02, 0x04
_INET, _INET6, _UNSPEC = 0x11, 0x21, 0x00
_PROXY, _LOCAL = 0x21, 0x20
MAX_HEADER = 65535
LOCAL = SIGNATURE + bytes((_LOCAL, _UNSPEC, 0, 0))  # §2.2: a connection of our own, such as a check

Address = tuple[str, int] | None


class BadProxyHeader(PeerError):
    """Bytes that are no PROXY header of version 2."""

    code = "bad_proxy_header"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"not a PROXY protocol header of version 2: {self.problem}"

    @property
    def remedy(self) -> str:
        return "let only the gateway connect here, with --proxy-protocol switched on at both ends"


def encode(
    source: Address,
    destination: Address,
    peer: Peer | None,
    *,
    tls_version: str | None = None,
    alpn: str | None = None,
    server_name: str | None = None,
    certificate: bool = True,
) -> bytes:
    """The header for one connection; `peer` None says that no certificate was shown. Addresses are (IP, port)."""
    tlvs = b""
    if alpn:
        tlvs += _tlv(ALPN, alpn.encode("ascii"))
    if server_name:
        tlvs += _tlv(AUTHORITY, server_name.encode("utf-8"))
    if tls_version:
        tlvs += _tls(peer, tls_version, certificate)
    addresses, family = _addresses(source, destination)
    if len(addresses) + len(tlvs) > MAX_HEADER:
        return encode(
            source, destination, peer, tls_version=tls_version, server_name=server_name, certificate=False
        )
    return (
        SIGNATURE
        + bytes((_PROXY, family))
        + (len(addresses) + len(tlvs)).to_bytes(2, "big")
        + addresses
        + tlvs
    )


def _tls(peer: Peer | None, version: str, certificate: bool) -> bytes:
    # §2.2.6: verify is 0 when a certificate was shown and proven; we let nothing else through.
    flags = _CLIENT_SSL
    if peer is not None:
        flags |= _CERT_SESSION if peer.resumed else _CERT_SESSION | _CERT_CONNECTION
    body = bytes((flags,)) + (b"\0\0\0\0" if peer is not None else b"\0\0\0\1")
    body += _tlv(SSL_VERSION, version.encode("ascii"))
    if peer is not None:
        if peer.common_name:
            body += _tlv(SSL_CN, peer.common_name.encode("utf-8"))
        if peer.cipher:
            body += _tlv(SSL_CIPHER, peer.cipher.encode("ascii"))
        if peer.group:
            body += _tlv(SSL_GROUP, peer.group.encode("ascii"))
        if certificate:
            body += _tlv(SSL_CLIENT_CERT, peer.leaf.public_bytes(Encoding.DER))
    return _tlv(SSL, body)


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value


def _addresses(source: Address, destination: Address) -> tuple[bytes, int]:
    if source is None or destination is None:
        return b"", _UNSPEC
    first, second = (ipaddress.ip_address(one[0].partition("%")[0]) for one in (source, destination))
    if first.version != second.version:
        return b"", _UNSPEC
    ports = source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
    return first.packed + second.packed + ports, _INET if first.version == 4 else _INET6


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. `tlvs` and `tls` hold raw values by type; `flags` and `verify` are of the TLS part."""

    source: Address
    destination: Address
    tlvs: dict[int, bytes] = field(default_factory=dict)
    flags: int = 0
    verify: int | None = None
    tls: dict[int, bytes] = field(default_factory=dict)


def decode(data: bytes) -> tuple[Header, int] | None:
    """The header at the start of `data` and its length; None while it is incomplete. Raises BadProxyHeader."""
    if data[: len(SIGNATURE)] != SIGNATURE[: len(data)]:
        raise BadProxyHeader("it does not begin with the signature")
    if len(data) < 16:
        return None
    if data[12] not in (_PROXY, _LOCAL):
        raise BadProxyHeader(f"expected version 2 and PROXY or LOCAL, got {data[12]:#04x}")
    length = int.from_bytes(data[14:16], "big")
    if len(data) < 16 + length:
        return None
    body = data[16 : 16 + length]
    size = {_INET: 12, _INET6: 36}.get(data[13], 0)
    if data[13] not in (_INET, _INET6, _UNSPEC):
        raise BadProxyHeader(f"expected TCP over IPv4 or IPv6, or unspecified, got {data[13]:#04x}")
    if len(body) < size:
        raise BadProxyHeader("the addresses are cut short")
    half = size // 2 - 2
    source = destination = None
    if size:
        source = str(ipaddress.ip_address(body[:half])), int.from_bytes(body[size - 4 : size - 2], "big")
        destination = (
            str(ipaddress.ip_address(body[half : 2 * half])),
            int.from_bytes(body[size - 2 : size], "big"),
        )
    tlvs = _tlvs(body[size:])
    if (told := tlvs.get(SSL)) is None:
        return Header(source, destination, tlvs), 16 + length
    if len(told) < 5:
        raise BadProxyHeader("the TLS part is cut short")
    inner = _tlvs(told[5:])
    return Header(source, destination, tlvs, told[0], int.from_bytes(told[1:5], "big"), inner), 16 + length


def _tlvs(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        end = position + 3 + int.from_bytes(data[position + 1 : position + 3], "big")
        if position + 3 > len(data) or end > len(data):
            raise BadProxyHeader("a field is cut short")
        if data[position] in found:
            raise BadProxyHeader(f"the field {data[position]:#04x} comes twice")
        found[data[position]] = data[position + 3 : end]
        position = end
    return found
