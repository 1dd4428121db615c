"""Renewing: the rules by which a certificate is the ground for its successor, all in one place."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import func, select

from twoway.authority import request, schema
from twoway.authority.certificates import BACKDATE
from twoway.authority.guard import Guard
from twoway.authority.issuance import Chain, Issuance, Order
from twoway.authority.records import Record
from twoway.authority.refusals import NameRefused, RenewalRefused
from twoway.authority.register import Register, Selector
from twoway.authority.request import Request
from twoway.authority.transaction import Transaction
from twoway.credential import PublicKey
from twoway.names import Names

Expired = bool | datetime.timedelta
"""Whether what has expired may be renewed: never, always, or for so long after its end."""


class Renewal:
    """Makes successors. The old certificate is recognised byte for byte, and stays valid until its end."""

    def __init__(self, register: Register, issuance: Issuance) -> None:
        self._register, self._issuance = register, issuance

    def certify(
        self,
        what: Selector,
        *,
        now: datetime.datetime,
        actor: str,
        public_key: PublicKey | None = None,
        csr: bytes | None = None,
        days: float | None = None,
        allow_expired: Expired = False,
        again: datetime.timedelta | None = None,
        guard: Guard = Guard(),  # noqa: B008 - it is frozen
    ) -> Chain:
        """The chain of the successor, for the old public key, for `public_key`, or for the one that a `csr` proves.

        Names and profile are the old one's; the profile of today judges them. Without `days` it lives as long as the
        old one did. A certificate that has a successor already may have another one for the time `again` after it
        (an answer can get lost); None sets no limit. That it is not revoked is asked in the issuing transaction.
        Raises NotIssuedHere, NoSuchCertificate, SelectorAmbiguous, RenewalRefused, NameRefused for a `csr` that asks for
        other names, and what issuing raises.
        """
        old = self._register.one(what, now, newest=True)
        check(old, now, allow_expired)

        def order() -> Order:
            key = public_key or old.certificate.public_key()
            if csr is not None:
                asked = request.read(csr)
                keeps_to(old.names, old.common_name, "the certificate to be renewed")(asked)
                key = asked.public_key
            return Order(
                key,  # type: ignore[arg-type]
                old.common_name,
                old.names,
                old.profile,
                "renew",
                actor,
                days,
                lifetime=old.not_after - old.not_before - BACKDATE,
                renews=old.serial,
                guard=replace(guard, within=_still_renewable(old, now, again, guard)),
            )

        return self._issuance.certify(order, now)


def check(old: Record, now: datetime.datetime, allow_expired: Expired = False) -> None:
    """Raise RenewalRefused for a certificate that is revoked or on hold, or expired for longer than is allowed."""
    if old.state == "expired":
        if allow_expired is False or (allow_expired is not True and now > old.not_after + allow_expired):
            raise RenewalRefused(old.serial, "has expired")
    elif old.state != "valid":
        raise RenewalRefused(old.serial, "is revoked" if old.state == "revoked" else "is on hold")


def keeps_to(names: Names, common_name: str | None, whose: str) -> Callable[[Request], None]:
    """The question whether a signing request asks for no other names than these; answers no with NameRefused."""
    ours = names.as_dict()
    known = {name for each in ours.values() for name in each} | {common_name}

    def asked(request: Request) -> None:
        for kind, wanted in request.names.as_dict().items():
            for name in wanted:
                if name not in ours[kind]:
                    raise NameRefused(kind, name, f"{whose} does not have it")
        if request.common_name is not None and request.common_name not in known:
            raise NameRefused("common", request.common_name, f"{whose} does not have it")

    return asked


def _still_renewable(
    old: Record, now: datetime.datetime, again: datetime.timedelta | None, guard: Guard
) -> Callable[[Transaction, str], None]:
    revocations, certificates = schema.revocations.c, schema.certificates.c

    def within(transaction: Transaction, serial: str) -> None:
        reason = transaction.read(select(revocations.reason).where(revocations.serial == old.serial)).scalar()
        if reason is not None:
            raise RenewalRefused(old.serial, "is on hold" if reason == "certificateHold" else "is revoked")
        if again is not None:
            first = func.min(certificates.not_before)
            successor = transaction.read(select(first).where(certificates.renews == old.serial)).scalar()
            if successor is not None and successor < (now - again - BACKDATE).timestamp():
                raise RenewalRefused(old.serial, "was renewed before, and its successor has taken its place")
        guard.within(transaction, serial)

    return within
