"""Two sides that get on well, and ways to spoil them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography import x509

from tests.pki import NOW, Issuer, make
from twoway.credential import Credential, generate_key
from twoway.doctor.finding import Finding
from twoway.doctor.material import Material, Side

HOST = "orders.acme.example"


@dataclass
class World:
    """One authority with an issuing authority below it, and a client and a server of it."""

    root: Issuer
    issuing: Issuer
    client_credential: Credential
    server_credential: Credential

    @classmethod
    def make(cls, key_type: str = "p256", **issuing: Any) -> World:
        root = Issuer.root("Acme Root CA", key_type, organization="Acme")
        below = root.below("Acme Issuing CA", key_type, **{"organization": "Acme", **issuing})
        return cls(
            root,
            below,
            below.leaf("billing", purpose="client", key_type=key_type),
            below.leaf(HOST, purpose="server", key_type=key_type),
        )

    @property
    def client(self) -> Material:
        return side("client", self.client_credential)

    @property
    def server(self) -> Material:
        return side("server", self.server_credential)


def side(which: Side, credential: Credential, **changes: Any) -> Material:
    """What one side's identity tells, at the time of the tests, with the server called by its name."""
    hostname = HOST if which == "client" else None
    return Material.of(which, credential).but(**{"now": NOW, "hostname": hostname, **changes})


def present(which: Side, issuer: Issuer, name: str = "leaf", **more: Any) -> Material:
    """A side with a leaf of this issuer that has whatever is to be wrong about it."""
    purpose = more.pop("purpose", which)
    dns = more.pop("dns", (HOST,) if which == "server" else ())
    key = more.pop("key", None) or generate_key(more.pop("key_type", "p256"))
    leaf = make(name, key, issuer, purpose=purpose, dns=dns, **more)
    hostname = HOST if which == "client" else None
    return Material(which, (leaf, *issuer.chain), key, (issuer.anchor,), hostname=hostname, now=NOW)


def first(findings: list[Finding]) -> tuple[str, str, str]:
    """Severity, code and blame of what is told first."""
    return (findings[0].severity, findings[0].code, findings[0].blame) if findings else ("", "nothing", "")


def alarms(findings: list[Finding]) -> list[str]:
    """Everything that a person would be worried by."""
    return [f"{f.severity}: {f.code}: {f.summary}" for f in findings if f.severity != "info"]


def pem(*certificates: x509.Certificate) -> bytes:
    from twoway.credential import chain_pem

    return chain_pem(certificates)
