"""Errors of calls: each is the twoway error that happened and an httpx2.TransportError in one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpcore2
import httpx2

from twoway.errors import ConfigError, NetworkError, PeerError, TwowayError
from twoway.tls import ConnectFailed, ConnectionBroke, TimedOut


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


class AnswerBroken(PeerError):
    """What came back is no HTTP answer."""

    code = "answer_broken"

    def __init__(self, target: str, detail: str) -> None:
        super().__init__(target, detail)
        self.target, self.detail = target, detail

    def __str__(self) -> str:
        return f"expected an HTTP answer of {self.target}, got something else: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "check that an HTTP server answers at that port, and whether something between cuts answers short"
        )


class NoFreeConnection(NetworkError):
    """All connections that the limits allow stayed in use."""

    code = "no_free_connection"

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def __str__(self) -> str:
        return f"no connection to {self.target} became free in time"

    @property
    def remedy(self) -> str:
        return "close responses that are read, or raise limits=httpx2.Limits(max_connections=…)"


class AddressUnusable(ConfigError):
    """The address is none that can be called."""

    code = "address_unusable"

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(url, detail)
        self.url, self.detail = url, detail

    def __str__(self) -> str:
        return f"expected an https:// address, got {self.url}: {self.detail}"

    @property
    def remedy(self) -> str:
        return "write it whole: https://host:port/path"


@contextmanager
def naming(target: str) -> Iterator[None]:
    """Errors in here remember which address could not be reached: through a proxy it is the proxy's."""
    try:
        yield
    except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
        error.twoway_target = target  # type: ignore[attr-defined, union-attr, unused-ignore]
        raise


@contextmanager
def typed(request: httpx2.Request) -> Iterator[None]:
    """Every error of the transport leaves as a TwowayError that is the httpx2 error too."""
    try:
        yield
    except httpx2.TransportError as error:
        if isinstance(error, TwowayError):
            raise
        found = _typed(error, request)
        if found is None:
            raise
        raise as_call_error(found, type(error)) from error


def _typed(error: httpx2.TransportError, request: httpx2.Request) -> TwowayError | None:
    url = request.url
    target = getattr(error.__cause__, "twoway_target", f"{url.host}:{url.port or 443}")
    seconds = request.extensions.get("timeout", {})
    if isinstance(error, httpx2.ConnectTimeout):
        return TimedOut(f"connecting to {target}", seconds.get("connect") or 0)
    if isinstance(error, httpx2.PoolTimeout):
        return NoFreeConnection(target)
    if isinstance(error, httpx2.ReadTimeout):
        return TimedOut(f"the answer of {target}", seconds.get("read") or 0)
    if isinstance(error, httpx2.WriteTimeout):
        return TimedOut(f"sending to {target}", seconds.get("write") or 0)
    if isinstance(error, httpx2.ConnectError):
        return ConnectFailed(target, _reason(error))
    if isinstance(error, httpx2.RemoteProtocolError):
        return AnswerBroken(target, str(error))
    if isinstance(error, httpx2.ProxyError):
        return ConnectFailed(target, f"the proxy says {error}")
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
        return AddressUnusable(str(url.copy_with(userinfo=None)), str(error))
    if isinstance(error, httpx2.NetworkError):
        return ConnectionBroke(target, str(error) or "reset by the other side")
    return None


def _reason(error: BaseException) -> str:
    """The operating system's words, from the innermost cause that has some."""
    found = str(error)
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            found = seen.strerror
        seen = seen.__cause__ or seen.__context__
    return found or "no reason given"


@cache
def _both(kind: type[TwowayError], other: type[httpx2.TransportError]) -> type[Any]:
    """A class that is both: `except twoway.PeerRefused` and `except httpx2.TransportError` each catch it."""

    def reduce(self: Any) -> Any:
        facts = {name: value for name, value in self.__dict__.items() if name != "_request"}
        return _again, (kind, other, self.args, facts)

    return type(
        kind.__name__,
        (kind, other),
        {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": reduce},
    )


def as_call_error(error: TwowayError, other: type[httpx2.TransportError] | None = None) -> TwowayError:
    """The same error, with its facts, as one that httpx2's own handlers catch too.

    `other` is the httpx2 error that it is as well, by default the one that fits its kind.
    """
    both: BaseException = error
    if isinstance(both, httpx2.TransportError):
        return error
    return _again(type(error), other or _fitting(error), error.args, error.__dict__)


def _fitting(error: TwowayError) -> type[httpx2.TransportError]:
    if isinstance(error, TimedOut):
        return httpx2.ConnectTimeout
    return httpx2.ConnectError if isinstance(error, ConnectFailed) else httpx2.TransportError


def _again(
    kind: type[TwowayError], other: type[httpx2.TransportError], args: tuple[Any, ...], facts: dict[str, Any]
) -> TwowayError:
    both = _both(kind, other)  # type: ignore[arg-type, unused-ignore]
    found: Any = both.__new__(both, *args)
    found.args = args
    found.__dict__.update(facts)
    found._request = None
    return found  # type: ignore[no-any-return]
