"""Connections to hosts that others chose: the address that was judged is the one that is connected to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Sequence

from twoway.enroll.acme.options import Network
from twoway.enroll.acme.validation.lookup import Lookup
from twoway.enroll.acme.validation.targets import IpAddress, objection
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled
from twoway.names import is_ip

READ_BYTES = 8 * 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Outside:
    """How hosts outside are found and reached."""

    def __init__(self, lookup: Lookup, allowed: Sequence[Network]) -> None:
        self._lookup, self._allowed = lookup, allowed

    async def addresses(self, host: str) -> tuple[IpAddress, ...]:
        """Those addresses of a host that may be connected to. Raises Unfulfilled if there is none, with each reason."""
        if is_ip(host):
            found: tuple[IpAddress, ...] = (ipaddress.ip_address(host),)
        else:
            found = await self._lookup.addresses(host)
        reasons = {address: objection(address, self._allowed) for address in found}
        good = tuple(address for address, why in reasons.items() if why is None)
        if not good:
            told = ", ".join(f"{address}: {why}" for address, why in reasons.items())
            raise Unfulfilled("connection", f"nothing is connected to at the address of {host} ({told})")
        return good

    @contextlib.asynccontextmanager
    async def connection(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> AsyncIterator[tuple[Streams, str]]:
        """A connection to the first address that answers, and which one that was. Raises Unfulfilled.

        No name is looked up again between the judgement and the connection, so an answer of the DNS that changes
        meanwhile leads nowhere else.
        """
        last = ""
        for address in (addresses := await self.addresses(host)):
            try:
                streams = await _connected(address, port, tls, server_name)
            except ssl.SSLError as failure:
                told = failure.reason or "no TLS"
                raise Unfulfilled(
                    "tls", f"the TLS handshake with {host} port {port} failed: {told}"
                ) from None
            except OSError as failure:
                last = failure.strerror or type(failure).__name__
            else:
                break
        else:
            tried = ", ".join(map(str, addresses))
            raise Unfulfilled("connection", f"cannot connect to {host} port {port} at {tried}: {last}")
        try:
            yield streams, str(address)
        finally:
            streams[1].transport.abort()


async def _connected(
    address: IpAddress, port: int, tls: ssl.SSLContext | None, server_name: str | None
) -> Streams:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        return await asyncio.open_connection(
            sock=sock, ssl=tls, server_hostname=server_name, limit=READ_BYTES
        )
    except BaseException:
        sock.close()
        raise


def unverified_context(*protocols: str) -> ssl.SSLContext:
    """For hosts that have no certificate yet: nothing is believed of what they show (RFC 8555 §8.3, RFC 8737 §3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context
