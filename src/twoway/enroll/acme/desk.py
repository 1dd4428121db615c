"""What all ACME endpoints of one service share: its options, nonces, rates, and the proofs under way."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from twoway.authority.transaction import Transaction
from twoway.enroll.acme import authorizations
from twoway.enroll.acme.accounts import Account
from twoway.enroll.acme.authorizations import Authorization, Challenge
from twoway.enroll.acme.faults import RateLimited
from twoway.enroll.acme.nonces import Nonces, spending
from twoway.enroll.acme.rates import Rates
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled
from twoway.enroll.acme.validation.validator import Validator
from twoway.errors import TwowayError

if TYPE_CHECKING:
    from twoway.enroll.service import Service

T = TypeVar("T")


class Desk:
    """ACME at one copy of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.options = service.options.acme
        self.nonces = Nonces(service.authority.cas)
        self.rates = Rates()
        self.validator = Validator(self.options)

    async def write(self, nonce: str, now: datetime.datetime, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, committed, for the one request that has this nonce. Raises BadNonce, and what it raises."""
        once = spending(nonce, now, work)
        return await self._service.run(lambda: self._service.authority.store.write(once))

    async def look_for(
        self,
        challenge: Challenge,
        authorization: Authorization,
        account: Account,
        now: datetime.datetime,
        nonce: str,
    ) -> None:
        """Begin to look for a proof, unless somebody does already. Raises Overloaded, RateLimited, NotNow, AccountClosed."""
        self.validator.check_room()
        begun = await self.write(nonce, now, authorizations.beginning(challenge, authorization, now))
        if begun:
            self.validator.begin(lambda: self._prove(challenge, authorization, account))

    async def _prove(self, challenge: Challenge, authorization: Authorization, account: Account) -> None:
        service, identifier = self._service, authorization.identifier
        named = ("*." if authorization.wildcard else "") + identifier.value
        error, seen = None, ""
        try:
            seen = await self.validator.prove(
                challenge.type, identifier, challenge.token, account.key.thumbprint
            )
        except Unfulfilled as failure:
            error = failure.as_problem()
            self._count_failure(f"{account.id} {identifier.value}")
            service.journal.event(
                "unproven",
                f"{account.actor} has not proven {named} by {challenge.type}: {failure}",
                account=account.id,
                identifier=named,
                challenge=challenge.type,
                type=failure.type,
            )
        except Exception as failure:  # noqa: BLE001 - the client is told that it is our fault
            error = Unfulfilled("serverInternal", "the authority failed to look for the proof").as_problem()
            service.report(failure)
        try:
            now = service.now()
            work = authorizations.concluding(challenge, authorization, error, now, seen)
            await service.run(lambda: service.authority.store.write(work))
        except TwowayError as failure:
            # It stays "processing", and is looked for again when its client asks once more.
            service.journal.fault("unproven", f"the proof of {named} could not be written down", failure)

    def _count_failure(self, asker: str) -> None:
        with contextlib.suppress(RateLimited):
            self.rates.take(self.options.failures, asker, self._service.now().timestamp())

    async def close(self) -> None:
        await self.validator.close()
