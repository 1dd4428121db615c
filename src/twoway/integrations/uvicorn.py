"""The stock uvicorn with our TLS: `--http` takes a protocol, and ours lets in only who is proven.

    TWOWAY_IDENTITY=api uvicorn shop:app --http twoway.integrations.uvicorn:http

    uvicorn.run(app, http=MutualTls(identity="api", allow=["uri=spiffe://acme.example/**"]))

Give uvicorn no `--ssl-…` options: its own TLS does not tell an application who calls. It logs `http://` for that
reason; plain HTTP is answered with a refusal.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config

from twoway.errors import UsageError
from twoway.integrations.engine import Engine
from twoway.integrations.environment import options_from
from twoway.server.options import ServeOptions
from twoway.server.protocols import PeerHttpProtocol, PeerWebSocketProtocol
from twoway.tls import Session, TlsConnection


class _HttpProtocol(PeerHttpProtocol):
    """As under our own server, with uvicorn's access log, and its word about WebSockets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = self.access_logger.hasHandlers()
        if self.ws_protocol_class is not None:
            self.ws_protocol_class = PeerWebSocketProtocol


class MutualTls:
    """What `uvicorn.run(http=…)` takes; options are those of ServeOptions that are about identities.

    Everything is loaded and tried when it is made: raises ConfigError. It pickles, for uvicorn's workers.
    """

    def __init__(self, chosen: ServeOptions | None = None, **options: Any) -> None:
        self._options = chosen or ServeOptions(**options)
        self._engine = Engine(self._protocol, self._options)
        self._arguments: dict[str, Any] = {}

    def __call__(self, **arguments: Any) -> TlsConnection:
        """A connection; uvicorn calls it with what its own protocols are made with."""
        config: Config = arguments["config"]
        if config.is_ssl:
            raise UsageError(
                "uvicorn was given --ssl options and twoway's protocol, and one connection has TLS once",
                "leave the --ssl options out: the identity directory has key and certificate",
            )
        # The same for every connection of one server.
        self._arguments = arguments
        return self._engine()

    def _protocol(self, _: Session) -> asyncio.Protocol:
        return _HttpProtocol(**self._arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return MutualTls, (self._options,)


def __getattr__(name: str) -> MutualTls:
    # Made when uvicorn loads it, so that a wrong identity stops the start.
    if name == "http":
        return MutualTls(options_from())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
