"""http-01: a file on the host's web server (RFC 8555 §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import h11

from twoway.enroll.acme.validation.connecting import READ_BYTES, Outside, Streams, unverified_context
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled
from twoway.names import BadName, is_ip, parse_dns_name

MAX_REDIRECTS = 4
MAX_BODY = 1024  # a key authorization has less than a tenth of it
MAX_URL = 2048
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is asked for."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (80, 443) else f"{host}:{self.port}"


class Http01:
    """Looks for the file, and follows a few redirects to where they may lead."""

    def __init__(self, outside: Outside, http_port: int, tls_port: int) -> None:
        self._outside, self._ports = outside, {"http": http_port, "https": tls_port}

    async def prove(self, host: str, token: str, key_authorization: str) -> str:
        """The address at which the proof was found. Raises Unfulfilled."""
        # RFC 8555 §8.3: the request MUST be sent to TCP port 80.
        place = Place("http", host, self._ports["http"], f"/.well-known/acme-challenge/{token}")
        for _ in range(MAX_REDIRECTS + 1):
            status, location, body, address = await self._fetch(place)
            if status in _REDIRECTS:
                place = self.redirected(place, location)
                continue
            if status != 200:
                raise Unfulfilled("unauthorized", f"{place.host} answered {status} for the challenge's path")
            # RFC 8555 §8.3: trailing white space is to be ignored.
            if body.rstrip(b" \t\r\n") != key_authorization.encode():
                raise Unfulfilled("unauthorized", f"{place.host} has another text at the challenge's path")
            return address
        raise Unfulfilled("connection", f"more than {MAX_REDIRECTS} redirects")

    def redirected(self, place: Place, location: str | None) -> Place:
        """Where a redirect leads. Raises Unfulfilled for whatever is not http(s) by name at the usual ports."""
        if (
            location is None
            or len(location) > MAX_URL
            or not location.isascii()
            or not location.isprintable()
        ):
            raise Unfulfilled("connection", f"{place.host} redirects to something that is no address")
        here = f"{place.scheme}://{place.host_header}{place.target}"
        try:
            parts = urlsplit(urljoin(here, location))
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise Unfulfilled(
                "connection", f"{place.host} redirects to something that is no address"
            ) from None
        if parts.scheme not in self._ports:
            raise Unfulfilled("connection", f"{place.host} redirects to another scheme than http and https")
        if "@" in parts.netloc:
            raise Unfulfilled("connection", f"{place.host} redirects to an address with a user in it")
        relative = (host, parts.scheme) == (place.host, place.scheme)
        if is_ip(host) and not relative:
            raise Unfulfilled("connection", f"{place.host} redirects to an address instead of a name")
        try:
            host = host if relative else parse_dns_name(host)
        except BadName:
            raise Unfulfilled("connection", f"{place.host} redirects to a host that is no DNS name") from None
        if port is not None and port not in {80, 443, *self._ports.values()}:
            raise Unfulfilled("connection", f"{place.host} redirects to a port other than 80 and 443")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Place(parts.scheme, host, self._ports[parts.scheme] if port is None else port, target)

    async def _fetch(self, place: Place) -> tuple[int, str | None, bytes, str]:
        tls = unverified_context() if place.scheme == "https" else None
        name = place.host if tls else None
        async with self._outside.connection(place.host, place.port, tls=tls, server_name=name) as found:
            streams, address = found
            try:
                return (*await _exchange(streams, place), address)
            except h11.ProtocolError:
                raise Unfulfilled(
                    "connection", f"{place.host} does not speak HTTP at port {place.port}"
                ) from None
            except OSError as failure:
                told = failure.strerror or type(failure).__name__
                raise Unfulfilled("connection", f"the connection to {place.host} broke: {told}") from None


async def _exchange(streams: Streams, place: Place) -> tuple[int, str | None, bytes]:
    """One request and its answer: status, Location, and as much of the body as a proof could have."""
    reader, writer = streams
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=READ_BYTES)
    headers = [
        ("Host", place.host_header),
        ("User-Agent", "twoway-acme"),
        ("Accept", "*/*"),
        ("Connection", "close"),
    ]
    writer.write(machine.send(h11.Request(method="GET", target=place.target, headers=headers)) or b"")
    writer.write(machine.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    status, location, body, interim = 0, None, b"", 0
    while True:
        event = machine.next_event()
        if event is h11.NEED_DATA:
            machine.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.InformationalResponse):
            interim += 1
            if interim > 4:
                raise Unfulfilled("connection", f"{place.host} never comes to its answer")
        elif isinstance(event, h11.Response):
            status = event.status_code
            values = [value for name, value in event.headers if name == b"location"]
            location = values[0].decode("latin-1") if len(values) == 1 else None
            if status != 200:
                return status, location, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
            if len(body) > MAX_BODY:
                raise Unfulfilled(
                    "unauthorized", f"{place.host} has more at the challenge's path than a proof has"
                )
        else:
            return status, location, body
