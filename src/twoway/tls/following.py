"""A client's `ssl.SSLContext` that keeps up with the files it was made of, for libraries that hold one for good.

A context in use is never changed: a bad `load_cert_chain` leaves it without a usable pair, and what was begun with
the old certificate must not go on with the new one. So each new state of the files is a context of its own, and
this one only hands out connections of the newest.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from twoway.errors import TwowayError, UsageError
from twoway.tls.reload import FileWatch

log = logging.getLogger("twoway.tls")

CHECK_SECONDS = 1.0
Load = Callable[[], ssl.SSLContext]


class FollowingContext(ssl.SSLContext):
    """Each new connection is made by a context of what the files hold now; made by `client_context`.

    The files are looked at once a second at the most. What cannot be loaded leaves the context of before in use, and
    the log says why. Whom it believes and what it presents is settled: to turn verification off, to add authorities
    or another certificate raises UsageError. Everything else that is set (ALPN, ciphers, …) holds for later
    connections too. A library that goes past `wrap_socket` and `wrap_bio` finds a context that trusts nobody.
    """

    _watch: FileWatch

    def __new__(cls, *_: Any, **__: Any) -> FollowingContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self, load: Load, files: tuple[Path, ...], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load, self._clock, self._lock = load, clock, Lock()
        self._wishes: dict[str, Callable[[ssl.SSLContext], None]] = {}
        self._watch = FileWatch(files)
        self._current = load()
        self._next_check = clock() + CHECK_SECONDS
        for name in ("minimum_version", "options", "verify_flags"):
            super().__setattr__(name, getattr(self._current, name))

    # -- which context it is ---------------------------------------------------------------------------

    def current(self) -> ssl.SSLContext:
        """The context of what the files hold now, or of what they last held that could be loaded."""
        now = self._clock()
        if self._watch.paths and now >= self._next_check:
            with self._lock:
                if now >= self._next_check:
                    self._next_check = now + CHECK_SECONDS
                    if self._watch.changed():
                        self._reload()
        return self._current

    def is_current(self, connection: object) -> bool:
        """Whether a connection presented what is presented now: pools retire those that did not.

        `connection` is an ssl.SSLSocket or ssl.SSLObject, or anything that holds one as `sslobj`; what has no
        context, such as a plain socket, counts as current.
        """
        made_by = getattr(getattr(connection, "sslobj", connection), "context", None)
        return made_by is None or made_by is self.current()

    def _reload(self) -> None:
        try:
            new = self._load()
        except TwowayError as error:
            self._watch.look_again()
            log.error(
                "the identity was not reloaded, the old one stays in use: %s; remedy: %s", error, error.remedy
            )
            return
        for wish in self._wishes.values():
            wish(new)
        self._current = new

    # -- connections -----------------------------------------------------------------------------------

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        return self.current().wrap_socket(*arguments, **named)

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        return self.current().wrap_bio(*arguments, **named)

    # -- what a library may set ------------------------------------------------------------------------

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self._wish("alpn", lambda context: context.set_alpn_protocols(alpn_protocols))

    def set_ciphers(self, cipherlist: str, /) -> None:
        self._wish("ciphers", lambda context: context.set_ciphers(cipherlist))

    def _wish(self, name: str, wish: Callable[[ssl.SSLContext], None]) -> None:
        with self._lock:
            wish(self._current)
            self._wishes[name] = wish

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            if (name in ("verify_mode", "check_hostname") and value != getattr(self, name)) or (
                name == "verify_flags" and self.verify_flags & ~value
            ):
                raise _settled(f"{name} = {value!r}")
            self._wish(name, lambda context: setattr(context, name, value))
        super().__setattr__(name, value)

    def load_cert_chain(self, *_: Any, **__: Any) -> None:
        raise _settled("another certificate")

    def load_verify_locations(self, *_: Any, **__: Any) -> None:
        raise _settled("more authorities")

    def load_default_certs(self, *_: Any, **__: Any) -> None:
        raise _settled("the system's roots")

    def set_default_verify_paths(self) -> None:
        raise _settled("the system's roots")

    # -- what a library may ask ------------------------------------------------------------------------

    def get_ca_certs(self, *arguments: Any, **named: Any) -> Any:
        return self.current().get_ca_certs(*arguments, **named)

    def cert_store_stats(self) -> dict[str, int]:
        return self.current().cert_store_stats()

    def get_ciphers(self) -> Any:
        return self.current().get_ciphers()


def _settled(what: str) -> UsageError:
    return UsageError(
        f"a context of twoway does not take {what}: whom it believes and what it presents was settled when it was made",
        "make it with twoway.client_context(identity, trust=…), and leave verify, cert and ca_certs to it",
    )
