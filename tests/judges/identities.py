"""Who meets whom: for each key type an authority of that type, a server, clients, and a stranger's authority."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

from twoway.authority import Authority
from twoway.credential import certificates_from_pem, fingerprint_of

KEY_TYPES = ("p256", "rsa2048", "ed25519")
VERSIONS = ("TLSv1.3", "TLSv1.2")
P12_PASSPHRASE = "judges"
STARTED = dt.datetime.now(dt.UTC) - dt.timedelta(days=200)


@dataclass(frozen=True)
class Identities:
    """Identity directories, each with an `identity.p12` beside its PEM files for programs that want one."""

    place: Path

    def directory(self, who: str) -> Path:
        return self.place / who

    def chain(self, who: str) -> tuple[x509.Certificate, ...]:
        """Leaf first; of somebody expired too, whom Credential.load would refuse."""
        path = self.place / who / "cert.pem"
        return certificates_from_pem(path.read_bytes(), where=str(path))

    def fingerprint(self, who: str) -> str:
        return fingerprint_of(self.chain(who)[0])

    @property
    def trust(self) -> Path:
        """The bundle with the authority's root."""
        return self.place / "server" / "ca.pem"

    @property
    def elsewhere(self) -> Path:
        """The bundle of the stranger's authority."""
        return self.place / "stranger" / "ca.pem"


def issue_all(place: Path, key_type: str) -> Identities:
    """Found both authorities and issue to everybody; the server knows who is revoked."""
    with_key = {"key_type": key_type, "passphrase": b"judges"}
    acme = Authority.create(place / "acme", name="Acme", now=STARTED, **with_key)  # type: ignore[arg-type]
    other = Authority.create(place / "other", name="Other", now=STARTED, **with_key)  # type: ignore[arg-type]
    people = {
        "client": acme.issue_client("spiffe://acme.example/orders", key_type=key_type),
        "unwanted": acme.issue_client("spiffe://acme.example/unwanted", key_type=key_type),
        "revoked": acme.issue_client("spiffe://acme.example/revoked", key_type=key_type),
        "server-only": acme.issue_server("orders.acme.example", key_type=key_type),
        "stranger": other.issue_client("spiffe://acme.example/orders", key_type=key_type),
    }
    expired = acme.issue_client(
        "spiffe://acme.example/expired", key_type=key_type, now=STARTED + dt.timedelta(days=1), days=30
    )
    acme.revoke(people["revoked"], "keyCompromise")
    server = acme.issue_server("localhost", ip=["127.0.0.1"], key_type=key_type)
    crls = acme.trust().crls
    for who, credential in {**people, "expired": expired, "server": replace(server, crls=crls)}.items():
        credential.save(place / who)
        (place / who / "identity.p12").write_bytes(credential.to_pkcs12(P12_PASSPHRASE))
    acme.close()
    other.close()
    return Identities(place)
