"""Keeps a listener up to date: what it shows, whom it believes, and who may stay connected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from twoway.errors import TwowayError
from twoway.server.journal import Journal
from twoway.server.options import ServeOptions
from twoway.tls import Listener, LiveServer, ServerSettings
from twoway.tls.reload import FileWatch

WATCH_SECONDS = 1.0
SETTLE_SECONDS = 2.0  # how long files that are being replaced may contradict each other
_RETRY_SECONDS = 0.1


class Upkeep:
    """Reloads when files change or somebody asks, and judges open connections again; for one event loop."""

    def __init__(
        self,
        live: LiveServer,
        options: ServeOptions,
        journal: Journal,
        settings: Callable[[], ServerSettings] | None = None,
    ) -> None:
        self.live, self.options, self.journal = live, options, journal
        self._settings = settings or options.settings
        self.asked = asyncio.Event()
        self._watch = FileWatch(options.watched())

    async def run(self, listener: Listener, tick: Callable[[float], None] = lambda _: None) -> None:
        """Look once a second, until cancelled; `tick` is called each time, with the loop's time."""
        loop = asyncio.get_running_loop()
        judged = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.asked.wait(), WATCH_SECONDS)
            tick(loop.time())
            if loop.time() - judged > self.options.rejudge_seconds:
                judged = loop.time()
                listener.reauthorize()
            asked = self.asked.is_set()
            self.asked.clear()
            if await asyncio.to_thread(self._watch.changed) or asked:
                await self.reload(listener)

    async def reload(self, listener: Listener) -> bool:
        """Build, try and swap in a new generation, then judge the open connections by it; False if that failed.

        Key and certificate are replaced one after the other: what contradicts itself is tried again for two
        seconds before it is called wrong. The old generation serves meanwhile, and afterwards if need be.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + SETTLE_SECONDS
        while True:
            try:
                generation = await asyncio.to_thread(self.live.reload, self._settings)
                break
            except TwowayError as error:
                if loop.time() < end:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                self.journal.fault("reload-failed", "the old configuration keeps serving", error)
                return False
            except Exception as error:  # noqa: BLE001 - whatever it is, what serves keeps serving
                self.journal.fault("reload-failed", "the old configuration keeps serving", error)
                return False
        cut = listener.reauthorize()
        self.journal.event(
            "reloaded",
            f"generation {generation.number} serves; {cut} connections were cut",
            generation=generation.number,
            cut=cut,
        )
        return True
