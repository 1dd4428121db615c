"""Finds the rules that could match a peer without trying them all.

A rule is filed under one condition that must hold: an exact value, a network, or the literal segments that
a pattern is told by first (a host from its right end, then a path from its left). Only the rest, patterns
that begin with a wildcard, is tried in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

from twoway.names import Comparable, Pattern, comparable
from twoway.trust.rules import Condition, Facts, Rule

Key = tuple[str | int, ...]


class RuleIndex:
    """Rules in order, filed for lookup; immutable once made."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._filed: dict[Key, list[tuple[int, Rule]]] = {}
        self._loose: list[tuple[int, Rule]] = []
        self._all = tuple(enumerate(rules))
        denies = any(rule.kind == "deny" for _, rule in self._all)
        self.kinds: frozenset[str] = frozenset()
        for number, rule in self._all:
            self.kinds |= {condition.key for condition in rule.conditions}
            keys = _keys_of(rule)
            if keys is None:
                self._loose.append((number, rule))
                continue
            for key in keys:
                self._filed.setdefault(key, []).append((number, rule))
        self._doubted = self.kinds if denies else frozenset()
        self._depth = max((len(key) - 2 for key in self._filed if key[1] == "~"), default=0)
        self._filed_kinds = tuple(sorted({str(key[0]) for key in self._filed}))
        self._masks = sorted({(int(key[2]), int(key[3])) for key in self._filed if key[1] == "/"})

    def __len__(self) -> int:
        return len(self._all)

    def first_match(self, facts: Facts) -> Rule | None:
        """The first rule, in the order given, whose conditions all hold."""
        best: tuple[int, Rule] | None = None
        for number, rule in self._candidates(facts):
            if (best is None or number < best[0]) and rule.matches(facts):
                best = (number, rule)
        return best[1] if best is not None else None

    def _candidates(self, facts: Facts) -> Iterator[tuple[int, Rule]]:
        if any(comparable(kind, value) is None for kind in self._doubted for value in facts.get(kind, ())):
            yield from self._all  # what cannot be compared may be what any deny rule means
            return
        yield from self._loose
        filed = self._filed
        for kind in self._filed_kinds:
            for value in facts.get(kind, ()):
                name = comparable(kind, value)
                if name is None:
                    continue
                yield from filed.get((kind, "=", name.text), ())
                if self._depth:
                    told = _telling_order(kind, name)
                    for length in range(1, min(len(told), self._depth) + 1):
                        yield from filed.get((kind, "~", *told[:length]), ())
                if name.address is not None:
                    for version, bits in self._masks:
                        if version == name.address.version:
                            yield from filed.get(_network_key(name.address, bits), ())


def _network_key(address: IPv4Address | IPv6Address, length: int) -> Key:
    return ("ip", "/", address.version, length, int(address) >> (address.max_prefixlen - length))


def _keys_of(rule: Rule) -> list[Key] | None:
    """The keys that one condition of the rule is filed under, the most telling condition first."""
    best: list[Key] | None = None
    # A method tells least: half of all rules may have the same.
    for condition in sorted(rule.conditions, key=lambda one: one.key == "method"):
        keys = _keys_of_condition(condition)
        if keys is None:
            continue
        if all(key[1] == "=" for key in keys) and (best is None or condition.key != "method"):
            return keys
        best = best or keys
    return best


def _keys_of_condition(condition: Condition) -> list[Key] | None:
    keys = []
    for pattern in condition.patterns:
        key = _key_of(pattern)
        if key is None:
            return None
        keys.append(key)
    return keys


def _key_of(pattern: Pattern) -> Key | None:
    if pattern.exact is not None:
        return (pattern.kind, "=", pattern.exact)
    if pattern.network is not None:
        return _network_key(pattern.network.network_address, pattern.network.prefixlen)
    literal = []
    for segment in _telling_order(pattern.kind, pattern):
        if "*" in segment:
            break
        literal.append(segment)
    return (pattern.kind, "~", *literal) if literal else None


def _telling_order(kind: str, name: Comparable | Pattern) -> tuple[str, ...]:
    """All segments in the order of telling: hosts from the right, where they are rooted, paths from the left."""
    groups = name.groups
    if kind in ("dns", "email"):
        return tuple(segment for group in reversed(groups) for segment in reversed(group))
    if kind == "uri" and len(groups) > 2:
        scheme, host, port, *path = groups
        return (*scheme, *reversed(host), "", *port, *(segment for group in path for segment in group))
    return tuple(segment for group in groups for segment in group)
