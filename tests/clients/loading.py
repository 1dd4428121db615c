"""Calls from several threads, while the identity that they show is renewed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

THREADS = 4
SECONDS = 20.0


@dataclass
class Load:
    """What many calls came back with: for each, whose certificate the server saw and on which connection."""

    call: Callable[[], tuple[str, object]]
    answers: list[tuple[str, object]] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._until, self._done = time.monotonic() + SECONDS, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def _run(self) -> None:
        try:
            while not self._done.is_set() and time.monotonic() < self._until:
                self.answers.append(self.call())
        except BaseException as error:
            self.faults.append(error)

    def wait_for(self, times: int, who: str) -> None:
        """Until so many answers were to this certificate; fails when that takes too long."""
        while sum(1 for seen, _ in list(self.answers) if seen == who) < times and not self.faults:
            assert time.monotonic() < self._until, f"{len(self.answers)} answers, and too few to {who}"
            self._done.wait(0.01)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def connections(self, who: str) -> set[object]:
        return {connection for seen, connection in self.answers if seen == who}
