"""Asks every worker again and again whether it is there: for the service manager, and for who waits at its socket."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twoway.gateway.worker import Worker

if TYPE_CHECKING:
    from twoway.gateway.crew import Crew

BEAT_SECONDS = 5.0


class Pulse:
    """Feeds the watchdog only when all have answered. One that is silent is told in the log, once, and covered for.

    It is not killed: what it holds may be well, and a service manager that should end it has a watchdog for that.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._seconds = min(BEAT_SECONDS, crew.notifier.watchdog_seconds / 2 or BEAT_SECONDS)

    def beat(self) -> None:
        """Ask now, and from now on."""
        crew = self._crew
        workers = [one for one in crew.workers.values() if one.ready]
        waiting = {one.pid for one in workers}
        silent: list[int] = []

        def answered(worker: Worker, answer: dict[str, Any]) -> None:
            waiting.discard(worker.pid)
            if "error" in answer:
                silent.append(worker.pid)
            self._heard(worker, "error" not in answer)
            if not waiting and not silent:
                crew.notifier.alive()

        for worker in workers:
            worker.ask({"do": "ping"}, partial(answered, worker))
        crew.loop.later(self._seconds, self.beat)

    def _heard(self, worker: Worker, answers: bool) -> None:
        if worker.silent is not answers or worker.pid not in self._crew.workers:
            return
        worker.silent = not answers
        told = "answers again" if answers else "does not answer; the others look after its sockets"
        self._crew.journal.event("worker", f"{worker.pid} {told}", pid=worker.pid)
        self._crew.share_out()
