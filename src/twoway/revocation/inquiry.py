"""Asks the responders of certificates that have been verified, and remembers what they say.

Asking takes time, so it happens only in a thread that says it may wait (`may_wait`); everywhere else what is
remembered has to do. Only certificates of trusted authorities come here: a stranger's leads to no question.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Lock
from typing import Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import describe
from twoway.errors import TwowayError
from twoway.revocation.exchange import exchange
from twoway.revocation.faults import FetchFailed
from twoway.revocation.urls import Url
from twoway.trust import OcspUnavailable, RevocationUnknown
from twoway.trust.ocsp import MAX_ANSWER, NONCE_BYTES, Answer, judge_answer, question, responders_of
from twoway.trust.revocation import Revocation

Rule = Literal["soft", "hard"]
Nonce = Literal["off", "send", "require"]
Told = Callable[[RevocationUnknown], None]

KEEP = timedelta(hours=1)  # the longest that a good answer is believed, whatever its nextUpdate
KEEP_BAD = timedelta(minutes=1)  # "revoked" and "unknown"
KEEP_FAILURE = timedelta(seconds=10)
MAX_KEPT = 65536
_MAX_RESPONDERS, _MAX_DOWN = 2, 256

_may_wait: ContextVar[bool] = ContextVar("may_wait", default=False)


@contextlib.contextmanager
def may_wait() -> Iterator[None]:
    """Let what runs in this thread wait for answers: no event loop runs here."""
    token = _may_wait.set(True)
    try:
        yield
    finally:
        _may_wait.reset(token)


class Exchange(Protocol):
    """`twoway.revocation.exchange.exchange`, as far as it is used here."""

    def __call__(
        self,
        url: Url,
        *,
        body: bytes,
        kind: str,
        limit: int,
        seconds: float,
        anchors: Sequence[x509.Certificate],
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer or the lack of one, and until when it is not asked again."""

    what: Answer | RevocationUnknown
    until: datetime


class Inquiry:
    """What is asked about one listener's peers. Thread-safe; outlives generations.

    `rule` says what no answer means: "soft" lets pass, and says so through `told`; "hard" refuses. "Revoked" and
    "unknown" are answers, and refuse under both. `url` asks there instead of where certificates say. One certificate is
    asked about once at a time; `seconds` bound each question. `nonce` "send" accepts answers that do not repeat it.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        depth: Literal["leaf", "chain"] = "chain",
        url: str | None = None,
        nonce: Nonce = "send",
        seconds: float = 3.0,
        told: Told = lambda _: None,
        ask: Exchange = exchange,
    ) -> None:
        self.rule, self.depth, self.nonce, self.seconds = rule, depth, nonce, seconds
        self.url = Url.parse(url, configured=True) if url is not None else None
        self.told, self._exchange = told, ask
        self.counts: Counter[str] = Counter()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._asking: dict[bytes, Event] = {}
        self._down: dict[str, tuple[datetime, str]] = {}
        self._lock = Lock()

    def check(
        self, chain: Sequence[x509.Certificate], lists: Revocation | None, now: datetime
    ) -> tuple[RevocationUnknown, ...]:
        """Judge a verified chain (leaf to anchor): the doubts that the rule lets pass, usually none.

        Raises CertificateRevoked, OcspUnknown, and under "hard" OcspUnavailable, OcspUnusable or OcspStale. A
        certificate that names no responder is a matter of the lists alone.
        """
        doubts = []
        pairs = list(itertools.pairwise(chain))
        for certificate, issuer in pairs[:1] if self.depth == "leaf" else pairs:
            doubt = self._check_one(certificate, issuer, lists, now)
            if doubt is None:
                continue
            if self.rule == "hard":
                raise doubt
            doubts.append(doubt)
        return tuple(doubts)

    def remember(self, certificate: x509.Certificate, answer: Answer, now: datetime) -> None:
        """Take over an answer that came another way: a staple."""
        self._keep(_key(certificate), answer, now)

    def forget(self) -> None:
        """Ask anew about everybody."""
        with self._lock:
            self._kept.clear()
            self._down.clear()

    def objects(self, chain: Sequence[x509.Certificate], lists: Revocation | None, now: datetime) -> bool:
        """Ask again about what is no longer fresh: True when `check` would refuse now. Raises nothing."""
        try:
            with may_wait():
                self.check(chain, lists, now)
        except TwowayError:
            return True
        return False

    def _check_one(
        self, certificate: x509.Certificate, issuer: x509.Certificate, lists: Revocation | None, now: datetime
    ) -> RevocationUnknown | None:
        urls = self._responders(certificate)
        if not urls:
            return _by_lists(certificate, issuer, lists, now)
        key = _key(certificate)
        kept = self._kept.get(key)
        if kept is None or now >= kept.until:
            if _may_wait.get():
                kept = self._ask_once(key, certificate, issuer, urls, lists, now)
            elif kept is None:
                return OcspUnavailable(describe(certificate), "there was no time to ask")
        else:
            self.counts["remembered"] += 1
        if isinstance(kept.what, Answer):
            kept.what.check(certificate)
            return None
        return kept.what

    def _responders(self, certificate: x509.Certificate) -> list[Url]:
        if self.url is not None:
            return [self.url]
        found = []
        for text in responders_of(certificate)[:_MAX_RESPONDERS]:
            with contextlib.suppress(TwowayError):  # ldap and worse are no responders that we could ask
                found.append(Url.parse(text, configured=False))
        return found

    # -- asking --------------------------------------------------------------------------------------

    def _ask_once(
        self,
        key: bytes,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        urls: list[Url],
        lists: Revocation | None,
        now: datetime,
    ) -> _Kept:
        """Ask, or wait for whoever asks the same already."""
        with self._lock:
            asked = self._asking.get(key)
            mine = asked is None
            if asked is None:
                asked = self._asking[key] = Event()
        if not mine:
            asked.wait(self.seconds * len(urls) + 1)
            kept = self._kept.get(key)
            late = OcspUnavailable(describe(certificate), "no answer in time")
            return kept if kept is not None else _Kept(late, now)
        try:
            what = self._ask(certificate, issuer, urls, lists, now)
            answered = isinstance(what, Answer)
            if isinstance(what, RevocationUnknown):
                self.counts[what.code.removeprefix("ocsp_")] += 1
                self.told(what)
                before = self._kept.get(key)
                if before is not None and isinstance(before.what, Answer) and now < before.what.until:
                    what = before.what  # what was signed still holds, though nobody can be asked again
            else:
                self.counts[what.status] += 1
            return self._keep(key, what, now, asked=answered)
        finally:
            with self._lock:
                del self._asking[key]
            asked.set()

    def _ask(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        urls: list[Url],
        lists: Revocation | None,
        now: datetime,
    ) -> Answer | RevocationUnknown:
        nonce = secrets.token_bytes(NONCE_BYTES) if self.nonce != "off" else None
        body = question(certificate, issuer, nonce=nonce)
        trouble: RevocationUnknown | None = None
        for url in urls:
            down_until, reason = self._down.get(str(url), (now, ""))
            if now < down_until:
                trouble = OcspUnavailable(describe(certificate), f"{reason} (a moment ago)")
                continue
            try:
                data = self._exchange(
                    url,
                    body=body,
                    kind="application/ocsp-request",
                    limit=MAX_ANSWER,
                    seconds=self.seconds,
                    anchors=(issuer,),
                )
                return judge_answer(
                    data,
                    certificate,
                    issuer,
                    now=now,
                    source=f"the answer of {url}",
                    nonce=nonce,
                    nonce_required=self.nonce == "require",
                    lists=lists,
                )
            except FetchFailed as error:
                with self._lock:
                    self._down[str(url)] = (now + KEEP_FAILURE, str(error))
                trouble = OcspUnavailable(describe(certificate), str(error))
            except RevocationUnknown as error:
                trouble = error
        assert trouble is not None
        return trouble

    def _keep(
        self, key: bytes, what: Answer | RevocationUnknown, now: datetime, *, asked: bool = True
    ) -> _Kept:
        if isinstance(what, Answer) and asked:
            until = min(what.until, now + KEEP) if what.status == "good" else now + KEEP_BAD
        else:
            until = now + KEEP_FAILURE
        kept = _Kept(what, until)
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            while len(self._down) > _MAX_DOWN:
                self._down.pop(next(iter(self._down)))
        return kept


def _by_lists(
    certificate: x509.Certificate, issuer: x509.Certificate, lists: Revocation | None, now: datetime
) -> RevocationUnknown | None:
    """For a certificate without a responder: what the lists say, where there are any."""
    if lists is not None and lists.about(certificate, issuer, now) is None:
        return None
    return OcspUnavailable(
        describe(certificate),
        "it names none that can be asked, none is configured, and no current list speaks about it",
    )


def _key(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
