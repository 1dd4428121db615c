"""Who asks, told to the target in header fields; and every name under which somebody else could say the same; pure.

| form | fields |
|---|---|
| rfc9440 | `Client-Cert`, `Client-Cert-Chain` |
| xfcc | `X-Forwarded-Client-Cert`, as Envoy writes it |
| named | any name, with one fact of the certificate |
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding

from twoway.errors import UsageError
from twoway.trust import Peer

CertHeaders = Literal["rfc9440", "xfcc", "none"]
CERT_HEADERS: tuple[CertHeaders, ...] = ("rfc9440", "xfcc", "none")
# Whatever of these comes in is stripped, also when the gateway sends none of them: nobody vouches for it. What ends in
# a dash is the beginning of names.
CLAIMS = (
    b"Client-Cert", b"Client-Cert-Chain", b"Forwarded", b"X-Forwarded-", b"X-Original-Forwarded-For",
    b"X-Real-IP", b"X-Client-IP", b"X-Cluster-Client-IP", b"True-Client-IP", b"CF-Connecting-IP",
    b"SSL-", b"X-SSL", b"X-SSL-", b"X-TLS-Client-", b"X-Client-Cert", b"X-Client-Cert-", b"X-Client-Verify", b"X-Client-DN",
    b"X-Amzn-Mtls-", b"X-ARR-ClientCert", b"Cf-Client-Cert-",
)  # fmt: skip
_MOST_TOLD = 1024
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
# Fields that a target, or the way to it, reads for something else.
_NOT_OURS = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect", "via",
     "keep-alive", "authorization", "cookie", "content-type", "accept", "date", "x-forwarded-for", "x-forwarded-proto")
)  # fmt: skip
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def _text(value: str | None) -> str:
    """RFC 9110 §5.5 wants visible ASCII: everything else is percent-encoded UTF-8, and so is the per cent.

    So is space at either end, which a reader of header fields would take off: `admin ` is not `admin`.
    """
    return _spaced(quote(value or "", safe=_PLAIN))


def _list(values: Sequence[str]) -> str:
    """Several values, one after a comma and a space; a comma within one is percent-encoded."""
    return ", ".join(_spaced(quote(value, safe=_PLAIN.replace(",", ""))) for value in values)


def _spaced(text: str) -> str:
    inner = text.strip(" ")
    if inner == text:
        return text
    before = len(text) - len(text.lstrip(" "))
    return "%20" * before + inner + "%20" * (len(text) - before - len(inner))


def _der(peer: Peer) -> str:
    return base64.b64encode(peer.leaf.public_bytes(Encoding.DER)).decode("ascii")


def _pem(peer: Peer) -> str:
    return quote(peer.leaf.public_bytes(Encoding.PEM).decode("ascii"), safe="")


FACTS: dict[str, Callable[[Peer], str]] = {
    "subject": lambda peer: _text(peer.leaf.subject.rfc4514_string()),
    "cn": lambda peer: _text(peer.common_name),
    "o": lambda peer: _list(peer.organizations),
    "ou": lambda peer: _list(peer.organizational_units),
    "issuer": lambda peer: _text(peer.leaf.issuer.rfc4514_string()),
    "spiffe": lambda peer: _text(peer.spiffe_id),
    "uri": lambda peer: _list(peer.names.uri),
    "dns": lambda peer: _list(peer.names.dns),
    "ip": lambda peer: _list(peer.names.ip),
    "email": lambda peer: _list(peer.names.email),
    "serial": lambda peer: peer.serial,
    "fingerprint": lambda peer: peer.fingerprint,
    "not_before": lambda peer: peer.not_before.isoformat(),
    "not_after": lambda peer: peer.not_after.isoformat(),
    "der": _der,
    "pem": _pem,
    "verify": lambda _: "SUCCESS",
}


def parse_named(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read NAME=FACT as people write it; raises UsageError."""
    found: list[tuple[str, str]] = []
    for text in texts:
        name, equals, fact = text.partition("=")
        if not equals or _NAME.fullmatch(name) is None:
            raise UsageError(
                f"expected NAME=FACT, got {text!r}",
                "NAME is made of letters, digits and dashes: X-Client-Name=cn",
            )
        if name.lower() in _NOT_OURS:
            raise UsageError(
                f"{name} means something else to the target", "choose another name, as X-Client-Name"
            )
        if fact not in FACTS:
            raise UsageError(f"there is no fact {fact!r}", f"there are {', '.join(FACTS)}")
        if name.lower() in (one.lower() for one, _ in found):
            raise UsageError(f"{name} was given twice", "a header field tells one fact")
        found.append((name, fact))
    return tuple(found)


def check_forms(form: CertHeaders, named: Sequence[tuple[str, str]]) -> None:
    """Raises UsageError when a named header is the one that a form writes."""
    taken = {
        "rfc9440": ("client-cert", "client-cert-chain"),
        "xfcc": ("x-forwarded-client-cert",),
        "none": (),
    }[form]
    for name, _ in named:
        if name.lower() in taken:
            raise UsageError(
                f"{name} is written already", f"leave it out, or choose another form than {form}"
            )


class Identity:
    """The lines that tell a target who asks, and the names that are stripped for it."""

    def __init__(self, form: CertHeaders, named: Sequence[tuple[str, str]]) -> None:
        self._form, self._named = form, tuple(named)
        self._told: dict[tuple[object, ...], bytes] = {}

    @property
    def stripped(self) -> tuple[bytes, ...]:
        return (*CLAIMS, *(name.encode("ascii") for name, _ in self._named))

    def lines(self, peer: Peer | None, *, own_uris: Sequence[str] = ()) -> bytes:
        """Whole lines, for a client that was proven to be this one or has shown no certificate.

        `own_uris` are those of the certificate that the gateway has shown. Clients with the same certificate
        share the same bytes.
        """
        key = (peer.chain if peer is not None else (), *own_uris[:1])
        found = self._told.get(key)
        if found is None:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            found = self._told[key] = self._lines(peer, own_uris)
        return found

    def _lines(self, peer: Peer | None, own_uris: Sequence[str]) -> bytes:
        told = ["Via: 1.1 twoway", "X-Forwarded-Proto: https"]
        if peer is not None:
            if self._form == "rfc9440":
                told += _rfc9440(peer)
            elif self._form == "xfcc":
                told.append(f"X-Forwarded-Client-Cert: {_xfcc(peer, own_uris)}")
            told += [f"{name}: {FACTS[fact](peer)}" for name, fact in self._named]
        else:
            told += [f"{name}: NONE" for name, fact in self._named if fact == "verify"]
        return "".join(f"{line}\r\n" for line in told).encode("ascii")


def _xfcc(peer: Peer, own_uris: Sequence[str]) -> str:
    """One element: keys joined by semicolons, values quoted where they hold a separator."""
    pairs = [("By", uri) for uri in own_uris[:1]]
    pairs += [("Hash", peer.fingerprint), ("Cert", _pem(peer)), ("Subject", FACTS["subject"](peer))]
    pairs += [("URI", _text(uri)) for uri in peer.names.uri]
    pairs += [("DNS", _text(name)) for name in peer.names.dns]
    return ";".join(f"{key}={_quoted(key, value)}" for key, value in pairs)


def _rfc9440(peer: Peer) -> list[str]:
    """RFC 9440 §2.2 and §2.3: the leaf, then the authorities between it and the root, as Structured Field bytes."""
    between = [one for one in peer.chain[1:] if one.subject != one.issuer]
    told = [f"Client-Cert: :{_der(peer)}:"]
    if between:
        chain = (base64.b64encode(one.public_bytes(Encoding.DER)).decode("ascii") for one in between)
        told.append("Client-Cert-Chain: " + ", ".join(f":{one}:" for one in chain))
    return told


def _quoted(key: str, value: str) -> str:
    if key in ("Subject", "Cert"):  # RFC 4514 §2.4 has escaped its quotes, and a PEM that is encoded has none
        return f'"{value}"'
    if any(character in value for character in ',;="\\'):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return value
