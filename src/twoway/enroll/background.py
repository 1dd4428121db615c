"""The service in a thread with an event loop of its own, for tests and scripts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from twoway.authority import Authority
from twoway.enroll.options import ServiceOptions
from twoway.enroll.running import Running, running
from twoway.server import Journal
from twoway.server.serving import loop_factory


@contextlib.contextmanager
def background(
    authority: Authority, options: ServiceOptions, journal: Journal | None = None, **more: Any
) -> Iterator[Running]:
    """Serve while the block runs; what `running` raises is raised here."""
    ready = threading.Event()
    box: dict[str, Any] = {}

    async def story() -> None:
        box["stop"], box["loop"] = asyncio.Event(), asyncio.get_running_loop()
        async with running(authority, options, journal, **more) as found:
            box["running"] = found
            ready.set()
            await box["stop"].wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(story())
        except BaseException as error:  # noqa: BLE001 - raised again where the service was asked for
            box["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="twoway-service")
    thread.start()
    ready.wait()
    try:
        if "error" not in box:
            yield box["running"]
    finally:
        with contextlib.suppress(RuntimeError, KeyError):
            box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join()
        if "error" in box:
            raise box["error"]
