"""The CRLs that the service hands out: kept in memory, made anew ahead of time and after revocations, never stale.

Nobody's request makes a list. Every copy looks after them at each turn of keeping.py; one at a time signs.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from twoway.authority import Authority, crl
from twoway.authority.cas import Ca
from twoway.authority.faults import CrlStuck
from twoway.authority.publishing import Edition

_TASK = "crl"


@dataclass(frozen=True, slots=True)
class Kept:
    """One list as it is handed out."""

    edition: Edition
    crl: bytes


class Lists:
    """The newest CRL of each CA that somebody may ask for."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._kept: dict[str, Kept] = {}
        self._names: dict[str, tuple[str, str]] = {}

    def refresh(self, now: datetime.datetime, told: Callable[[str, Edition], None]) -> None:
        """Make anew what is due, unless another copy is at it, and take over what is new in the store.

        `told` hears of each list that this copy has newly taken over. Raises CrlStuck for a list that is due and whose
        key is not here, after everything else was seen to.
        """
        stuck: CrlStuck | None = None
        publishing = self._authority.publishing
        names: dict[str, tuple[str, str]] = {}
        for ca in self._authority.cas.publishing(now):
            identifier = ca.key_identifier
            names[identifier] = (identifier, ca.name)
            if alias := _alias(ca):
                names[alias] = (identifier, ca.name)
            edition = publishing.edition(ca)
            if edition is None or edition.is_due(now):
                try:
                    edition = self._make(ca, now) or edition
                except CrlStuck as failure:
                    stuck = failure
            kept = self._kept.get(identifier)
            if edition is not None and (kept is None or kept.edition.number != edition.number):
                self._kept[identifier] = Kept(edition, publishing.stored(ca))
                told(ca.name, edition)
        self._names = names
        if stuck is not None:
            raise stuck

    def current(self, name: str, now: datetime.datetime) -> bytes | None:
        """The list of the CA called `issuing`, `root`, or by its key identifier in hex; None for any other name.

        Raises CrlStuck instead of handing out one that has run out.
        """
        if name not in self._names:
            return None
        identifier, ca = self._names[name]
        kept = self._kept.get(identifier)
        if kept is None or not kept.edition.this_update <= now < kept.edition.next_update:
            end = kept.edition.next_update if kept else now
            raise CrlStuck(ca, end, "the next one has not been made yet")
        return kept.crl

    def everything(self, now: datetime.datetime) -> bytes:
        """The lists of all CAs that somebody may still need, as PEM. Raises CrlStuck."""
        found = dict.fromkeys(identifier for identifier, _ in self._names.values())
        return b"".join(crl.pem(self.current(each, now) or b"") for each in found)

    def check(self, now: datetime.datetime) -> None:
        """Raise CrlStuck if any list cannot be handed out."""
        for name in self._names:
            self.current(name, now)

    def _make(self, ca: Ca, now: datetime.datetime) -> Edition | None:
        with self._authority.store.alone(_TASK) as alone:
            if not alone:
                return None
            self._authority.publishing.current(ca, now)  # looks again: another copy may just have done it
        return self._authority.publishing.edition(ca)


def _alias(ca: Ca) -> str | None:
    return ca.role if ca.current else None
