"""Where a client's identity comes from, kept fresh, and the sessions it may resume."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import TwowayError, UsageError
from twoway.tls import ClientContext, ClientSettings, LiveClient, Ticket
from twoway.tls.reload import FileWatch, files_of
from twoway.trust import Policy, Trust
from twoway.trust.bundle import load_crls
from twoway.trust.revocation import CrlRule

log = logging.getLogger("twoway.client")

CHECK_SECONDS = 1.0
MAX_TICKETS = 256


class IdentitySource:
    """Gives the context for the next connection; an identity directory is read again when its files change.

    A directory that cannot be loaded any more leaves the old identity in use, and the log says why. Tickets
    belong to one context, so a new identity never resumes what the old one began.
    """

    def __init__(
        self,
        identity: Credential | str | Path | None,
        trust: Trust | str | Path | None,
        crl: str | Path | tuple[str | Path, ...] = (),
        *,
        crl_rule: CrlRule = "refuse",
        policy: Policy | None = None,
        passphrase: Passphrase = None,
        resume: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity, self._trust, self._policy = identity, trust, policy
        self._crls = (crl,) if isinstance(crl, (str, Path)) else tuple(crl)
        self._crl_rule: CrlRule = crl_rule
        self._passphrase, self._resume, self._clock = passphrase, resume, clock
        self._lock = Lock()
        self._tickets: OrderedDict[tuple[str, object], Ticket] = OrderedDict()
        self._watch = FileWatch(files_of(identity, trust, *self._crls))
        self._live = LiveClient(self._settings())
        self._next_check = clock() + CHECK_SECONDS

    def context(self) -> ClientContext:
        """The context for a connection that is made now; costs a stat a file, at most once a second."""
        now = self._clock()
        if self._watch.paths and now >= self._next_check:
            with self._lock:
                if now >= self._next_check:
                    self._next_check = now + CHECK_SECONDS
                    if self._watch.changed():
                        self._reload()
        return self._live.current

    def _reload(self) -> None:
        try:
            self._live.reload(self._settings)
        except TwowayError as error:
            self._watch.look_again()
            log.error(
                "the identity was not reloaded, the old one stays in use: %s; remedy: %s", error, error.remedy
            )

    def _settings(self) -> ClientSettings:
        identity = self._identity
        credential = (
            identity
            if identity is None or isinstance(identity, Credential)
            else Credential.load(identity, passphrase=self._passphrase)
        )
        return ClientSettings(credential, self._believed(credential), self._policy)

    def _believed(self, credential: Credential | None) -> Trust:
        if isinstance(self._trust, Trust):
            return self._trust
        if self._trust is not None:
            return Trust.load(self._trust, crls=self._crls, crl_rule=self._crl_rule)
        if credential is None:
            raise UsageError(
                "no authority to trust was given", "pass trust= (a bundle of CA certificates) or identity="
            )
        beside = ClientSettings(credential).trust
        assert beside is not None
        return Trust(beside.anchors, load_crls(self._crls) or beside.crls, self._crl_rule)

    # -- tickets -------------------------------------------------------------------------------------

    def take_ticket(self, target: str, context: ClientContext) -> Ticket | None:
        """A ticket for this target, once: RFC 8446 §C.4 asks clients not to use one twice."""
        with self._lock:
            return self._tickets.pop((target, context.token), None)

    def keep_ticket(self, target: str, context: ClientContext, ticket: Ticket | None) -> None:
        if ticket is None or not self._resume:
            return
        with self._lock:
            self._tickets[target, context.token] = ticket
            while len(self._tickets) > MAX_TICKETS:
                self._tickets.popitem(last=False)
