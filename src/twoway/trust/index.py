"""Finds the rules that could match a peer without trying them all.

A rule is filed under one condition that must hold: an exact value, or the literal segments that a pattern
begins with (URI) or ends with (DNS, mail). Only the rest, patterns that begin with a wildcard, is tried
in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twoway.names import Pattern, normalised, split_segments
from twoway.trust.rules import Condition, Facts, Rule

Key = tuple[str, ...]


class RuleIndex:
    """Rules in order, filed for lookup; immutable once made."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._filed: dict[Key, list[tuple[int, Rule]]] = {}
        self._loose: list[tuple[int, Rule]] = []
        self._count = 0
        for number, rule in enumerate(rules):
            self._count += 1
            keys = _keys_of(rule)
            if keys is None:
                self._loose.append((number, rule))
                continue
            for key in keys:
                self._filed.setdefault(key, []).append((number, rule))
        self._depth = max((len(key) for key in self._filed), default=0)
        self._kinds = {key[0] for key in self._filed}

    def __len__(self) -> int:
        return self._count

    def first_match(self, facts: Facts) -> Rule | None:
        """The first rule, in the order given, whose conditions all hold."""
        best: tuple[int, Rule] | None = None
        for number, rule in self._candidates(facts):
            if (best is None or number < best[0]) and rule.matches(facts):
                best = (number, rule)
        return best[1] if best is not None else None

    def _candidates(self, facts: Facts) -> Iterator[tuple[int, Rule]]:
        yield from self._loose
        filed = self._filed
        for kind in self._kinds:
            for value in facts.get(kind, ()):
                found = normalised(kind, value)
                if found is None:
                    continue
                yield from filed.get((kind, "=", found), ())
                segments = _literal_order(kind, split_segments(kind, found))
                for length in range(1, min(len(segments), self._depth) + 1):
                    yield from filed.get((kind, "~", *segments[:length]), ())


def _keys_of(rule: Rule) -> list[Key] | None:
    """The keys that one condition of the rule is filed under, the most telling condition first."""
    best: list[Key] | None = None
    for condition in rule.conditions:
        keys = _keys_of_condition(condition)
        if keys is None:
            continue
        if all(key[1] == "=" for key in keys):
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
    literal = []
    for segment in _literal_order(pattern.kind, pattern.segments):
        if "*" in segment:
            break
        literal.append(segment)
    return (pattern.kind, "~", *literal) if literal else None


def _literal_order(kind: str, segments: tuple[str, ...]) -> tuple[str, ...]:
    """Segments in the order of telling: from the right where names grow to the left."""
    return segments[::-1] if kind in ("dns", "email") else segments
