"""Names that certificates carry: how each kind is written, and when one matches another; pure.

Matching is exact text comparison after normalisation, label by label or segment by segment. Wildcards count
only in patterns, never in the names that somebody presents.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from twoway.errors import ConfigError

Kind = Literal["dns", "ip", "uri", "email", "text"]
MAX_NAME = 2048
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_SPIFFE_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SPIFFE_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_URI_TEXT = re.compile(r"[!-~]+")


class BadName(ConfigError):
    """A name is not written as its kind demands."""

    code = "bad_name"

    def __init__(self, kind: str, text: str, problem: str) -> None:
        super().__init__(kind, text, problem)
        self.kind, self.text, self.problem = kind, text, problem

    def __str__(self) -> str:
        return f"{self.text[:80]!r} is not a {_WORDS.get(self.kind, self.kind)}: {self.problem}"

    @property
    def remedy(self) -> str:
        return f"write it like {_EXAMPLES[self.kind]}" if self.kind in _EXAMPLES else ""

    @property
    def evidence(self) -> dict[str, object]:
        return {"kind": self.kind, "text": self.text[:MAX_NAME], "problem": self.problem}


_WORDS = {"dns": "DNS name", "ip": "IP address", "uri": "URI", "email": "mail address"}
_EXAMPLES = {
    "dns": "api.acme.example or *.acme.example",
    "ip": "192.0.2.7 or 2001:db8::7",
    "uri": "spiffe://acme.example/orders",
    "email": "kim@acme.example",
}


@dataclass(frozen=True, slots=True)
class Names:
    """The subject alternative names of one certificate, normalised, in its order."""

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    email: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dns or self.ip or self.uri or self.email)

    def __str__(self) -> str:
        told = [f"{kind}:{name}" for kind, names in self.as_dict().items() for name in names]
        return ", ".join(told) or "no names"

    def as_dict(self) -> dict[str, list[str]]:
        """The names by kind, ready for JSON; kinds without a name are there as empty lists."""
        return {"dns": list(self.dns), "ip": list(self.ip), "uri": list(self.uri), "email": list(self.email)}


# -- writing ------------------------------------------------------------------------------------------


def parse_dns_name(text: str) -> str:
    """The name in lower case as A-labels, without a final dot; raises BadName.

    A wildcard may only be the whole left-most label of at least three (RFC 9525 §6.3). Not checked:
    whether the name exists.
    """
    name = text.removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise BadName("dns", text, "it has no form in ASCII (IDNA)") from error
    name = name.lower()
    if not name or len(name) > 253:
        raise BadName("dns", text, "it is empty" if not name else "it is longer than 253 characters")
    labels = name.split(".")
    if labels[0] == "*":
        if len(labels) < 3:
            raise BadName("dns", text, "a wildcard needs at least two labels behind it")
        labels = labels[1:]
    for label in labels:
        if not _LABEL.fullmatch(label):
            why = (
                "a wildcard may only be the whole first label"
                if "*" in label
                else f"the label {label!r} is not valid"
            )
            raise BadName("dns", text, why)
    if all(label.isdecimal() for label in labels):
        raise BadName("dns", text, "it reads as an IP address")
    return name


def parse_ip(text: str) -> str:
    """The address in its shortest form, without brackets or a zone; raises BadName."""
    if "%" in text:
        raise BadName("ip", text, "a zone means something on one machine only")
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise BadName("ip", text, "it is neither IPv4 nor IPv6") from error


def is_ip(text: str) -> bool:
    """Whether `text` is a literal IPv4 or IPv6 address."""
    try:
        parse_ip(text)
    except BadName:
        return False
    return True


def parse_uri(text: str) -> str:
    """The URI with scheme and host in lower case; raises BadName. A SPIFFE ID must be a valid one."""
    if not text or len(text) > MAX_NAME:
        raise BadName("uri", text, f"it must have 1 to {MAX_NAME} characters")
    if not _URI_TEXT.fullmatch(text):
        raise BadName("uri", text, "it has characters that must be percent-encoded (RFC 3986 §2)")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise BadName("uri", text, str(error)) from error
    if not parts.scheme or not _SCHEME.match(text):
        raise BadName("uri", text, "it has no scheme")
    if parts.scheme.lower() == "spiffe":
        problem = _spiffe_problem(text)
        if problem:
            raise BadName("uri", text, problem)
    rest = text[len(parts.scheme) :]
    if parts.netloc:
        return f"{parts.scheme.lower()}://{parts.netloc.lower()}{rest[3 + len(parts.netloc) :]}"
    return parts.scheme.lower() + rest


def parse_email(text: str) -> str:
    """The mail address with its domain in lower case; raises BadName (RFC 5280 §4.2.1.6, rfc822Name)."""
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local):
        raise BadName("email", text, "it needs one @ with a plain local part in front")
    try:
        host = parse_dns_name(domain)
    except BadName as error:
        raise BadName("email", text, error.problem) from error
    if host.startswith("*"):
        raise BadName("email", text, "its domain is a wildcard")
    return f"{local}@{host}"


def guess_kind(name: str) -> Kind:
    """Which kind of name this is most likely meant to be; "text" when it can be no name."""
    for kind, parse in (
        ("ip", parse_ip),
        ("uri", parse_uri),
        ("email", parse_email),
        ("dns", parse_dns_name),
    ):
        try:
            parse(name)
        except BadName:
            continue
        return kind  # type: ignore[return-value]
    return "text"


# -- SPIFFE -------------------------------------------------------------------------------------------


def spiffe_id(uris: tuple[str, ...]) -> str | None:
    """The SPIFFE ID among the URIs, or None: an X.509-SVID has exactly one URI (X509-SVID §2)."""
    if len(uris) != 1 or not uris[0].lower().startswith("spiffe:"):
        return None
    return uris[0] if _spiffe_problem(uris[0]) is None else None


def _spiffe_problem(text: str) -> str | None:
    """What the SPIFFE-ID specification §2 has against this text; None when it is valid."""
    if not text.lower().startswith("spiffe://"):
        return "a SPIFFE ID begins with spiffe://"
    domain, slash, path = text[len("spiffe://") :].partition("/")
    if not _SPIFFE_DOMAIN.fullmatch(domain):
        return "its trust domain may have lower-case letters, digits, dots, dashes and underscores only"
    if not slash:
        return None
    for segment in path.split("/"):
        if not segment:
            return "its path has an empty segment or ends in a slash"
        if segment in (".", ".."):
            return "its path has a relative segment"
        if not _SPIFFE_SEGMENT.fullmatch(segment):
            return "its path may have letters, digits, dots, dashes and underscores only"
    return None


# -- matching -----------------------------------------------------------------------------------------


def matches_hostname(pattern: str, host: str) -> bool:
    """Whether a presented DNS name covers a host name (RFC 9525 §6.3): `*` stands for one whole left label."""
    pattern, host = pattern.lower().removesuffix("."), host.lower().removesuffix(".")
    if not pattern or not host or "\0" in pattern or "*" in host:
        return False
    if not pattern.startswith("*."):
        return "*" not in pattern and pattern == host
    rest = pattern[2:]
    label, dot, domain = host.partition(".")
    return bool(label and dot and "*" not in rest and "." in rest and domain == rest)


def matches_pattern(kind: str, pattern: str, value: str) -> bool:
    """Whether a policy's pattern covers a presented value: `*` within one segment, `**` across segments.

    Segments end at "." in DNS names and mail domains, at "/" in URIs, nowhere in other kinds. DNS names,
    mail domains, fingerprints and addresses compare without case, everything else exactly.
    """
    return compile_pattern(kind, pattern).matches(value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A policy's pattern, ready to match in time linear in the value."""

    kind: str
    text: str
    exact: str | None
    segments: tuple[str, ...]

    def matches(self, value: str) -> bool:
        found = normalised(self.kind, value)
        if found is None:
            return False
        if self.exact is not None:
            return found == self.exact
        return _match_segments(self.segments, split_segments(self.kind, found))


def compile_pattern(kind: str, text: str) -> Pattern:
    """Prepare a pattern; raises BadName when it can never match a name of its kind."""
    if not text or len(text) > MAX_NAME or any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise BadName(kind, text, "a pattern has 1 to 2048 printable characters")
    if "***" in text:
        raise BadName(kind, text, "a pattern has * or **, never more")
    if "*" not in text:
        exact = normalised(kind, text)
        if exact is None:
            raise BadName(kind, text, "nothing of its kind can look like this")
        return Pattern(kind, text, exact, ())
    lowered = _lowered(kind, text)
    segments = split_segments(kind, lowered)
    if kind == "uri":
        scheme, _, authority = lowered.partition("://")
        if "*" in scheme or not authority:
            raise BadName(kind, text, "the scheme of a URI pattern is written out")
    for segment in segments:
        if "**" in segment and segment != "**":
            raise BadName(kind, text, "** stands for whole segments: write it between separators")
        if kind == "uri" and segment in (".", ".."):
            raise BadName(kind, text, "a URI pattern has no relative segments")
    return Pattern(kind, text, None, segments)


def normalised(kind: str, value: str) -> str | None:
    """The value as it is compared, or None for one that no rule may ever match."""
    if not value or len(value) > MAX_NAME or any(ord(c) < 32 or ord(c) == 127 for c in value):
        return None
    if kind == "dns":
        # A wildcard that somebody presents is no name of a machine: no rule is about it.
        return value.lower() if value.isascii() and not value.endswith(".") and "*" not in value else None
    if kind == "ip":
        try:
            return parse_ip(value)
        except BadName:
            return None
    if kind == "email":
        local, at, domain = value.rpartition("@")
        return f"{local}@{domain.lower()}" if at and local and "@" not in local else None
    if kind == "uri":
        return _comparable_uri(value)
    if kind == "fingerprint":
        return value.lower().replace(":", "").removeprefix("sha256=")
    return value


def _comparable_uri(value: str) -> str | None:
    """A URI whose path means what it says: no relative or empty segment, no encoded separator, no user."""
    if not value.isascii() or "\\" in value or "://" not in value:
        return value if value.isascii() and ":" in value and "://" not in value else None
    scheme, _, rest = value.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority or not authority:
        return None
    lowered = path.lower()
    if any(code in lowered for code in ("%2f", "%5c", "%2e", "%00")):
        return None
    if scheme.lower() == "spiffe" and _spiffe_problem(f"spiffe://{authority.lower()}{slash}{path}"):
        return None
    if any(segment in (".", "..") or not segment for segment in path.split("/")[:-1]) or path in (".", ".."):
        return None
    if path.split("/")[-1] in (".", ".."):
        return None
    return f"{scheme.lower()}://{authority.lower()}{slash}{path}"


def _lowered(kind: str, text: str) -> str:
    if kind in ("dns", "fingerprint"):
        return text.lower()
    if kind == "email":
        local, at, domain = text.rpartition("@")
        return f"{local}{at}{domain.lower()}"
    if kind == "uri" and "://" in text:
        scheme, _, rest = text.partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme.lower()}://{authority.lower()}{slash}{path}"
    return text


def split_segments(kind: str, value: str) -> tuple[str, ...]:
    if kind == "dns":
        return tuple(value.split("."))
    if kind == "email":
        local, _, domain = value.rpartition("@")
        return (f"{local}@", *domain.split("."))
    if kind == "uri" and "://" in value:
        scheme, _, rest = value.partition("://")
        return (f"{scheme}://", *rest.split("/"))
    return (value,)


def _match_segments(pattern: tuple[str, ...], value: tuple[str, ...]) -> bool:
    """Glob over segments with one remembered `**`: linear for practical sizes, never exponential."""
    p = v = 0
    star, mark = -1, 0
    while v < len(value):
        if p < len(pattern) and pattern[p] == "**":
            # `**` stands for one segment or more: orders/** does not match orders.
            star, mark = p, v + 1
            p, v = p + 1, v + 1
        elif p < len(pattern) and _match_text(pattern[p], value[v]):
            p, v = p + 1, v + 1
        elif star >= 0:
            mark += 1
            p, v = star + 1, mark
        else:
            return False
    return p == len(pattern)


def _match_text(pattern: str, value: str) -> bool:
    """Glob over the characters of one segment; `*` stands for one character or more."""
    if "*" not in pattern:
        return pattern == value
    p = v = 0
    star, mark = -1, 0
    while v < len(value):
        if p < len(pattern) and pattern[p] == "*":
            star, mark = p, v + 1
            p, v = p + 1, v + 1
        elif p < len(pattern) and pattern[p] == value[v]:
            p, v = p + 1, v + 1
        elif star >= 0:
            mark += 1
            p, v = star + 1, mark
        else:
            return False
    return p == len(pattern)
