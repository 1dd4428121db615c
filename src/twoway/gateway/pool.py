"""Threads for the one thing that a handshake may have to wait for: what an authority says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from twoway.gateway.loop import Loop
from twoway.revocation.inquiry import may_wait

THREADS = 64  # handshakes that wait at a time; the others of these listeners queue behind them


class Pool:
    """Runs work that may wait, and gives what came of it back to the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._threads = ThreadPoolExecutor(THREADS, "twoway-asking")

    def run(self, work: Callable[[], bool], done: Callable[[bool | BaseException], None]) -> None:
        """Call `work` in a thread, then `done` in the loop with its result or its error."""

        def job() -> None:
            outcome: bool | BaseException
            try:
                with may_wait():
                    outcome = work()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
                outcome = error
            self._loop.soon(lambda: done(outcome))

        self._threads.submit(job)

    def close(self) -> None:
        """Take no more work; what runs ends within the limit of its question."""
        self._threads.shutdown(wait=False, cancel_futures=True)
