"""The OCSP answer about our own certificate, kept current in the background for servers that staple it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from twoway.credential import describe, read
from twoway.errors import TwowayError
from twoway.revocation.exchange import exchange
from twoway.revocation.inquiry import Exchange
from twoway.revocation.urls import Url
from twoway.trust import OcspUnavailable
from twoway.trust.ocsp import MAX_ANSWER, Answer, judge_answer, question, responders_of

SECONDS = 5.0
FIRST_DELAY, LONGEST_DELAY = 15.0, 900.0
RECHECK = timedelta(hours=1)  # at the latest, however long an answer holds
_LOOK_AT_FILE = 5.0


class Stapler:
    """Gives the current answer about a leaf, or None. `refresh` in one thread, calls from any.

    The answer comes from `file`, or from `url`, or from the responder that the certificate names. One that does not
    prove the certificate to be good is not shown.
    """

    def __init__(
        self,
        *,
        file: Path | None = None,
        url: str | None = None,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.time,
        ask: Exchange = exchange,
    ) -> None:
        self.file = file
        self.url = Url.parse(url, configured=True) if url is not None else None
        self.failures, self.last_error = 0, ""
        self._jitter, self._clock, self._exchange = jitter, clock, ask
        self._held: tuple[x509.Certificate, bytes, Answer] | None = None
        self._due = 0.0

    def __call__(self, leaf: x509.Certificate) -> bytes | None:
        """The answer to show with this leaf now."""
        held = self._held
        if held is None or held[0] != leaf or self._clock() >= held[2].until.timestamp():
            return None
        return held[1]

    def until(self, leaf: x509.Certificate) -> datetime | None:
        """Until when the answer about this leaf holds; None without one."""
        held = self._held
        return held[2].until if held is not None and held[0] == leaf else None

    def due(self, leaf: x509.Certificate) -> float:
        """When to refresh next, in seconds since 1970."""
        return self._due if self._held is None or self._held[0] == leaf or self.failures else 0.0

    def refresh(
        self, chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: float
    ) -> bool:
        """Fetch or read the answer about chain[0]: True when it is another one. Raises TwowayError, due later then."""
        try:
            changed = self._refresh(chain, anchors, now)
        except TwowayError as error:
            self.failures += 1
            self.last_error = str(error)
            self._due = now + min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self.failures - 1, 10))
            raise
        self.failures, self.last_error = 0, ""
        return changed

    def _refresh(
        self, chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: float
    ) -> bool:
        leaf, at = chain[0], datetime.fromtimestamp(now, UTC)
        issuer = _issuer_of(leaf, (*chain[1:], *anchors))
        if self.file is not None:
            data, source = read(self.file, limit=MAX_ANSWER), str(self.file)
        else:
            data, source = self._fetch(leaf, issuer)
        answer = judge_answer(data, leaf, issuer, now=at, source=source)
        answer.check(leaf)
        before = self._held
        self._held = (leaf, data, answer)
        half = answer.this_update + (answer.until - answer.this_update) / 2
        soonest = max(min(half, at + RECHECK).timestamp(), now + FIRST_DELAY)
        self._due = now + _LOOK_AT_FILE if self.file else now + (soonest - now) * (1 - 0.1 * self._jitter())
        return before is None or before[1] != data

    def _fetch(self, leaf: x509.Certificate, issuer: x509.Certificate) -> tuple[bytes, str]:
        urls = [self.url] if self.url is not None else []
        if not urls:
            urls = [Url.parse(text, configured=True) for text in responders_of(leaf)[:1]]
        if not urls:
            raise OcspUnavailable(describe(leaf), "our own certificate names none, and none is configured")
        data = self._exchange(
            urls[0],
            body=question(leaf, issuer),
            kind="application/ocsp-request",
            limit=MAX_ANSWER,
            seconds=SECONDS,
            anchors=(issuer,),
        )
        return data, f"the answer of {urls[0]}"


def _issuer_of(leaf: x509.Certificate, candidates: Sequence[x509.Certificate]) -> x509.Certificate:
    for one in candidates:
        if one.subject == leaf.issuer:
            try:
                leaf.verify_directly_issued_by(one)
            except Exception:  # noqa: BLE001, S112 - of the same name, and not the one
                continue
            return one
    raise OcspUnavailable(describe(leaf), "neither the chain nor the trust beside it has its issuer")
