"""Our TLS below somebody else's asyncio server: it makes the protocol, we let in whom it is for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from twoway.server.journal import Journal
from twoway.server.options import ServeOptions
from twoway.server.upkeep import Upkeep
from twoway.tls import Listener, LiveServer, ServerSettings, Session, TlsConnection


class Engine:
    """A protocol factory for `loop.create_server`, with policy, reload, and refusals that are told.

    `application` makes the protocol for a proven connection. Everything is loaded and tried here: raises ConfigError
    before anybody is served. `settings` loads it, again at every reload. It works in the event loop in which it is
    first called or started.
    """

    def __init__(
        self,
        application: Callable[[Session], asyncio.Protocol],
        options: ServeOptions,
        journal: Journal | None = None,
        settings: Callable[[], ServerSettings] | None = None,
    ) -> None:
        self.options = options
        self.journal = journal or Journal(options.log_format, access=False)
        self._settings = settings or options.settings
        self.live = LiveServer(self._settings())
        self._application = application
        self._listener: Listener | None = None
        self._upkeep: asyncio.Task[None] | None = None

    def __call__(self) -> TlsConnection:
        return self.start()()

    def start(self) -> Listener:
        """The listener of this event loop; it is looked after from now on."""
        if self._listener is None:
            self._listener = Listener(
                self.live, self._application, refused=self.journal.refused, limits=self.options.limits
            )
            upkeep = Upkeep(self.live, self.options, self.journal, self._settings)
            self._upkeep = self._listener.loop.create_task(upkeep.run(self._listener))
        return self._listener

    async def stop(self) -> None:
        """End the upkeep, and the connections that have proven nothing yet."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._upkeep
        if self._listener is not None:
            self._listener.abort_handshakes()
