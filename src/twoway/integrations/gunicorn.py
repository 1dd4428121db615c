"""gunicorn's processes, our server in each: a worker class for ASGI and WSGI applications alike.

    TWOWAY_IDENTITY=api gunicorn shop:app -k twoway.integrations.gunicorn.PeerWorker

gunicorn binds, forks, watches and restarts; TLS, the peer and HTTP are as with `twoway serve`. Of its settings,
`graceful_timeout`, `keepalive` and `max_requests` hold; give it no `certfile`.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from gunicorn.workers.base import Worker

from twoway.errors import TwowayError, UsageError
from twoway.integrations.environment import options_from
from twoway.server.application import as_asgi
from twoway.server.journal import Journal
from twoway.server.library_log import told_in
from twoway.server.running import Server
from twoway.server.serving import announce, loop_factory
from twoway.tls import LiveServer

_BEAT_SECONDS = 0.5


class PeerWorker(Worker):
    """One process; a SIGHUP to it reloads identity, trust and policy, as a change of their files does."""

    def load_wsgi(self) -> None:
        """Load the application and the identity; a wrong one keeps gunicorn from starting."""
        super().load_wsgi()
        try:
            if self.cfg.is_ssl:
                raise UsageError(
                    "gunicorn was given a certfile and twoway's worker, and one connection has TLS once",
                    "leave certfile and keyfile out: the identity directory has them",
                )
            if len(self.sockets) != 1:
                raise UsageError(f"expected one address to bind, got {len(self.sockets)}", "pass one --bind")
            self._options = options_from(
                drain_seconds=float(self.cfg.graceful_timeout), keep_alive_seconds=int(self.cfg.keepalive)
            )
            self._live = LiveServer(self._options.settings())
        except TwowayError as error:
            self.log.error("twoway: error: %s; hint: %s", error, error.remedy)
            raise

    def run(self) -> None:
        journal = Journal(self._options.log_format, access=self._options.access_log)
        with told_in(journal), asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._story(journal))

    async def _story(self, journal: Journal) -> None:
        sock: Any = self.sockets[0].sock

        def ready() -> None:
            announce(journal, self._options, self._live.current.settings, sock.getsockname()[1])

        server = Server(as_asgi(self.wsgi), self._options, self._live, sock, journal, ready)
        if self.cfg.max_requests > 0:
            server.config.limit_max_requests = self.max_requests
        beat = asyncio.create_task(self._beat(server))
        try:
            await server.serve()
        finally:
            beat.cancel()

    async def _beat(self, server: Server) -> None:
        """Tell gunicorn that this worker lives; end when gunicorn does not."""
        while True:
            self.notify()
            if self.ppid != os.getppid() or not self.alive:
                server.should_exit = True
            await asyncio.sleep(_BEAT_SECONDS)
