"""Patterns of a policy: `*` within one segment, `**` across segments, never across what a name is made of.

A name falls into groups (a URI: scheme, host, port, path; a mail address: local part, domain), a group into
segments (ended by "." in hosts and addresses, by "/" in paths). Matching never leaves a group, so no path
can pass for a host. Its cost is linear in the text of a segment, and bounded by MAX_SEGMENTS across them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from twoway.names.comparison import (
    Comparable,
    Groups,
    Incomparable,
    comparable,
    path_text,
    problem_of,
    request_path_text,
)
from twoway.names.kinds import MAX_NAME, BadName

_ANY = "1"  # fits wherever a wildcard may stand: in a label, a port, a path, a common name


def matches_pattern(kind: str, pattern: str, value: str) -> bool:
    """Whether a policy's pattern covers a presented value: `*` within one segment, `**` across segments.

    `*` stands for one character or more, `**` for one segment or more; how values are compared is said in
    `twoway.names.comparison`. Raises BadName for a pattern that can never match.
    """
    return compile_pattern(kind, pattern).matches(value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A policy's pattern, ready to match: one exact name, a network of addresses, or groups with wildcards."""

    kind: str
    text: str
    exact: str | None = None
    network: IPv4Network | IPv6Network | None = None
    groups: Groups = ()

    def matches(self, value: str) -> bool:
        found = comparable(self.kind, value)
        return found is not None and self.covers(found)

    def may_match(self, value: str) -> bool:
        """Whether it covers the value, or might: a value that cannot be compared may be anything."""
        found = comparable(self.kind, value)
        if found is not None:
            return self.covers(found)
        if self.kind != "dns" or not value.startswith("*."):
            return True
        # A presented wildcard stands for every first label, and so for the one that the pattern has.
        first = (self.exact or ".".join(self.groups[0])).split(".", 1)[0]
        found = comparable("dns", first.replace("**", _ANY).replace("*", _ANY) + value[1:])
        return found is None or self.covers(found)

    def covers(self, name: Comparable) -> bool:
        """Whether it covers a name that is known to be comparable and of its kind."""
        if self.exact is not None:
            return name.text == self.exact
        if self.network is not None:
            return name.address is not None and name.address in self.network
        return len(self.groups) == len(name.groups) and all(map(_match_group, self.groups, name.groups))


def compile_pattern(kind: str, text: str) -> Pattern:
    """Prepare a pattern; raises BadName when it can never match a name of its kind."""
    if not text or len(text) > MAX_NAME or not text.isprintable():
        raise BadName(kind, text, f"a pattern has 1 to {MAX_NAME} printable characters")
    if "***" in text:
        raise BadName(kind, text, "a pattern has * or **, never more")
    if kind == "ip":
        return _ip_pattern(text)
    # What stands where the wildcards are must make a name: else nothing ever matches.
    example = text.replace("**", _ANY).replace("*", _ANY)
    name = comparable(kind, example)
    if name is None:
        raise BadName(kind, text, f"nothing can match it: {problem_of(kind, example)}")
    if "*" not in text:
        return Pattern(kind, text, exact=name.text)
    if kind == "fingerprint":
        raise BadName(kind, text, "a fingerprint is written whole")
    try:
        groups = _GROUPS.get(kind, _text_groups)(text)
    except Incomparable as problem:
        raise BadName(kind, text, str(problem)) from None
    if any("**" in segment and segment != "**" for group in groups for segment in group):
        raise BadName(kind, text, "** stands for whole segments: write it between separators")
    return Pattern(kind, text, groups=groups)


def _text_groups(text: str) -> Groups:
    return ((unicodedata.normalize("NFC", text),),)


def _dns_groups(text: str) -> Groups:
    return (tuple(text.lower().split(".")),)


def _email_groups(text: str) -> Groups:
    local, _, domain = text.rpartition("@")
    return ((local,), *_dns_groups(domain))


def _uri_groups(text: str) -> Groups:
    scheme, _, rest = text.partition(":")
    if not rest.startswith("//"):
        return ((f"{scheme.lower()}:",), tuple(path_text(rest).split("/")))
    authority, slash, path = rest[2:].partition("/")
    groups: Groups = ((f"{scheme.lower()}://",), *_authority_groups(authority))
    return (*groups, tuple(path_text(path).split("/"))) if slash else groups


def _path_groups(text: str) -> Groups:
    return (tuple(request_path_text(text)[1:].split("/")),)


def _authority_groups(authority: str) -> Groups:
    if not authority.startswith("["):
        host, _, port = authority.partition(":")
        return (*_dns_groups(host), (port,))
    literal, _, port = authority[1:].partition("]")
    address = comparable("ip", literal)
    if address is None:
        raise Incomparable("an address in brackets has no wildcard")
    return ((f"[{address.text}]",), (port.removeprefix(":"),))


def _ip_pattern(text: str) -> Pattern:
    """An address, a network (10.0.0.0/8), or IPv4 octets with wildcards (10.0.0.*)."""
    if "*" in text:
        octets = text.split(".")
        if ":" in text or not all(each in ("*", "**") or each.isdecimal() for each in octets):
            raise BadName(
                "ip", text, "a wildcard stands for a whole octet of IPv4; for others write a network"
            )
        if len(octets) > 4 or ("**" not in octets and len(octets) < 4):
            raise BadName("ip", text, "an IPv4 address has four octets: write 10.0.*.* or 10.0.0.0/16")
        return Pattern("ip", text, groups=(tuple(octets),))
    if "/" not in text:
        name = comparable("ip", text)
        if name is None:
            raise BadName("ip", text, f"nothing can match it: {problem_of('ip', text)}")
        return Pattern("ip", text, exact=name.text)
    try:
        network = ip_network(text)
    except ValueError as error:
        raise BadName("ip", text, str(error)) from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise BadName("ip", text, "IPv4 addresses are compared as IPv4: write the IPv4 network")
    return Pattern("ip", text, network=network)


_GROUPS = {"dns": _dns_groups, "email": _email_groups, "uri": _uri_groups, "path": _path_groups}


# -- matching -----------------------------------------------------------------------------------------


def _match_group(pattern: tuple[str, ...], value: tuple[str, ...]) -> bool:
    """Glob over the segments of one group; `**` stands for one segment or more, found left to right."""
    p = v = 0
    star, mark = -1, 0
    while v < len(value):
        if p < len(pattern) and pattern[p] == "**":
            star, mark = p, v + 1
            p, v = p + 1, v + 1
        elif p < len(pattern) and match_segment(pattern[p], value[v]):
            p, v = p + 1, v + 1
        elif star >= 0:
            mark += 1
            p, v = star + 1, mark
        else:
            return False
    return p == len(pattern)


def match_segment(pattern: str, value: str) -> bool:
    """Glob over the characters of one segment; `*` stands for one character or more.

    Each literal piece is looked for once, from left to right, the last one at the end.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == value
    if not value.startswith(first):
        return False
    position = len(first)
    last = rest.pop()
    for piece in rest:
        found = value.find(piece, position + 1)
        if found < 0:
            return False
        position = found + len(piece)
    return len(value) - len(last) > position and value.endswith(last)
