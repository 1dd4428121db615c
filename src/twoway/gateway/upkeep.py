"""The thread that keeps what authorities say current, ahead of need and away from every handshake."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from twoway.errors import TwowayError
from twoway.gateway.checks import Checks
from twoway.server.journal import Journal

if TYPE_CHECKING:
    from twoway.gateway.frontend import Frontend

_LONGEST_SLEEP = 5.0
_TELL_EVERY = 3600.0
LOOK_UP_SECONDS = 30.0  # the names of targets; of one that is down in every turn
_SHORT = 0.2  # of a list's life; what is left of it when we begin to say so (fetching begins at 0.25)


class Upkeep:
    """One for each process; one of several workers `fetches` lists for all. A list that has changed on disk is noticed by the reload, like any other file."""

    def __init__(self, frontends: list[Frontend], journal: Journal, *, fetches: bool = True) -> None:
        self._frontends, self._journal, self._fetches = frontends, journal, fetches
        self._leaving = threading.Event()
        self._told: dict[tuple[str, str], float] = {}
        self._look_up_at = 0.0
        self._thread = threading.Thread(target=self._run, name="twoway-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the fetch that runs, if one does; does not wait for it."""
        self._leaving.set()

    def hurry(self) -> None:
        """Fetch all lists, and look all names up, again as soon as may be; for every thread."""
        self._look_up_at = 0.0
        for frontend in self._frontends:
            for checks in frontend.material.checks:
                for source in checks.sources:
                    source.hurry()

    def _run(self) -> None:
        while not self._leaving.is_set():
            try:
                self.turn(time.time())
            except Exception as error:  # noqa: BLE001 - whatever it is, the next turn comes
                self._journal.fault("internal-error", "keeping revocation current", error)
            self._leaving.wait(_LONGEST_SLEEP)

    def turn(self, now: float) -> None:
        """Do what is due at `now` (seconds since 1970)."""
        for frontend in self._frontends:
            for checks in frontend.material.checks:
                if self._fetches:
                    self._fetch(frontend, checks, now)
                    self._warn(frontend, checks, now)
                self._staple(frontend, checks, now)
        every = now >= self._look_up_at
        if every:
            self._look_up_at = now + LOOK_UP_SECONDS
        for frontend in self._frontends:
            self._look_up(frontend, every=every)
            self._ask_again(frontend, time.monotonic() + _LONGEST_SLEEP)

    def _look_up(self, frontend: Frontend, *, every: bool) -> None:
        """A target's name may lead elsewhere by now."""
        backend = frontend.backend
        for target in backend.targets:
            if target.called.is_name and (every or not target.is_up):
                before, found = target.places, target.look_up()
                if found is not before:
                    frontend.loop.soon(partial(backend.moved, target, found))

    def _fetch(self, frontend: Frontend, checks: Checks, now: float) -> None:
        for source in checks.sources:
            if source.due() > now:
                continue
            server = frontend.material.server
            if server is not None:
                for context in (server.current.default, *(one for _, one in server.current.named)):
                    source.met(context.chains.intermediates())
            try:
                changed = source.refresh(now)
            except TwowayError as error:
                span = source.cache.span()
                left = f"the present one holds for {_hours(span[1] - now)}" if span else "there is none"
                self._journal.fault("crl-fetch-failed", f"{frontend.name}: {source.url}; {left}", error)
                continue
            if changed:
                self._journal.event(
                    "crl-fetched", f"{frontend.name}: a new list from {source.url}",
                    listener=frontend.name, url=str(source.url),
                )  # fmt: skip

    def _staple(self, frontend: Frontend, checks: Checks, now: float) -> None:
        stapler, credential = checks.stapler, checks.credential
        if stapler is None or credential is None or stapler.due(credential.chain[0]) > now:
            return
        try:
            changed = stapler.refresh(credential.chain, credential.anchors, now)
        except TwowayError as error:
            until = stapler.until(credential.chain[0])
            left = (
                f"the present one holds for {_hours(until.timestamp() - now)}" if until else "there is none"
            )
            self._journal.fault("staple-failed", f"{frontend.name}: the answer to staple; {left}", error)
            return
        if changed:
            until = stapler.until(credential.chain[0])
            self._journal.event(
                "staple-fetched", f"{frontend.name}: the answer to staple holds until {until:%Y-%m-%d %H:%M} UTC",
                listener=frontend.name, until=until,
            )  # fmt: skip

    def _warn(self, frontend: Frontend, checks: Checks, now: float) -> None:
        """Say once an hour that a list is about to end, or has ended, and what that will mean."""
        for crl in checks.trust.crls if checks.trust is not None else ():
            end = crl.next_update_utc
            if end is None or not self._is_short(crl.last_update_utc.timestamp(), end.timestamp(), now):
                continue
            issuer = crl.issuer.rfc4514_string()
            if self._told.get((frontend.name, issuer), 0) > now - _TELL_EVERY:
                continue
            if self._superseded(checks, crl, now):
                continue
            self._told[frontend.name, issuer] = now
            left = end.timestamp() - now
            rule = checks.options.crl_rule
            means = "everybody whom it is about is refused" if rule == "refuse" else "nobody is checked by it"
            name = "crl-ending" if left > 0 else "crl-stale"
            when = f"ends in {_hours(left)}; then" if left > 0 else f"ended {_hours(-left)} ago:"
            self._journal.event(
                name, f"{frontend.name}: the revocation list of {issuer} {when} {means} (crl_rule = {rule})",
                listener=frontend.name, issuer=issuer, hours_left=round(left / 3600, 2),
            )  # fmt: skip

    def _ask_again(self, frontend: Frontend, end: float) -> None:
        """Ask about those who are connected, as far as what was said of them is no longer fresh."""
        if frontend.pool is None:
            return
        asked = set()
        for connection in tuple(frontend.connections):
            for context, session in connection.ends_judged() if connection.stage == "open" else ():
                peer = session.peer
                if peer is None or peer.fingerprint in asked or time.monotonic() > end:
                    continue
                asked.add(peer.fingerprint)
                if context.inquiry is None or context.trust is None:
                    continue
                if context.inquiry.objects(peer.chain, context.trust.revocation, context.now()):
                    frontend.loop.soon(lambda: self._rejudge(frontend))
                    return

    def _rejudge(self, frontend: Frontend) -> None:
        cut = frontend.reauthorize()
        self._journal.event(
            "asked-again", f"{frontend.name}: {cut} connections were cut by what an authority says now",
            listener=frontend.name, cut=cut,
        )  # fmt: skip

    @staticmethod
    def _is_short(start: float, end: float, now: float) -> bool:
        return end - now < _SHORT * (end - start)

    @staticmethod
    def _superseded(checks: Checks, crl: object, now: float) -> bool:
        assert checks.trust is not None
        return any(
            one is not crl
            and one.issuer == crl.issuer  # type: ignore[attr-defined]
            and one.next_update_utc is not None
            and not Upkeep._is_short(one.last_update_utc.timestamp(), one.next_update_utc.timestamp(), now)
            for one in checks.trust.crls
        )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
