"""Which client certificates have which role: one policy a role, beside the authority's profiles.

`roles/admin.toml`, `operator.toml`, `auditor.toml`, `requester.toml` are ordinary policy files (docs/policy.md). A role
without a file is nobody's. They are read again when they change; a broken file leaves the old rules in force.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from twoway.enroll.access import ROLES, Standing
from twoway.errors import TwowayError, UsageError
from twoway.tls.reload import FileWatch
from twoway.trust import Peer, Policy

DIRECTORY = "roles"

_log = logging.getLogger("twoway.enroll")


class Roles:
    """The roles of one authority's callers. `rules` are more of them, as `ROLE:RULE` (`admin:cn=ops`)."""

    def __init__(self, directory: Path, rules: Iterable[str] = ()) -> None:
        self._files = {role: directory / f"{role}.toml" for role in ROLES}
        self._given = _parsed(rules)
        self._watch = FileWatch(self._files.values())
        self._lock = threading.Lock()
        self._policies = self._load()

    def of(self, who: Peer | Mapping[str, tuple[str, ...]]) -> frozenset[Standing]:
        """Every role that this peer (or whoever had these names) has."""
        return frozenset(
            role
            for role, policies in self._policies.items()
            if any(policy.decide(who) for policy in policies)
        )

    @property
    def none_given(self) -> bool:
        """Whether nobody at all has a role."""
        return not any(self._policies.values())

    def refresh(self) -> None:
        """Read the files again if they have changed; what is broken is told in the log and changes nothing."""
        with self._lock:
            if self._watch.changed():
                try:
                    self._policies = self._load()
                except TwowayError as error:
                    _log.error("the roles stay as they were: %s; remedy: %s", error, error.remedy)

    def _load(self) -> dict[Standing, tuple[Policy, ...]]:
        found: dict[Standing, tuple[Policy, ...]] = {}
        for role, path in self._files.items():
            policies = (Policy.load(path),) if path.exists() else ()
            given = self._given.get(role)
            found[role] = (*policies, Policy.from_rules(allow=given)) if given else policies
        return found


def _parsed(rules: Iterable[str]) -> dict[Standing, list[str]]:
    found: dict[Standing, list[str]] = {}
    for text in rules:
        name, colon, rule = text.partition(":")
        if not colon or name not in ROLES:
            raise UsageError(
                f"{text!r} gives no role: expected ROLE:RULE with one of {', '.join(ROLES)}",
                "write it like admin:uri=spiffe://acme.example/ops/*",
            )
        found.setdefault(Standing(name), []).append(rule)
    return found
