"""Policy files: TOML tables [[allow]] and [[deny]], with the line in every complaint."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

from twoway.credential import read
from twoway.trust.rules import KEYS, MAX_CONDITIONS, BadRule, Condition, Kind, Rule, condition

MAX_RULES = 100_000
MAX_POLICY_FILE = 16 * 1024 * 1024
_HEADER = re.compile(r"\s*\[\[\s*(allow|deny)\s*\]\]")
_EXTRA = ("name", "anyone")


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file in its order; raises BadRule, or a CredentialError when it cannot be read."""
    return parse_rules(read(path, limit=MAX_POLICY_FILE), where=str(path))


def parse_rules(data: bytes, *, where: str = "policy") -> tuple[Rule, ...]:
    """The rules of TOML text in its order; an empty text is an empty policy, which denies. Raises BadRule."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadRule(f"{where}:{line}", "the file is not UTF-8 text", "save it as UTF-8") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRule(
            where, f"it is not TOML: {error}", 'a rule looks like [[allow]] and below it uri = "spiffe://…"'
        ) from None
    except RecursionError:
        raise BadRule(where, "it is nested too deeply", "rules are flat tables") from None
    lines = text.split("\n")
    headers = _header_lines(lines)
    for key in document:
        if key not in ("allow", "deny"):
            raise BadRule(
                f"{where}:{_line_of(lines, key, 0)}",
                f"there is no {key!r} in a policy",
                _meant(key, ("allow", "deny")),
            )
    rules: list[tuple[int, Rule]] = []
    for kind in ("allow", "deny"):
        tables = document.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise BadRule(
                f"{where}:{_line_of(lines, kind, 0)}",
                f"expected tables [[{kind}]], got another value",
                f"write [[{kind}]] above each rule",
            )
        if len(tables) > MAX_RULES:
            raise BadRule(where, f"expected at most {MAX_RULES} rules, got {len(tables)}", "use patterns")
        places = headers[kind]
        for number, table in enumerate(tables):
            line = places[number] if number < len(places) else 1
            rules.append((line, _rule(kind, table, where, line, lines)))
    rules.sort(key=lambda entry: entry[0])
    return tuple(rule for _, rule in rules)


def _rule(kind: Kind, table: dict[str, Any], where: str, line: int, lines: list[str]) -> Rule:
    place = f"{where}:{line}"
    conditions: list[Condition] = []
    if len(table) > MAX_CONDITIONS:
        raise BadRule(place, f"expected at most {MAX_CONDITIONS} keys in a rule, got {len(table)}")
    name, anyone = table.get("name", ""), table.get("anyone", False)
    if not isinstance(name, str) or not isinstance(anyone, bool):
        raise BadRule(place, "name is text and anyone is true or false")
    for key, value in table.items():
        if key in _EXTRA:
            continue
        at = f"{where}:{_line_of(lines, key, line)}"
        if key not in KEYS:
            raise BadRule(at, f"there is no key {key!r} in a rule", _meant(key, KEYS + _EXTRA))
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise BadRule(at, f"expected text or a list of texts for {key}, got {type(value).__name__}")
        conditions.append(condition(key, tuple(values), at))
    if anyone and conditions:
        raise BadRule(place, "anyone = true and a condition contradict each other", "keep one of them")
    return Rule(kind, tuple(conditions), place, name, anyone)


def _header_lines(lines: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"allow": [], "deny": []}
    for number, line in enumerate(lines, 1):
        if match := _HEADER.match(line):
            found[match[1]].append(number)
    return found


def _line_of(lines: list[str], key: str, after: int) -> int:
    """The line on which a key is set, looking from a header on; the header's own line when it is not found."""
    pattern = re.compile(rf"""\s*\[{{0,2}}\s*["']?{re.escape(key)}["']?\s*(=|\])""")
    for number in range(after + 1, len(lines) + 1):
        if pattern.match(lines[number - 1]):
            return number
        if after and _HEADER.match(lines[number - 1]):
            break
    return after or 1


def _meant(key: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return (
        f"did you mean {close[0]}? there are {', '.join(known)}" if close else f"there are {', '.join(known)}"
    )
