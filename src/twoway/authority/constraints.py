"""Name constraints: what a CA may certify at all (RFC 5280 §4.2.1.10), to write them and to obey them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509

from twoway.errors import UsageError

_KINDS = ("dns", "ip", "uri", "email")


@dataclass(frozen=True, slots=True)
class Constraints:
    """Trees of names that a CA may (`permitted`) or may not (`excluded`) certify, each as `kind:value`.

    `dns:acme.example` covers that name and everything below; `ip:10.0.0.0/8` a network; `uri:acme.example` the host
    of a URI (for SPIFFE the trust domain) and `uri:.acme.example` the hosts below; `email:acme.example` likewise.
    A kind with no permitted tree is not limited.
    """

    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for tree in (*self.permitted, *self.excluded):
            _general_name(tree)

    def __bool__(self) -> bool:
        return bool(self.permitted or self.excluded)

    @classmethod
    def given(cls, constraints: Constraints | Iterable[str] | None) -> Constraints:
        """From what a caller may write: nothing, the permitted trees alone, or both kinds."""
        if isinstance(constraints, Constraints):
            return constraints
        return cls(tuple(constraints or ()))

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Constraints:
        """Those of a CA's certificate."""
        try:
            value = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return cls()
        return cls(
            tuple(_text(name) for name in value.permitted_subtrees or ()),
            tuple(_text(name) for name in value.excluded_subtrees or ()),
        )

    def extension(self) -> x509.NameConstraints:
        """The certificate extension that says the same."""
        return x509.NameConstraints(
            [_general_name(tree) for tree in self.permitted] or None,
            [_general_name(tree) for tree in self.excluded] or None,
        )

    def objection(self, kind: str, value: str) -> str | None:
        """Why a name of that kind may not be certified; None when it may."""
        for tree in self.excluded:
            if _covers(tree, kind, value, excluding=True):
                return f"the CA's name constraints exclude {tree}"
        permitted = [tree for tree in self.permitted if tree.startswith(f"{kind}:")]
        if permitted and not any(_covers(tree, kind, value) for tree in permitted):
            return f"the CA's name constraints permit only {', '.join(permitted)}"
        return None


def _covers(tree: str, kind: str, value: str, *, excluding: bool = False) -> bool:
    tree_kind, _, base = tree.partition(":")
    if tree_kind != kind:
        return False
    if kind == "dns":
        name = value.lower().removeprefix("*.")
        base = base.lower().removeprefix(".")
        # A wildcard reaches one label down, so it also names what lies directly below it.
        reaches = excluding and value.startswith("*.") and base.partition(".")[2] == name
        return not base or name == base or name.endswith(f".{base}") or reaches
    if kind == "ip":
        network = ipaddress.ip_network(base)
        address = ipaddress.ip_address(value)
        return address.version == network.version and address in network
    if kind == "email" and "@" in base:
        return value.rpartition("@")[::2] == (base.rpartition("@")[0], base.rpartition("@")[2].lower())
    host = value.rpartition("@")[2] if kind == "email" else (urlsplit(value).hostname or "")
    host, base = host.lower(), base.lower()
    return host.endswith(base) if base.startswith(".") else host == base


def _general_name(tree: str) -> x509.GeneralName:
    kind, _, base = tree.partition(":")
    if kind not in _KINDS or not base:
        raise UsageError(
            f"{tree!r} is no name constraint: expected dns:, ip:, uri: or email: and a name",
            "write for example dns:acme.example, ip:10.0.0.0/8, uri:acme.example or email:acme.example",
        )
    try:
        if kind == "ip":
            return x509.IPAddress(ipaddress.ip_network(base))
        if kind == "dns":
            return x509.DNSName(base)
        if kind == "email":
            return x509.RFC822Name(base)
        if "/" in base or ":" in base:
            raise ValueError("a URI is constrained by its host alone")
        return x509.UniformResourceIdentifier(base)
    except ValueError as failure:
        raise UsageError(f"{tree!r} is no name constraint: {failure}", "see docs/authority.md") from failure


def _text(name: x509.GeneralName) -> str:
    if isinstance(name, x509.IPAddress):
        return f"ip:{name.value}"
    if isinstance(name, x509.DNSName):
        return f"dns:{name.value}"
    if isinstance(name, x509.RFC822Name):
        return f"email:{name.value}"
    return f"uri:{name.value}"
