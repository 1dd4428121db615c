"""A gRPC channel with an identity: `OrdersStub(Channel("orders", "api.acme.example:8443"))`.

Credentials of gRPC are bytes that a channel keeps for its life. So this channel has another beneath it for each state of
the identity: a call that begins goes over the newest, and those under way end on the one they began on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import TwowayError
from twoway.tls import NotExpressible, trust_of
from twoway.tls.reload import FileWatch, files_of
from twoway.trust import Trust

log = logging.getLogger("twoway.client")

CHECK_SECONDS = 1.0


def credentials(
    identity: Credential | str | Path,
    *,
    trust: Trust | str | Path | None = None,
    passphrase: Passphrase = None,
) -> grpc.ChannelCredentials:
    """What an identity is now, for `grpc.secure_channel` and `grpc.aio.secure_channel`: from memory, and for good.

    `trust` defaults to the anchors beside the identity. Raises ConfigError; revocation lists raise NotExpressible, for
    gRPC in Python takes none.
    """
    credential = (
        identity if isinstance(identity, Credential) else Credential.load(identity, passphrase=passphrase)
    )
    believed = (
        trust if isinstance(trust, Trust) else trust_of(credential) if trust is None else Trust.load(trust)
    )
    if believed.crls:
        raise NotExpressible("revocation lists", "credentials of gRPC have no place for them")
    return grpc.ssl_channel_credentials(
        b"".join(anchor.public_bytes(Encoding.PEM) for anchor in believed.anchors),
        credential.key_pem(),
        credential.certificate_pem(),
    )


class Channel(grpc.Channel):
    """A `grpc.Channel` whose calls each begin over a channel of what the identity directory holds then.

    The files are looked at once a second at the most; what cannot be loaded leaves the channel of before in use, and
    the log says why. `options` and `compression` are gRPC's. A subscription to connectivity is to the channel of its
    time.
    """

    def __init__(
        self,
        identity: Credential | str | Path,
        target: str,
        *,
        trust: Trust | str | Path | None = None,
        passphrase: Passphrase = None,
        options: Sequence[tuple[str, Any]] | None = None,
        compression: grpc.Compression | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def connect() -> grpc.Channel:
            shown = credentials(identity, trust=trust, passphrase=passphrase)
            # Without a pool of its own a channel may share the connection of another with the same credentials.
            own = (*(options or ()), ("grpc.use_local_subchannel_pool", 1))
            return grpc.secure_channel(target, shown, own, compression)

        self._connect, self._clock, self._lock = connect, clock, Lock()
        self._watch = FileWatch(files_of(identity, trust))
        self._current = connect()
        self._next_check = clock() + CHECK_SECONDS

    def current(self) -> grpc.Channel:
        """The channel over which a call that begins now goes."""
        with self._lock:
            now = self._clock()
            if self._watch.paths and now >= self._next_check:
                self._next_check = now + CHECK_SECONDS
                if self._watch.changed():
                    self._renew()
            return self._current

    def _renew(self) -> None:
        try:
            # The old one is not closed, which would cancel its calls: the last of them lets go of it.
            self._current = self._connect()
        except TwowayError as error:
            self._watch.look_again()
            log.error(
                "the identity was not reloaded, the old one stays in use: %s; remedy: %s", error, error.remedy
            )

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        return _Method(self, "unary_unary", arguments, named)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        return _Method(self, "unary_stream", arguments, named)

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        return _Method(self, "stream_unary", arguments, named)

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        return _Method(self, "stream_stream", arguments, named)

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        self.current().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._current.unsubscribe(callback)

    def close(self) -> None:
        self._current.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Method:
    """One method of a stub, made anew for each channel that its calls go over."""

    def __init__(self, over: Channel, kind: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._over, self._kind, self._arguments, self._named = over, kind, arguments, named
        self._made: tuple[grpc.Channel, Any] | None = None

    def _now(self) -> Any:
        current, made = self._over.current(), self._made
        if made is None or made[0] is not current:
            made = current, getattr(current, self._kind)(*self._arguments, **self._named)
            self._made = made
        return made[1]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._now()(*arguments, **named)

    def with_call(self, *arguments: Any, **named: Any) -> Any:
        return self._now().with_call(*arguments, **named)

    def future(self, *arguments: Any, **named: Any) -> Any:
        return self._now().future(*arguments, **named)
