"""Reload by generation, in a thread of its own: what serves keeps serving until the new one is built and tried."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twoway.errors import TwowayError
from twoway.gateway.frontend import Frontend
from twoway.gateway.loop import Loop
from twoway.server.journal import Journal
from twoway.server.upkeep import SETTLE_SECONDS, WATCH_SECONDS
from twoway.tls.reload import FileWatch

RETRY_SECONDS = 0.1


class Reloader:
    """Watches the files of these listeners, where `watch` says so, and loads everything anew when asked."""

    def __init__(
        self, frontends: list[Frontend], loop: Loop, journal: Journal, *, watch: bool = True
    ) -> None:
        self._frontends, self._loop, self._journal = frontends, loop, journal
        paths = (path for one in frontends for path in one.options.watched()) if watch else ()
        self._watch, self._pause = FileWatch(paths), WATCH_SECONDS if watch else None
        self._asked, self._leaving = threading.Event(), threading.Event()
        self._lock = threading.RLock()  # a signal handler may interrupt its holder
        self._replies: list[Callable[[dict[str, Any]], None]] = []
        self._wanted: set[int] = set()
        self._thread = threading.Thread(target=self._work, name="twoway-reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._leaving.set()
        self._asked.set()
        self._thread.join()

    def request(
        self, reply: Callable[[dict[str, Any]], None] | None = None, *, only: Sequence[int] | None = None
    ) -> None:
        """Load anew now, every listener or those with these numbers; `reply` is called in the loop's thread."""
        with self._lock:
            if reply is not None:
                self._replies.append(reply)
            self._wanted |= set(range(len(self._frontends)) if only is None else only)
        self._asked.set()

    def _work(self) -> None:
        while not self._leaving.is_set():
            self._asked.wait(self._pause)
            if self._leaving.is_set():
                return
            self._asked.clear()
            with self._lock:
                replies, self._replies = self._replies, []
                wanted, self._wanted = self._wanted, set()
            if self._watch.changed():
                wanted = set(range(len(self._frontends)))
            if not wanted:
                continue
            chosen = [one for number, one in enumerate(self._frontends) if number in wanted]
            errors = {one.name: error for one in chosen if (error := self._reload(one))}
            answer: dict[str, Any] = {"reload": "failed" if errors else "done", "errors": errors}
            for reply in replies:
                self._loop.soon(partial(reply, answer))

    def _reload(self, frontend: Frontend) -> str:
        """Key and certificate are replaced one after the other, so try for two seconds. What went wrong, or ""."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                frontend.material.reload()
            except Exception as error:  # noqa: BLE001 - whatever it is, what serves keeps serving
                if isinstance(error, TwowayError) and time.monotonic() < end and not self._leaving.is_set():
                    time.sleep(RETRY_SECONDS)
                    continue
                self._loop.soon(partial(self._failed, frontend, error))
                return str(error) or type(error).__name__
            self._loop.soon(partial(self._done, frontend))
            return ""

    def _done(self, frontend: Frontend) -> None:
        cut = frontend.reauthorize()
        frontend.tally.reloads += 1
        frontend.tally.last_reload_error = ""
        number = frontend.material.number
        self._journal.event(
            "reloaded", f"{frontend.name}: generation {number} serves; {cut} connections were cut",
            listener=frontend.name, generation=number, cut=cut,
        )  # fmt: skip

    def _failed(self, frontend: Frontend, error: BaseException) -> None:
        frontend.tally.reloads_failed += 1
        frontend.tally.last_reload_error = str(error)
        self._journal.fault("reload-failed", f"{frontend.name}: the old configuration keeps serving", error)
