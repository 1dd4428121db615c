"""The revocation lists of one address: when it is due, what is taken from there, and what is not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cryptography import x509

from twoway.credential import crls_from_pem, display_name
from twoway.errors import TwowayError
from twoway.revocation.exchange import Resolve, exchange
from twoway.revocation.faults import ListRejected
from twoway.revocation.list_cache import ListCache
from twoway.revocation.urls import Url, addresses
from twoway.trust.bundle import MAX_CRL_FILE
from twoway.trust.revocation import RevocationList

FETCH_SECONDS = 30.0
REFRESH_SECONDS = (
    3600.0  # at the latest: an authority may publish ahead of nextUpdate, and does when it revokes
)
FIRST_DELAY, LONGEST_DELAY = 15.0, 900.0
_LEAD = 0.25  # of a list's life, before its end
_ELSEWHERE = 5.0
_MAX_ISSUERS = 64

MAX_LISTS = 16  # at one address

Lists = tuple[x509.CertificateRevocationList, ...]
Jitter = Callable[[], float]  # 0 up to 1


class ListSource:
    """Keeps the list of one address current. Not thread-safe: one thread keeps it up.

    `jitter` spreads the fetches of many gateways: it brings each forward by up to a tenth of its interval.
    """

    def __init__(
        self,
        url: str,
        cache: ListCache,
        *,
        jitter: Jitter,
        anchors: Iterable[x509.Certificate] = (),
        resolve: Resolve = addresses,
    ) -> None:
        self.url, self.cache = Url.parse(url, configured=True), cache
        self.issuers: dict[x509.Certificate, None] = dict.fromkeys(anchors)
        self.failures = 0
        self.last_error = ""
        self.fetched: Counter[str] = Counter()
        self._jitter, self._resolve = jitter, resolve
        self._not_before, self._spread, self._hurried = 0.0, jitter(), False

    def met(self, authorities: Iterable[x509.Certificate]) -> None:
        """Remember authorities that verified chains have led through: one of them may be the list's issuer."""
        for authority in authorities:
            if len(self.issuers) < _MAX_ISSUERS:
                self.issuers[authority] = None

    def hurry(self) -> None:
        """Be due as soon as may be: somebody knows that there is news."""
        self._hurried = True

    def due(self) -> float:
        """When to fetch next, in seconds since 1970; 0 for at once. Other processes' fetches count."""
        span = self.cache.span()
        if span is None:
            return self._not_before
        start, end = span
        checked = self.cache.path.stat().st_mtime
        ahead = end - _LEAD * (end - start)
        soonest = min(max(ahead, checked + FIRST_DELAY), checked + REFRESH_SECONDS)
        if self._hurried:
            soonest = checked + FIRST_DELAY
        return max(checked + (soonest - checked) * (1 - 0.1 * self._spread), self._not_before)

    def refresh(self, now: float) -> bool:
        """Fetch and keep the list: True when it is another one. Raises TwowayError, and is due later then."""
        self._spread, self._hurried = self._jitter(), False
        with self.cache.alone() as mine:
            if not mine:
                self._not_before = now + _ELSEWHERE
                return False
            try:
                changed = self._fetch(now)
            except TwowayError as error:
                self.failures += 1
                self.last_error = str(error)
                self.fetched["failed"] += 1
                delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self.failures - 1, 10))
                self._not_before = now + delay * (1 - 0.1 * self._spread)
                raise
        self.failures, self.last_error, self._not_before = 0, "", now + FIRST_DELAY
        self.fetched["changed" if changed else "unchanged"] += 1
        return changed

    def _fetch(self, now: float) -> bool:
        data = exchange(
            self.url,
            limit=MAX_CRL_FILE,
            seconds=FETCH_SECONDS,
            anchors=tuple(self.issuers),
            resolve=self._resolve,
        )
        before = self._present()
        now_ = datetime.fromtimestamp(now, UTC)
        crls, verified = taken(data, str(self.url), before, tuple(self.issuers), now_)
        unchanged = [one.tbs_certlist_bytes for one in before] == [one.tbs_certlist_bytes for one in crls]
        if not unchanged or (verified and self.cache.before.exists()):
            self.cache.store(data, verified=verified)
        os.utime(self.cache.path, (now, now))
        return not unchanged

    def _present(self) -> Lists:
        try:
            return crls_from_pem(self.cache.path.read_bytes())
        except (OSError, TwowayError):
            return ()


def taken(
    data: bytes, where: str, before: Lists, issuers: Iterable[x509.Certificate], now: datetime
) -> tuple[Lists, bool]:
    """The lists in fetched bytes (DER, or PEM of one or several), and whether their issuers signed all; or ListRejected.

    Only complete, current lists that are no older than those `before` of the same issuers are taken. One that an
    authority of its issuer's name is known for among `issuers`, and has not signed, is not.
    """
    try:
        found = crls_from_pem(data, where=where)
    except TwowayError as error:
        raise ListRejected(where, str(error)) from None
    if len(found) > MAX_LISTS:
        raise ListRejected(where, f"it has {len(found)} lists, more than {MAX_LISTS}")
    known = tuple(issuers)
    verified = [_judge(RevocationList(crl), where, before, known, now) for crl in found]
    return found, all(verified)


def _judge(
    one: RevocationList, where: str, before: Lists, issuers: tuple[x509.Certificate, ...], now: datetime
) -> bool:
    """Whether one of `issuers` has signed the list; raises ListRejected when it is not to be taken."""
    name = display_name(one.issuer)
    if one.problem is not None:
        raise ListRejected(where, one.problem)
    fault = one.fault_at(now)
    if fault is not None:
        raise ListRejected(where, str(fault))
    named = [issuer for issuer in issuers if issuer.subject == one.issuer]
    if named and not any(one.is_of(issuer) for issuer in named):
        raise ListRejected(where, f"{name} has not signed it")
    if before and not named and one.issuer not in [crl.issuer for crl in before]:
        expected = ", ".join(display_name(crl.issuer) for crl in before)
        raise ListRejected(where, f"expected a list of {expected}, got one of {name}")
    for crl in before:
        if crl.issuer == one.issuer and one.this_update < crl.last_update_utc:
            raise ListRejected(
                where,
                f"it is of {one.this_update:%Y-%m-%d %H:%M:%S} UTC, older than the one that is there "
                f"({crl.last_update_utc:%Y-%m-%d %H:%M:%S} UTC)",
            )
    return bool(named)
