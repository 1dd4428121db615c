"""The kinds of names: how each is written, and which one covers a host name."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from twoway.errors import ConfigError
from twoway.names.spiffe import spiffe_problem

Kind = Literal["dns", "ip", "uri", "email", "text"]
MAX_NAME = 2048
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
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


_WORDS = {"dns": "DNS name", "ip": "IP address", "uri": "URI", "email": "mail address", "path": "path"}
_EXAMPLES = {
    "dns": "api.acme.example or *.acme.example",
    "ip": "192.0.2.7 or 2001:db8::7",
    "uri": "spiffe://acme.example/orders",
    "email": "kim@acme.example",
    "method": "GET or POST",
    "path": "/orders/*/items or /orders/**",
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


_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# -- writing ------------------------------------------------------------------------------------------


def parse_dns_name(text: str) -> str:
    """The name in lower case as A-labels, without a final dot; raises BadName.

    A wildcard may only be the whole left-most label of at least three (RFC 9525 §6.3). Not checked:
    whether the name exists.
    """
    if len(text) > MAX_NAME:
        raise BadName("dns", text, "it is longer than 253 characters")
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
    if _NUMBER.fullmatch(labels[-1]):
        # RFC 1123 §2.1: the last label of a host name is alphabetic; other programs read this as an address.
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
        problem = spiffe_problem(text)
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


# -- covering a host name ------------------------------------------------------------------------------


def matches_hostname(pattern: str, host: str) -> bool:
    """Whether a presented DNS name covers a host name (RFC 9525 §6.3): `*` stands for one whole left label.

    Both are ASCII (A-labels), or the answer is no: outside of ASCII, lower case makes one name of two (the
    sign U+212A becomes k). A final dot is taken off the host only: a presented name with one would get around
    excluded subtrees. An address is covered by no DNS name.
    """
    if not pattern.isascii() or not host.isascii():
        return False
    pattern, host = pattern.lower(), host.lower().removesuffix(".")
    if not pattern or not host or "\0" in pattern or "*" in host:
        return False
    if not pattern.startswith("*."):
        return "*" not in pattern and pattern == host
    rest = pattern[2:]
    label, dot, domain = host.partition(".")
    return bool(label and dot and "*" not in rest and "." in rest and domain == rest) and not is_ip(host)
