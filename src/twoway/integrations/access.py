"""Access: whom a view, a route or a whole application lets in; the same question in every framework.

    access = Access.of(uri="spiffe://acme.example/orders/**")
    access.check(peer)      # or NobodyProven, or NotAllowed

The deciding rule goes to the log `twoway.access` and into the error.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twoway.errors import PeerDenied, UsageError
from twoway.tls.settings import check_no_requests
from twoway.trust import NotAllowed, Peer, Policy, Rule
from twoway.trust.rules import condition

log = logging.getLogger("twoway.access")


class NobodyProven(PeerDenied):
    """A caller without a certificate, where one is needed."""

    code = "nobody_proven"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is for callers with a client certificate, and this one has shown none"

    @property
    def remedy(self) -> str:
        return "present a client certificate on the connection (with twoway: --identity DIR, or identity= in code)"

    @property
    def evidence(self) -> dict[str, object]:
        return {"what": self.what}


@dataclass(frozen=True)
class Access:
    """A policy at one place of an application; `what` names the place in errors and logs."""

    policy: Policy
    what: str = "this resource"

    def __post_init__(self) -> None:
        check_no_requests(self.policy)

    @classmethod
    def of(
        cls,
        *rules: str,
        policy: Policy | str | Path | None = None,
        what: str = "this resource",
        **conditions: str | Sequence[str],
    ) -> Access:
        """Access by a policy (or its file), by rules as the command line takes them, or by the conditions of one rule.

        Several rules are alternatives; several conditions must all hold; a list of patterns means any of them.
        Nothing at all lets in anybody who is proven. The rules are called by the line that wrote them down.
        Raises BadRule, UsageError.
        """
        where = _caller()
        if policy is not None and (rules or conditions):
            raise UsageError(
                "a policy and single rules were given", "put the rules into the policy, or leave it out"
            )
        if isinstance(policy, Policy):
            return cls(policy, what)
        if policy is not None:
            return cls(Policy.load(policy), what)
        found = [Rule.parse(rule, where=where) for rule in rules]
        if conditions:
            parts = [
                condition(key, (patterns,) if isinstance(patterns, str) else tuple(patterns), where)
                for key, patterns in conditions.items()
            ]
            found.append(Rule("allow", tuple(parts), where))
        return cls(Policy(tuple(found), where) if found else Policy.anyone_proven(), what)

    def check(self, peer: Peer | None, *, what: str | None = None) -> Peer:
        """The peer, when it is let in; raises NobodyProven where there is none, NotAllowed with the deciding rule."""
        place = what or self.what
        if peer is None:
            log.warning("%s: refused nobody: the caller has no certificate", place)
            raise NobodyProven(place)
        decision = self.policy.decide(peer)
        if not decision:
            log.warning("%s: refused %s: %s", place, peer.describe(), decision.because)
            raise NotAllowed(peer.describe(), decision)
        log.info("%s: let in %s: %s", place, peer.describe(), decision.because)
        return peer


def _caller() -> str:
    """File name and line of whoever wrote the rules down; the name alone, since a refused caller reads it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith(
        "twoway.integrations"
    ):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
