"""Addresses that lists and answers are fetched from, and which of them are out of bounds."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from twoway.revocation.faults import BadUrl, FetchFailed

MAX_URL = 2048
_PORTS = {"http": 80, "https": 443}
# Where clouds answer with credentials of the machine; the IPv4 one is link-local as well.
_METADATA = tuple(
    map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"))
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = tuple[socket.AddressFamily, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Url:
    """An address in its parts. `configured`: an operator wrote it; otherwise it stood in a certificate."""

    text: str
    scheme: str
    host: str
    port: int
    target: str
    configured: bool

    @classmethod
    def parse(cls, text: str, *, configured: bool) -> Url:
        """Read an http or https address; raises BadUrl. User names and passwords are refused."""
        if len(text) > MAX_URL:
            raise BadUrl(text[:80] + "…", f"it is longer than {MAX_URL} characters")
        if not text.isascii() or any(character <= " " or character == "\x7f" for character in text):
            raise BadUrl(text, "it has characters that no address has")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadUrl(text, str(error)) from None
        if parts.scheme not in _PORTS:
            raise BadUrl(text, f"expected http or https, got {parts.scheme or 'no scheme'}")
        if not parts.hostname:
            raise BadUrl(text, "it names no host")
        if "@" in parts.netloc:
            raise BadUrl(text, "it carries a user name")
        if port == 0:
            raise BadUrl(text, "nothing listens on port 0")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(text, parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target, configured)

    def __str__(self) -> str:
        return self.text

    @property
    def host_header(self) -> str:
        """RFC 9110 §7.2: the host, with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def is_url(text: object) -> bool:
    """Whether this is meant as an address rather than as a file."""
    return isinstance(text, str) and text.lower().startswith(("http://", "https://"))


def addresses(url: Url) -> Iterator[Address]:
    """Where to connect to, in the resolver's order; raises FetchFailed when there is nowhere, or it is out of bounds.

    The caller connects to exactly these, so that a second look-up cannot lead elsewhere.
    """
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(
            str(url), f"the name has no address ({getattr(error, 'strerror', None) or error})"
        ) from None
    for family, _, _, _, place in found:
        if not url.configured and (reason := out_of_bounds(str(place[0]))):
            raise FetchFailed(
                str(url),
                f"it stands in a certificate and leads to {place[0]}, {reason}; configure it if it is right",
            )
        yield family, place  # type: ignore[misc]


def out_of_bounds(address: str) -> str | None:
    """Why an address that a certificate names is not asked; None for one that may be."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        if one.teredo is not None:
            return "which tunnels to another one"
        if one in _NAT64:  # the last 32 bits are an IPv4 address
            one = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
        else:
            one = one.ipv4_mapped or one.sixtofour or one
    if one in _METADATA:
        return "where clouds keep a machine's credentials"
    if one.is_loopback or one.is_unspecified:
        return "this machine itself"
    if one.is_link_local:
        return "which only neighbours have"
    if one.is_multicast or one.is_reserved:
        return "which is nobody's address"
    return None
