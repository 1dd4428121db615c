"""Errors of calls: each is the twoway error that happened and an httpx2.TransportError in one."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx2

from twoway.errors import ConfigError, PeerError, TwowayError
from twoway.tls import ConnectFailed, TimedOut


class PlainHttpRefused(ConfigError):
    """A call over http:// would show no identity and send everything in clear."""

    code = "plain_http_refused"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"expected an https:// address, got {self.url}: nobody would be proven and all would be in clear"
        )

    @property
    def remedy(self) -> str:
        return "call the https:// address of the service"


class RedirectElsewhere(PeerError):
    """The server redirects to another origin, where the identity was not meant to be shown."""

    code = "redirect_elsewhere"

    def __init__(self, from_origin: str, to_url: str) -> None:
        super().__init__(from_origin, to_url)
        self.from_origin, self.to_url = from_origin, to_url

    def __str__(self) -> str:
        return f"{self.from_origin} redirects to {self.to_url}, another origin, and the identity is not shown there unasked"

    @property
    def remedy(self) -> str:
        return 'call that address yourself if it is right, or allow it: redirect_identity_to=("https://host:port",)'

    @property
    def evidence(self) -> dict[str, object]:
        return {"from": self.from_origin, "to": self.to_url}


@cache
def _both(kind: type[TwowayError]) -> type[Any]:
    """A class that is both: `except twoway.PeerRefused` and `except httpx2.TransportError` each catch it."""
    other: type[httpx2.TransportError] = httpx2.TransportError
    if issubclass(kind, TimedOut):
        other = httpx2.ConnectTimeout
    elif issubclass(kind, ConnectFailed):
        other = httpx2.ConnectError

    def reduce(self: Any) -> Any:
        facts = {name: value for name, value in self.__dict__.items() if name != "_request"}
        return _again, (kind, self.args, facts)

    return type(
        kind.__name__,
        (kind, other),
        {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": reduce},
    )


def as_call_error(error: TwowayError) -> TwowayError:
    """The same error, with its facts, as one that httpx2's own handlers catch too."""
    both: BaseException = error
    if isinstance(both, httpx2.TransportError):
        return error
    return _again(type(error), error.args, error.__dict__)


def _again(kind: type[TwowayError], args: tuple[Any, ...], facts: dict[str, Any]) -> TwowayError:
    both = _both(kind)  # type: ignore[arg-type, unused-ignore]
    found: Any = both.__new__(both, *args)
    found.args = args
    found.__dict__.update(facts)
    found._request = None
    return found  # type: ignore[no-any-return]
