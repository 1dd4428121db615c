"""What an order is for: DNS names, wildcards and addresses (RFC 8555 §7.1.3, RFC 8738 §3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twoway.authority.constraints import Constraints
from twoway.authority.final import judge_name
from twoway.authority.profiles import NameRules, Profile
from twoway.authority.refusals import NameRefused
from twoway.authority.request import MAX_NAMES, Request
from twoway.enroll.acme.faults import IdentifiersRefused, Malformed, RequestMismatch
from twoway.enroll.acme.problem import document
from twoway.names import BadName, Names, parse_dns_name, parse_ip

_PARSERS = {"dns": parse_dns_name, "ip": parse_ip}


@dataclass(frozen=True, slots=True)
class Identifier:
    """One name, normalised: `dns` with `*.` in front for a wildcard, or `ip`."""

    kind: str
    value: str

    @property
    def is_wildcard(self) -> bool:
        return self.value.startswith("*.")

    def as_dict(self) -> dict[str, str]:
        return {"type": self.kind, "value": self.value}


def parse(asked: object) -> tuple[Identifier, ...]:
    """The identifiers of a newOrder, each once. Raises Malformed, and IdentifiersRefused naming all that are none."""
    if not isinstance(asked, list) or not asked:
        raise Malformed("expected a list of identifiers")
    if len(asked) > MAX_NAMES:
        raise Malformed(f"expected at most {MAX_NAMES} identifiers, got {len(asked)}")
    found: list[Identifier] = []
    problems: list[dict[str, object]] = []
    for each in asked:
        if not isinstance(each, dict) or not all(isinstance(each.get(part), str) for part in _PARTS):
            raise Malformed("an identifier has a type and a value, both text")
        kind, value = each["type"], each["value"]
        shown = {"type": kind[:32], "value": value[:256]}
        parser = _PARSERS.get(kind)
        if parser is None:
            told = f"expected an identifier of type dns or ip, got {kind[:32]!r}"
            problems.append(document("unsupportedIdentifier", told, identifier=shown))
            continue
        try:
            found.append(Identifier(kind, parser(value)))
        except BadName as failure:
            problems.append(document("rejectedIdentifier", str(failure), identifier=shown))
    if problems:
        raise IdentifiersRefused(problems)
    return tuple(dict.fromkeys(found))


def judge(
    identifiers: Iterable[Identifier], profile: Profile, limits: Constraints, account: NameRules | None
) -> None:
    """Raise IdentifiersRefused, with one subproblem for each name that would not be certified in the end.

    Judged are the profile's names, the CA's name constraints and what the account's external key is bound to.
    """
    problems = []
    for identifier in identifiers:
        kind, value = identifier.kind, identifier.value
        try:
            judge_name(kind, value, profile, limits)
            if account is not None and not account.allows(kind, value):
                allows = ", ".join(getattr(account, kind)) or "none of this kind"
                raise NameRefused(kind, value, f"the account is bound to {allows}")
        except NameRefused as failure:
            problems.append(document("rejectedIdentifier", str(failure), identifier=identifier.as_dict()))
    if problems:
        raise IdentifiersRefused(problems)


def exactly(identifiers: Sequence[Identifier], asked: Request) -> None:
    """Raise RequestMismatch unless a signing request is for these names, all of them and no others.

    RFC 8555 §7.4: the request MUST indicate the exact same set of identifiers. The common name counts as one of them.
    """
    names = asked.names
    wanted = {("dns", value) for value in names.dns} | {("ip", value) for value in names.ip}
    if names.uri or names.email:
        raise RequestMismatch("the signing request asks for names that are neither dns nor ip")
    ordered = {(identifier.kind, identifier.value) for identifier in identifiers}
    if asked.common_name is not None:
        wanted |= _of_common_name(asked.common_name, ordered)
    if wanted != ordered:
        more = ", ".join(value for _, value in sorted(wanted - ordered))
        less = ", ".join(value for _, value in sorted(ordered - wanted))
        raise RequestMismatch(
            "the signing request and the order differ: "
            + "; ".join(
                [*([f"not ordered: {more}"] if more else []), *([f"missing: {less}"] if less else [])]
            )
        )


def _of_common_name(name: str, ordered: set[tuple[str, str]]) -> set[tuple[str, str]]:
    found = {(kind, value) for kind, value in ordered if value == name.lower()}
    if not found:
        raise RequestMismatch(f"the signing request's common name {name[:64]!r} was not ordered")
    return found


def as_names(identifiers: Iterable[Identifier]) -> Names:
    """The names of the certificate."""
    listed = tuple(identifiers)
    return Names(
        dns=tuple(each.value for each in listed if each.kind == "dns"),
        ip=tuple(each.value for each in listed if each.kind == "ip"),
    )


def as_text(identifiers: Iterable[Identifier]) -> str:
    return json.dumps([each.as_dict() for each in identifiers], separators=(",", ":"))


def stored(text: str) -> tuple[Identifier, ...]:
    found: list[dict[str, Any]] = json.loads(text)
    return tuple(Identifier(each["type"], each["value"]) for each in found)


_PARTS = ("type", "value")
