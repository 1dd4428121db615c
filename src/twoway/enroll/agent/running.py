"""The agent as a process: looks at every identity again and again, until a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from twoway.enroll.agent.managed import Asks, Managed
from twoway.enroll.agent.metrics import AgentMetrics, serve_metrics, utc_now
from twoway.enroll.agent.settings import AgentOptions
from twoway.enroll.asking import AuthorityAt
from twoway.server import Journal

# A wall clock is looked at this often, so that a machine that slept, or whose clock was set, notices at once.
TICK_SECONDS = 5.0
_AT_ONCE = 8


class Agent:
    """Everything that one agent keeps. `now` is its clock; `authority` makes whom to ask of an address."""

    def __init__(
        self,
        options: AgentOptions,
        journal: Journal,
        *,
        authority: Callable[[str], Asks] = AuthorityAt,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.options, self._journal, self._now = options, journal, now
        self.metrics = AgentMetrics()
        self.identities = tuple(Managed(one, authority(one.url), self._tell) for one in options.identities)
        self._stop, self._look_now = threading.Event(), threading.Event()

    def turn(self) -> None:
        """One look at every identity, several at a time."""
        now = self._now()
        with ThreadPoolExecutor(min(_AT_ONCE, len(self.identities)), "twoway-agent") as pool:
            for _ in pool.map(lambda one: one.look(now), self.identities):
                pass
        self.metrics.observe(self.identities)

    def run(self) -> None:
        """Until `stop`."""
        server = serve_metrics(self.options.metrics, self.metrics) if self.options.metrics else None
        try:
            self._journal.event("keeping", self._sentence(), identities=len(self.identities))
            while not self._stop.is_set():
                self._look_now.clear()
                self.turn()
                self._look_now.wait(TICK_SECONDS)
        finally:
            if server is not None:
                server.shutdown()
                server.server_close()
        self._journal.event("stopped", "nothing was under way")

    def stop(self) -> None:
        self._stop.set()
        self._look_now.set()

    def look_now(self) -> None:
        self._look_now.set()

    def _sentence(self) -> str:
        names = ", ".join(str(one.directory) for one in self.identities[:5])
        more = len(self.identities) - 5
        return names + (f" and {more} more" if more > 0 else "")

    def _tell(self, name: str, sentence: str, **facts: Any) -> None:
        self.metrics.events.labels(name).inc()
        self._journal.event(name, sentence, **facts)


def run(options: AgentOptions, journal: Journal | None = None) -> None:
    """Keep the identities until SIGTERM or SIGINT; SIGHUP looks at once. Raises ConfigError before it begins."""
    agent = Agent(options, journal or Journal(options.log_format))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    signal.signal(signal.SIGHUP, lambda *_: agent.look_now())
    agent.run()
