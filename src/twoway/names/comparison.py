"""Presented names as they are compared: one spelling for one name, and none for a name that could be two.

| kind | compared | never comparable |
|---|---|---|
| dns | without case, label by label | not ASCII, an empty label, a final dot, a wildcard |
| email | the domain without case, the local part exactly | not ASCII, quoted local parts |
| ip | as an address | what is no address, a zone, IPv4 within IPv6 |
| uri | scheme and host without case, the rest exactly, segment by segment | relative or empty segments, users, queries, fragments, percent-encoding that hides a plain character |
| fingerprint | without case and colons | |
| method | exactly | what is not in capital letters |
| path | of a request: exactly, with its plain characters decoded | what servers read differently: relative or empty segments, `;`, encoded dots, separators, per cents and controls |
| others | exactly, in Unicode's composed form (NFC) | characters that cannot be seen |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote_to_bytes

from twoway.names.kinds import MAX_NAME
from twoway.names.spiffe import SCHEME, spiffe_problem

Groups = tuple[tuple[str, ...], ...]
MAX_SEGMENTS = 256  # in one name; keeps the cost of `**` small whatever somebody presents
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_URI_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
# RFC 3986 §3.3: what a path may have, percent-encoding and separators aside.
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/%-]*")
_ENCODED = re.compile(r"%(.{0,2})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~")
# An encoded one of these is another spelling of a plain one, or a separator in disguise.
_NEVER_ENCODED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\\%\x7f" + bytes(range(32))
)


class Incomparable(ValueError):
    """Why a name is compared with nothing; stays within this package."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """A name in its one spelling, in the groups of segments within which wildcards work."""

    kind: str
    text: str
    groups: Groups
    address: IPv4Address | IPv6Address | None = None


@lru_cache(maxsize=8192)
def comparable(kind: str, value: str) -> Comparable | None:
    """The name as it is compared, or None for one that no rule may ever match."""
    try:
        return _compare(kind, value)
    except Incomparable:
        return None


def problem_of(kind: str, value: str) -> str | None:
    """Why a name can be compared with nothing; None when it can."""
    try:
        _compare(kind, value)
    except Incomparable as problem:
        return str(problem)
    return None


def normalised(kind: str, value: str) -> str | None:
    """The name in its one spelling, or None for one that no rule may ever match."""
    found = comparable(kind, value)
    return found.text if found is not None else None


def _compare(kind: str, value: str) -> Comparable:
    if not value:
        raise Incomparable("it is empty")
    if len(value) > MAX_NAME:
        raise Incomparable(f"it is longer than {MAX_NAME} characters")
    if not value.isprintable():
        raise Incomparable("it has characters that cannot be seen")
    found = _COMPARE.get(kind, _text)(value)
    if sum(map(len, found.groups)) > MAX_SEGMENTS:
        raise Incomparable(f"it has more than {MAX_SEGMENTS} segments")
    return found


def _text(value: str) -> Comparable:
    text = unicodedata.normalize("NFC", value)
    return Comparable("text", text, ((text,),))


def _fingerprint(value: str) -> Comparable:
    text = value.lower().replace(":", "").removeprefix("sha256=")
    if not _SHA256.fullmatch(text):
        raise Incomparable("it is not 64 hexadecimal digits of SHA-256")
    return Comparable("fingerprint", text, ((text,),))


def _dns(value: str) -> Comparable:
    if "*" in value:
        raise Incomparable("a wildcard is not the name of one machine")
    text = host_text(value)
    return Comparable("dns", text, (tuple(text.split(".")),))


def _email(value: str) -> Comparable:
    local, _, domain = value.rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise Incomparable("it needs one @ with a plain local part in front")
    host = host_text(domain)
    return Comparable("email", f"{local}@{host}", ((local,), tuple(host.split("."))))


def _ip(value: str) -> Comparable:
    try:
        address = ip_address(value.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise Incomparable("it is neither IPv4 nor IPv6") from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise Incomparable("a zone means something on one machine only")
        if address.ipv4_mapped is not None:
            # Name constraints compare its sixteen bytes, and not the four that it stands for.
            raise Incomparable(f"IPv4 within IPv6 is written as IPv4 ({address.ipv4_mapped})")
    text = str(address)
    return Comparable("ip", text, (tuple(text.split(".")),), address)


def _uri(value: str) -> Comparable:
    match = _URI_SCHEME.match(value)
    if match is None:
        raise Incomparable("it has no scheme")
    scheme, rest = match[1].lower(), value[match.end() :]
    if scheme == "spiffe":
        _check_spiffe(value)
    if not rest.startswith("//"):
        path = path_text(rest)
        return Comparable("uri", f"{scheme}:{path}", ((f"{scheme}:",), tuple(path.split("/"))))
    authority, slash, raw_path = rest[2:].partition("/")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise Incomparable("its authority is not a host with at most a port")
    host = host_text(parts[1]) if not parts[1].startswith("[") else f"[{_ip(parts[1]).text}]"
    labels = tuple(host.split(".")) if not host.startswith("[") else (host,)
    port = parts[2]
    path = path_text(raw_path)
    text = f"{scheme}://{host}{f':{port}' if port else ''}{slash}{path}"
    groups: Groups = ((f"{scheme}://",), labels, (port or "",))
    return Comparable("uri", text, (*groups, tuple(path.split("/"))) if slash else groups)


def _check_spiffe(value: str) -> None:
    authority, slash, path = value[len(SCHEME) :].partition("/")
    problem = spiffe_problem(f"{value[: len(SCHEME)]}{authority.lower()}{slash}{path}")
    if problem is not None:
        raise Incomparable(problem)


def host_text(value: str) -> str:
    """A host name in lower case; raises Incomparable for what is none."""
    if not value.isascii():
        # Lower case is safe within ASCII only: U+212A would become a plain k.
        raise Incomparable("a host name is written in ASCII")
    host = value.lower()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise Incomparable("its host is not made of labels of letters, digits, dashes and underscores")
    return host


def path_text(path: str) -> str:
    """A path that means one thing to every reader; raises Incomparable. Percent-encoding gets upper case."""
    if "?" in path or "#" in path:
        raise Incomparable("a query or a fragment is no part of an identity")
    if not _PATH.fullmatch(path):
        raise Incomparable("its path has characters that a URI encodes")
    for code in _ENCODED.findall(path):
        if not _HEX.fullmatch(code) or int(code, 16) in _NEVER_ENCODED:
            raise Incomparable("its path hides a character behind percent-encoding")
    segments = path.split("/")
    for position, segment in enumerate(segments):
        # Some readers cut parameters off a segment before they resolve it: "..;x" is "..".
        if segment.split(";", 1)[0] in (".", ".."):
            raise Incomparable("its path has a relative segment")
        if not segment and position < len(segments) - 1:
            raise Incomparable("its path has an empty segment")
    return _ENCODED.sub(lambda match: match[0].upper(), path) if "%" in path else path


def _method(value: str) -> Comparable:
    if not _METHOD.fullmatch(value):
        # RFC 9110 §9.1: methods are case-sensitive, and not every server knows.
        raise Incomparable("a method is written in capital letters")
    return Comparable("method", value, ((value,),))


def _path(value: str) -> Comparable:
    text = request_path_text(value)
    return Comparable("path", text, (tuple(text[1:].split("/")),))


def request_path_text(path: str) -> str:
    """The path of a request that means one thing to every server; raises Incomparable.

    RFC 3986 §6.2.2.2: plain characters that were encoded are decoded, since every reader does that.
    """
    if not path.startswith("/"):
        raise Incomparable("it does not begin with /")
    if ";" in path:
        raise Incomparable("some servers cut it off at the ;")
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        # RFC 3629 §3: an overlong encoding of a dot or a slash is none, and some readers take it for one.
        raise Incomparable("its encoded bytes are no UTF-8") from None
    return "/" + path_text(_ENCODED.sub(_decoded, path[1:]))


def _decoded(match: re.Match[str]) -> str:
    plain = _HEX.fullmatch(match[1]) is not None and int(match[1], 16) in _PLAIN
    return chr(int(match[1], 16)) if plain else match[0]


_COMPARE: dict[str, Callable[[str], Comparable]] = {
    "dns": _dns,
    "email": _email,
    "ip": _ip,
    "uri": _uri,
    "fingerprint": _fingerprint,
    "method": _method,
    "path": _path,
}
