"""What a crew answers: its workers' answers as one, with what only the parent knows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twoway.gateway.desk import Reply
from twoway.gateway.merging import merge

if TYPE_CHECKING:
    from twoway.gateway.crew import Crew


class CrewDesk:
    """Asks every worker, those that drain too, and merges; one that is silent is named and holds nobody up for long."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def ask(self, request: dict[str, Any], reply: Reply) -> None:
        crew, act = self._crew, request["do"]
        if act == "restart":
            crew.restart(reply)
        elif act == "reload":
            crew.reload.request(reply)
        elif act == "drain":
            crew.stop()
            reply({"drain": "begun"})
        elif act == "status":
            self.every(request, lambda told: reply(self._complete(told)))
        else:
            self.every(request, reply)

    def every(self, request: dict[str, Any], reply: Reply) -> None:
        """Ask all workers that are ready; `reply` gets the merged answer."""
        workers = [one for one in self._crew.workers.values() if one.ready]
        answers: list[dict[str, Any]] = []

        def one(answer: dict[str, Any]) -> None:
            answers.append(answer)
            if len(answers) == len(workers):
                reply(merge(request["do"], answers))

        if not workers:
            reply(merge(request["do"], answers))
        for worker in workers:
            if worker.silent:
                one({"error": f"worker {worker.pid} does not answer"})
            else:
                worker.ask(request, one)

    def _complete(self, told: dict[str, Any]) -> dict[str, Any]:
        crew = self._crew
        if "error" in told:
            return told
        for listener, failed in zip(told["listeners"], crew.reload.failed, strict=True):
            listener["reloads_failed"] += failed.count
            listener["last_reload_error"] = failed.error or listener["last_reload_error"]
        return {
            "pid": os.getpid(),
            "uptime_seconds": round(crew.loop.now - crew.began, 1),
            "draining": crew.draining,
            "worker_deaths": crew.deaths,
            **told,
            "ready": told["ready"] and not crew.draining,
        }
