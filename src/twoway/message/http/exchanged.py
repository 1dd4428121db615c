"""A request or a response as signatures see it: pure facts, whichever client or server they come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

Header = tuple[str, str]


@dataclass(frozen=True)
class HttpRequest:
    """A request: method, the whole target URI, and headers in their order, names in any case."""

    method: str
    url: str
    headers: tuple[Header, ...] = ()
    body: bytes = field(default=b"", repr=False)

    @property
    def authority(self) -> str:
        """Host and port in lower case, a default port left out (RFC 9421 §2.2.3)."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2].lower()
        default = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
        return host.removesuffix(default) if default else host

    @property
    def path(self) -> str:
        return urlsplit(self.url).path or "/"

    @property
    def query(self) -> str:
        """With its question mark, which stands there even without a query (RFC 9421 §2.2.7)."""
        return "?" + urlsplit(self.url).query


@dataclass(frozen=True)
class HttpResponse:
    """A response, and the request that it answers."""

    status: int
    request: HttpRequest
    headers: tuple[Header, ...] = ()
    body: bytes = field(default=b"", repr=False)


def values_of(headers: Iterable[Header], name: str) -> list[str]:
    """All values of a header, in their order."""
    wanted = name.lower()
    return [value for each, value in headers if each.lower() == wanted]


def combined(headers: Iterable[Header], name: str) -> str | None:
    """A header's values as one (RFC 9421 §2.1): trimmed, joined by a comma; None without the header."""
    values = values_of(headers, name)
    return ", ".join(" ".join(value.split("\r\n")).strip(" \t") for value in values) if values else None


def with_headers(message: HttpRequest, *added: Header) -> HttpRequest:
    """The request with headers that take the place of those of the same name."""
    return replace(message, headers=merged(message.headers, added))


def merged(headers: Iterable[Header], added: Iterable[Header]) -> tuple[Header, ...]:
    added = tuple(added)
    gone = {name.lower() for name, _ in added}
    return (*(one for one in headers if one[0].lower() not in gone), *added)
