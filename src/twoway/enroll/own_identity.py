"""The service's own certificate: issued by the authority that it serves, kept in memory, renewed by itself."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from twoway.authority import Authority
from twoway.authority.actor import SERVICE
from twoway.credential import Credential
from twoway.names import guess_kind
from twoway.server import ServeOptions
from twoway.trust import Trust

_log = logging.getLogger("twoway.enroll")


class OwnIdentity:
    """The credential of one running service. Its key never leaves this process."""

    def __init__(
        self, authority: Authority, names: Sequence[str], days: float, now: datetime.datetime
    ) -> None:
        self._authority, self._names, self._days = authority, tuple(names), days
        self.current = self._issue(now)

    @property
    def due(self) -> datetime.datetime:
        """When it is renewed: after two thirds of its life."""
        leaf = self.current.leaf
        return leaf.not_valid_before_utc + (leaf.not_valid_after_utc - leaf.not_valid_before_utc) * 2 / 3

    def renew(self, now: datetime.datetime) -> bool:
        """A new one if the old one is due, or if another CA or root signs now; whether there is a new one."""
        cas = self._authority.cas
        replaced = (self.current.chain[1:], self.current.anchors) != (cas.presented, cas.bundle.certificates)
        if now < self.due and not replaced:
            return False
        self.current = self._issue(now)
        return True

    def _issue(self, now: datetime.datetime) -> Credential:
        names: dict[str, list[str]] = {"dns": [], "ip": []}
        for name in self._names:
            names["ip" if guess_kind(name) == "ip" else "dns"].append(name)
        first = self._names[0]
        return self._authority.issue(
            "server", first, dns=names["dns"], ip=names["ip"], days=self._days, now=now, requested_by=SERVICE
        )


@dataclass(frozen=True, kw_only=True)
class OwnServeOptions(ServeOptions):
    """Server options whose credential and roots are whatever the service has at the time of the reload."""

    own: OwnIdentity

    def credential(self) -> Credential:
        return self.own.current

    def _trust(self, credential: Credential) -> Trust:
        # Revocation is asked of the store, at each call (caller.py): a CRL would be older.
        return Trust(credential.anchors)
