"""The authority as a service: what all its endpoints share."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from twoway.authority import Authority, Record
from twoway.authority.faults import IssuerUnfit
from twoway.authority.issuance import AGAIN, Chain, Order
from twoway.enroll.acme.desk import Desk
from twoway.enroll.est_accounts import EstAccounts
from twoway.enroll.faults import Overloaded
from twoway.enroll.known import Known
from twoway.enroll.lists import Lists
from twoway.enroll.metrics import Metrics
from twoway.enroll.options import ServiceOptions
from twoway.enroll.roles import DIRECTORY, Roles
from twoway.server import Journal
from twoway.trust import Policy

T = TypeVar("T")

_log = logging.getLogger("twoway.enroll")


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Service:
    """One running service over one authority. `now` is its clock."""

    def __init__(
        self,
        authority: Authority,
        options: ServiceOptions,
        journal: Journal,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self.authority, self.options, self.journal, self.now = authority, options, journal, now
        self.metrics = Metrics()
        authority.ocsp.lifetime = datetime.timedelta(seconds=options.ocsp_seconds)
        self.tokens = authority.tokens
        self.est_accounts = EstAccounts(authority.directory)
        self.lists = Lists(authority)
        self.known = Known(authority)
        self.roles = Roles(authority.directory / DIRECTORY, options.roles)
        self.gateways = Policy.from_rules(allow=options.gateways)
        self.acme = Desk(self)
        self._threads = ThreadPoolExecutor(options.threads, "twoway-authority")
        self._under_way = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns; it may block. The event loop goes on meanwhile, and commits are shared.

        Raises Overloaded when too many wait already. Work that has begun is finished, whether or not its caller is
        still there.
        """
        if self._under_way >= self.options.threads + self.options.waiting:
            raise Overloaded(self._under_way)
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._finished)
        return await asyncio.shield(future)

    async def certify(self, ask: Callable[[], Order], now: datetime.datetime) -> Chain:
        """The chain that is asked for; its commit is shared with others, and no thread waits for it.

        Raises what `Issuance.certify` raises, and Overloaded.
        """
        if self._under_way >= self.options.threads + self.options.waiting:
            raise Overloaded(self._under_way)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Chain] = loop.create_future()

        def settle(chain: Chain | None, failure: BaseException | None) -> None:
            self._under_way -= 1
            if future.done():  # the caller has gone; what was issued is remembered all the same
                return
            if chain is not None:
                future.set_result(chain)
            else:
                future.set_exception(failure or RuntimeError("neither a chain nor a failure"))

        def finished(chain: Chain | None, failure: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, chain, failure)

        issuance = self.authority.issuance
        if issuance.certify_soon(ask, now, finished):
            self._under_way += 1
            try:
                return await future
            except AGAIN:
                pass
        return await self.run(lambda: issuance.certify(ask, now))

    def _finished(self, future: asyncio.Future[T]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # whoever waited has it; where nobody did, it is no warning

    def close(self) -> None:
        """Finish what has begun."""
        self._threads.shutdown()

    def is_issuer_revoked(self, record: Record) -> bool:
        """Whether the CA that issued it was itself revoked."""
        return any(ca.id == record.issuer and ca.revoked_at is not None for ca in self.authority.cas.all)

    def check_ready(self, now: datetime.datetime) -> None:
        """Raise what would keep the authority from serving now: its store, its key, its issuing CA, a stale CRL."""
        cas = self.authority.cas
        cas.reload()
        cas.signer(cas.issuing)
        if cas.issuing.revoked_at is not None:
            raise IssuerUnfit(cas.issuing.name, "is revoked")
        if not cas.issuing.not_before <= now < cas.issuing.not_after:
            raise IssuerUnfit(cas.issuing.name, f"expired on {cas.issuing.not_after:%Y-%m-%d}")
        self.lists.check(now)

    def report(self, error: BaseException) -> None:
        """Something that nobody expected, with its traceback, for the log alone."""
        _log.error("internal error", exc_info=error)
