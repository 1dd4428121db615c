"""One rule of a policy: conditions on what a proven peer is, all of which must hold."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from twoway.credential import attribute_of, common_name, display_name, fingerprint_of, names_of, printable
from twoway.errors import ConfigError
from twoway.names import BadName, Pattern, compile_pattern, problem_of
from twoway.trust.peer import Peer

Kind = Literal["allow", "deny"]
Facts = Mapping[str, tuple[str, ...]]

PEER_KEYS = ("cn", "o", "ou", "dns", "ip", "email", "uri", "fingerprint", "issuer")
REQUEST_KEYS = ("method", "path")  # what a peer asks for, where requests are seen: in HTTP
KEYS = PEER_KEYS + REQUEST_KEYS
MAX_CONDITIONS = 32


class BadRule(ConfigError):
    """A rule cannot be used as it is written; `where` names the file and line, or the option."""

    code = "bad_rule"

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        super().__init__(where, problem, hint)
        self.where, self.problem, self.hint = where, problem, hint

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"

    @property
    def remedy(self) -> str:
        return self.hint or "write a rule like uri=spiffe://acme.example/orders/**,o=Acme"


@dataclass(frozen=True, slots=True)
class Condition:
    """One key and the patterns of which at least one value of the peer must match at least one."""

    key: str
    patterns: tuple[Pattern, ...]

    def holds(self, facts: Facts) -> bool:
        """Whether it is certain: what lets somebody in is never chosen by them among several readings."""
        values = facts.get(self.key, ())
        if self.key == "cn" and len(values) > 1:
            # Which of several common names is meant, readers do not agree about.
            return all(self._covers(value) for value in values)
        if self.key == "uri" and len(values) > 1:
            # X509-SVID §2: more than one URI beside a SPIFFE ID, and it is none.
            values = tuple(value for value in values if not value.lower().startswith("spiffe:"))
        return any(self._covers(value) for value in values)

    def may_hold(self, facts: Facts) -> bool:
        """Whether it is possible: what keeps somebody out is not evaded by a name that nobody can compare."""
        return any(pattern.may_match(value) for value in facts.get(self.key, ()) for pattern in self.patterns)

    def _covers(self, value: str) -> bool:
        return any(pattern.matches(value) for pattern in self.patterns)

    def __str__(self) -> str:
        return ",".join(f"{self.key}={pattern.text}" for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Rule:
    """Allow or deny whoever fulfils every condition; a rule without conditions is refused, save `anyone`."""

    kind: Kind
    conditions: tuple[Condition, ...]
    where: str
    name: str = ""
    anyone: bool = False

    def __post_init__(self) -> None:
        if not self.conditions and not self.anyone:
            raise BadRule(
                self.where,
                "the rule has no condition",
                "a rule for everybody is said in words: anyone = true",
            )

    @classmethod
    def parse(cls, text: str, *, kind: Kind = "allow", where: str = "rule") -> Rule:
        """Read `key=pattern,key=pattern…`; a comma inside a pattern is written as backslash comma.

        Raises BadRule with what is wrong and the keys that exist.
        """
        if text.strip() == "anyone":
            return cls(kind, (), where, anyone=True)
        conditions = []
        for part in _parts(text):
            key, equals, pattern = part.partition("=")
            if not equals:
                raise BadRule(where, f"expected key=pattern, got {part.strip()!r}")
            conditions.append(condition(key.strip().lower(), (pattern.strip(),), where))
        return cls(kind, tuple(conditions), where)

    @property
    def about_requests(self) -> bool:
        """Whether it has a condition on method or path."""
        return any(condition.key in REQUEST_KEYS for condition in self.conditions)

    def for_connections(self) -> Rule | None:
        """What it says before a request is known: whom it may let in later; a denial of requests says nothing."""
        if not self.about_requests:
            return self
        if self.kind == "deny":
            return None
        left = tuple(condition for condition in self.conditions if condition.key not in REQUEST_KEYS)
        return Rule(self.kind, left, self.where, self.name, anyone=not left)

    def matches(self, facts: Facts) -> bool:
        """Whether the rule applies: to allow it must be certain, to deny it is enough that it may be so."""
        if self.kind == "deny":
            return all(condition.may_hold(facts) for condition in self.conditions)
        return all(condition.holds(facts) for condition in self.conditions)

    def doubts(self, facts: Facts) -> tuple[str, ...]:
        """Of a deny rule that matches: the names that it matches only because they cannot be compared."""
        return tuple(
            f"{one.key}={printable(value)} ({problem})"
            for one in self.conditions
            if not any(one._covers(value) for value in facts.get(one.key, ()))
            for value in facts.get(one.key, ())
            if (problem := problem_of(one.key, value)) is not None
        )

    def __str__(self) -> str:
        told = "anyone the trust proves" if self.anyone else ",".join(str(one) for one in self.conditions)
        return f"{self.where} {self.name!r} ({told})" if self.name else f"{self.where} ({told})"


def condition(key: str, patterns: tuple[str, ...], where: str) -> Condition:
    """A checked condition; raises BadRule."""
    if key not in KEYS:
        close = difflib.get_close_matches(key, KEYS, 1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise BadRule(where, f"there is no key {key!r} in a rule", f"{meant}the keys are {', '.join(KEYS)}")
    if not patterns:
        raise BadRule(where, f"{key} has no pattern", "give at least one; an empty list matches nobody")
    try:
        return Condition(key, tuple(compile_pattern(key, _checked(key, text, where)) for text in patterns))
    except BadName as error:
        raise BadRule(where, str(error), error.remedy) from error


def _checked(key: str, text: str, where: str) -> str:
    if key == "fingerprint":
        digits = text.lower().replace(":", "").removeprefix("sha256=")
        if len(digits) != 64 or any(c not in "0123456789abcdef" for c in digits):
            raise BadRule(where, f"expected 64 hexadecimal digits of SHA-256, got {text[:80]!r}")
    return text


def _parts(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for character in text:
        if escaped:
            current += character if character in ",\\" else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current + ("\\" if escaped else ""))
    return parts


def facts_of(peer: Peer) -> dict[str, tuple[str, ...]]:
    """What the rules' keys see of a peer."""
    return facts_of_certificate(peer.leaf)


def facts_of_certificate(leaf: x509.Certificate) -> dict[str, tuple[str, ...]]:
    """What the rules' keys would see of whoever presents this certificate. Nothing of it is verified here."""
    names, issuer = names_of(leaf), common_name(leaf.issuer)
    shown = display_name(leaf.issuer)
    return {
        "cn": attribute_of(leaf.subject, NameOID.COMMON_NAME),
        "o": attribute_of(leaf.subject, NameOID.ORGANIZATION_NAME),
        "ou": attribute_of(leaf.subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        "dns": names.dns,
        "ip": names.ip,
        "email": names.email,
        "uri": names.uri,
        "fingerprint": (fingerprint_of(leaf),),
        "issuer": (shown,) if issuer is None else (shown, issuer),
    }
