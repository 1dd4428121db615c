"""What one listener, or one of its names, asks of authorities: its lists by address, and what they have led to."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twoway.credential import Credential, display_name
from twoway.errors import TwowayError
from twoway.gateway.faults import ListUnavailable
from twoway.gateway.options import ListenerOptions
from twoway.revocation.inquiry import Inquiry
from twoway.revocation.list_source import ListSource
from twoway.revocation.stapler import Stapler
from twoway.tls import ClientSettings, ServerSettings
from twoway.trust import Trust


@dataclass
class Shared:
    """What several settings of one listener have in common when they ask alike."""

    sources: dict[Path, ListSource] = field(default_factory=dict)
    inquiries: dict[object, Inquiry] = field(default_factory=dict)


class Checks:
    """The sources of one set of settings. What it loads last is remembered, for those who look on.

    `shared` has what the other settings of the listener fetch and ask: asking alike, they remember in common.
    """

    def __init__(self, options: ListenerOptions, shared: Shared) -> None:
        self.options = options
        self.sources = [
            shared.sources.setdefault(cache.path, ListSource(cache.url, cache, jitter=random.random))
            for cache in options.list_caches()
        ]
        self.told: Callable[[BaseException], None] = lambda _: None
        self.inquiry = self._inquiry(shared.inquiries)
        self.stapler: Stapler | None = None
        if options.staple or options.ocsp_response is not None:
            file = Path(options.ocsp_response) if options.ocsp_response is not None else None
            self.stapler = Stapler(file=file, url=options.ocsp_url, jitter=random.random)
        self.trust: Trust | None = None
        self.credential: Credential | None = None

    def _inquiry(self, shared: dict[object, Inquiry]) -> Inquiry | None:
        options = self.options
        if options.ocsp == "off":
            return None
        alike = (options.ocsp, options.revocation_depth, options.ocsp_url)
        if alike not in shared:
            shared[alike] = Inquiry(
                options.ocsp,
                depth=options.revocation_depth,
                url=options.ocsp_url,
                nonce=options.ocsp_nonce,
                seconds=options.ocsp_seconds,
                told=lambda fault: self.told(fault),
            )
        return shared[alike]

    def prepare(self, *, now: float | None = None) -> None:
        """Fetch the lists that are not there or hold no more, before anything is served; raises ListUnavailable.

        With an old list, or where `crl_rule` is "warn", it is served without, and fetched again and again.
        """
        now = time.time() if now is None else now
        for source in self.sources:
            span = source.cache.span()
            if span is not None and span[1] > now:
                continue
            try:
                source.refresh(now)
            except TwowayError as error:
                if self.options.crl_rule == "refuse" and not source.cache.files:
                    raise ListUnavailable(str(source.url), str(error)) from error

    def first_staple(self) -> None:
        """Get the answer to staple before anybody is served, if that is possible; otherwise it is tried again."""
        if self.stapler is not None and self.credential is not None:
            with contextlib.suppress(TwowayError):
                self.stapler.refresh(self.credential.chain, self.credential.anchors, time.time())

    def server_settings(self) -> ServerSettings:
        """Load everything for mutual TLS in; raises ConfigError."""
        settings = self.options.server_settings()
        self._remember(settings)
        inquiry = self.inquiry if settings.clients != "none" else None
        return dataclasses.replace(settings, inquiry=inquiry, staple=self.stapler)

    def client_settings(self) -> ClientSettings:
        """Load everything for mutual TLS out; raises ConfigError."""
        settings = self.options.client_settings()
        self._remember(settings)
        return dataclasses.replace(settings, inquiry=self.inquiry)

    def _remember(self, settings: ServerSettings | ClientSettings) -> None:
        self.trust, self.credential = settings.trust, settings.credential
        known = settings.trust.anchors if settings.trust is not None else ()
        if settings.credential is not None:
            known += settings.credential.chain[1:]
        for source in self.sources:
            source.met(known)

    def lists(self, now: datetime | None = None) -> Iterator[dict[str, Any]]:
        """The revocation lists in force: of whom, until when, and how many hours that is."""
        now = now or datetime.now(UTC)
        for crl in self.trust.crls if self.trust is not None else ():
            end = crl.next_update_utc
            yield {
                "issuer": display_name(crl.issuer),
                "next_update": end.isoformat() if end is not None else None,
                "hours_left": round((end - now).total_seconds() / 3600, 2) if end is not None else None,
            }

    def answers(self) -> Iterator[dict[str, Any]]:
        """How asking responders goes: the rule, and how many answers there were of each kind."""
        if self.inquiry is not None:
            yield {"rule": self.inquiry.rule, "answers": dict(self.inquiry.counts)}

    def staples(self) -> Iterator[dict[str, Any]]:
        """The answer about our own certificate that is shown: until when it holds, and how fetching it goes."""
        if self.stapler is not None and self.credential is not None:
            until = self.stapler.until(self.credential.chain[0])
            yield {
                "name": self.credential.describe(),
                "until": until.isoformat() if until is not None else None,
                "failures": self.stapler.failures,
                "last_error": self.stapler.last_error,
            }

    def fetches(self, *, without: Container[object] = ()) -> Iterator[dict[str, Any]]:
        """The addresses that lists are fetched from, and how that goes."""
        for source in self.sources:
            if source in without:
                continue
            yield {
                "url": str(source.url),
                "due_in_seconds": round(source.due() - time.time(), 1),
                "failures": source.failures,
                "last_error": source.last_error,
                **{f"fetched_{how}": count for how, count in source.fetched.items()},
            }
