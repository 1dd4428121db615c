"""What a running service does by itself: renews its certificate, reads changed files, keeps CRLs ahead of time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from twoway.errors import TwowayError

if TYPE_CHECKING:
    from twoway.enroll.running import Running

TICK_SECONDS = 2.0


async def keep(running: Running) -> None:
    """Until cancelled. What fails is told, and tried again at the next turn."""
    service = running.service
    while True:
        try:
            if await service.run(lambda: turn(running)):
                running.server.request_reload()
        except TwowayError as error:
            service.journal.fault("keeping", "what was due could not be done and is tried again", error)
        except Exception as error:  # noqa: BLE001 - the service goes on, and says what happened
            service.journal.fault("keeping", "what was due could not be done and is tried again", error)
            service.report(error)
        await asyncio.sleep(TICK_SECONDS)


def turn(running: Running) -> bool:
    """One look at everything; whether the service has a new certificate of its own."""
    service = running.service
    service.roles.refresh()
    service.authority.cas.reload()
    renewed = running.own.renew(service.now())
    service.metrics.own_not_after.set(running.own.current.not_after.timestamp())
    if renewed:
        service.journal.event(
            "renewed", f"own certificate until {running.own.current.not_after:%Y-%m-%d %H:%M} UTC"
        )
    return renewed
