"""Reload for all workers: the parent builds and tries a generation first, and only what it could load is sent on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twoway.errors import TwowayError
from twoway.gateway.desk import Reply
from twoway.gateway.reloading import RETRY_SECONDS
from twoway.server.upkeep import SETTLE_SECONDS, WATCH_SECONDS
from twoway.tls.reload import FileWatch

if TYPE_CHECKING:
    from twoway.gateway.crew import Crew


@dataclass(slots=True)
class Failed:
    """What went wrong for one listener: how often, and what it was if the last time went wrong."""

    count: int = 0
    error: str = ""


class CrewReload:
    """In the parent's own loop, which carries no connections: it may take its time.

    A worker that is forked later begins with what the parent has loaded, so the parent loads too. Each listener
    stands for itself: one that cannot be loaded keeps its old generation, in the parent and in every worker.
    """

    def __init__(self, crew: Crew, watch: FileWatch) -> None:
        self._crew, self._watch = crew, watch
        self.failed = [Failed() for _ in crew.materials]
        self._replies: list[Reply] = []
        self._left: dict[int, BaseException | None] = {}
        self._until = 0.0
        self._busy = False

    def watch(self) -> None:
        """Look at the files once a second from now on."""
        if self._crew.draining:
            return
        if self._watch.changed():
            self.request()
        self._crew.loop.later(WATCH_SECONDS, self.watch)

    def request(self, reply: Reply = lambda _: None) -> None:
        """Load everything anew now; `reply` is called when every worker has answered."""
        self._replies.append(reply)
        if self._busy:
            return
        self._busy = True
        self._watch.changed()  # what has changed until now is loaded now
        self._crew.notifier.reloading()
        self._left = dict.fromkeys(range(len(self._crew.materials)))
        self._until = self._crew.loop.now + SETTLE_SECONDS
        self._load()

    def _load(self) -> None:
        """Key and certificate are replaced one after the other, so try for two seconds."""
        again = False
        for number in tuple(self._left):
            try:
                self._crew.materials[number].reload()
            except Exception as error:  # noqa: BLE001 - whatever it is, what serves keeps serving
                self._left[number] = error
                again = again or isinstance(error, TwowayError)
            else:
                del self._left[number]
                self.failed[number].error = ""
        if again and self._crew.loop.now < self._until and not self._crew.draining:
            self._crew.loop.later(RETRY_SECONDS, self._load)
            return
        self._send_on()

    def _send_on(self) -> None:
        listeners = self._crew.options.listeners
        errors: dict[str, str] = {}
        for number, error in self._left.items():
            assert error is not None
            name = listeners[number].name or str(listeners[number].listen)
            told = errors[name] = str(error) or type(error).__name__
            self.failed[number].count += 1
            self.failed[number].error = told
            self._crew.journal.fault("reload-failed", f"{name}: the old configuration keeps serving", error)
        good = [number for number in range(len(listeners)) if number not in self._left]
        if good and self._crew.workers:
            self._crew.desk.every({"do": "reload", "only": good}, lambda told: self._over(told, errors))
        else:
            self._over({"errors": {}}, errors)

    def _over(self, told: dict[str, Any], errors: dict[str, str]) -> None:
        behind = told["errors"] if "errors" in told else {"workers": told["error"]}
        for name, error in behind.items():
            self._crew.journal.event(
                "reload-incomplete",
                f"{name}: not every worker has the new generation: {error}",
                listener=name,
            )
        errors = {**errors, **behind}
        self._busy = False
        replies, self._replies = self._replies, []
        trouble = f"; the last reload failed: {next(iter(errors.values()))}" if errors else ""
        self._crew.notifier.ready(self._crew.sentence() + trouble)
        for reply in replies:
            reply({"reload": "failed" if errors else "done", "errors": errors})
