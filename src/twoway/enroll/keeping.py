"""What a running service does by itself: renews its certificate, reads changed files, keeps CRLs ahead of time."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING

from twoway.authority.publishing import Edition
from twoway.errors import TwowayError

if TYPE_CHECKING:
    from twoway.enroll.running import Running

TICK_SECONDS = 2.0
TELL_AGAIN = datetime.timedelta(minutes=5)
_FORGET = datetime.timedelta(hours=1)


class Keeper:
    """Sees to everything at each turn; what fails stops nothing else, is told, and is tried again."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._told: dict[str, tuple[str, datetime.datetime]] = {}
        self._forgotten = datetime.datetime.fromtimestamp(0, datetime.UTC)
        self._duties: tuple[tuple[str, Callable[[datetime.datetime], None]], ...] = (
            ("roles", lambda _: running.service.roles.refresh()),
            ("issuing CA", lambda _: running.service.authority.cas.reload()),
            ("own certificate", self._renew),
            ("CRL", self._lists),
            ("spent tokens", self._tokens),
        )
        self.renewed = False
        """Whether the service has a certificate that its port does not show yet."""

    def turn(self) -> None:
        """Do what is due; blocks."""
        now = self._running.service.now()
        for name, duty in self._duties:
            try:
                duty(now)
                self._told.pop(name, None)
            except Exception as error:  # noqa: BLE001 - the service goes on, and says what happened
                self._tell(name, error, now)

    def _renew(self, now: datetime.datetime) -> None:
        running = self._running
        if running.own.renew(now):
            self.renewed = True
            until = running.own.current.not_after
            running.service.journal.event("renewed", f"own certificate until {until:%Y-%m-%d %H:%M} UTC")
        running.service.metrics.own_not_after.set(running.own.current.not_after.timestamp())

    def _lists(self, now: datetime.datetime) -> None:
        service = self._running.service

        def told(ca: str, edition: Edition) -> None:
            service.metrics.crl_next_update.labels(ca).set(edition.next_update.timestamp())
            service.journal.event(
                "crl", f"{ca}: number {edition.number}, until {edition.next_update:%Y-%m-%d %H:%M} UTC"
            )

        service.lists.refresh(now, told)

    def _tokens(self, now: datetime.datetime) -> None:
        if now - self._forgotten > _FORGET:
            self._running.service.tokens.forget(now)
            self._forgotten = now

    def _tell(self, duty: str, error: Exception, now: datetime.datetime) -> None:
        """Say it once, and again every few minutes while it lasts."""
        sentence, at = self._told.get(duty, ("", now))
        if sentence == str(error) and now - at < TELL_AGAIN:
            return
        self._told[duty] = (str(error), now)
        service = self._running.service
        service.journal.fault("keeping", f"{duty}: not done, and tried again", error)
        if not isinstance(error, TwowayError):
            service.report(error)


async def keep(keeper: Keeper, running: Running) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            await running.service.run(keeper.turn)
        except TwowayError as error:  # overloaded: those who wait come first
            running.service.journal.fault("keeping", "this turn is left out", error)
        if keeper.renewed:
            keeper.renewed = False
            running.server.request_reload()
