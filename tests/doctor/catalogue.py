"""Ways to fail, and ways to be well: what both sides' files are, and what the doctor is to say first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.pki import Issuer, make
from twoway.credential import Credential, certificate_pem, chain_pem, generate_key

CRL_CHECK, CRL_CHECK_CHAIN = 0x4, 0xC


@dataclass
class Setup:
    """Two sides and how they are configured. Paths are filled in by `write`.

    `weak` lets a Python server load weak keys; `nginx` are more directives of the site, `nginx_hosts` of other sites;
    `depth` is nginx's limit of a chain; `node` are more options of `https.createServer`.
    """

    client: Credential | None
    server: Credential
    client_trust: tuple[x509.Certificate, ...]
    server_trust: tuple[x509.Certificate, ...]
    server_crls: tuple[x509.CertificateRevocationList, ...] = ()
    verify_flags: int = 0
    clients: str = "required"
    client_key: bytes | None = None
    client_chain: bytes | None = None
    weak: bool = False
    status: int = 200
    depth: int = 3
    nginx: str = ""
    nginx_hosts: str = ""
    node: tuple[tuple[str, str], ...] = ()
    place: Path = field(default=Path())

    def write(self, place: Path) -> Setup:
        """Put every file where the servers and the doctor look for it."""
        self.place = place
        for who, one, trust in (
            ("client", self.client, self.client_trust),
            ("server", self.server, self.server_trust),
        ):
            here = place / who
            here.mkdir(parents=True)
            if trust:
                (here / "ca.pem").write_bytes(b"".join(certificate_pem(c) for c in trust))
            if one is not None:
                (here / "cert.pem").write_bytes(chain_pem(one.chain))
                pem = one.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                (here / "key.pem").write_bytes(pem)
                (here / "key.pem").chmod(0o600)
        if self.client_key is not None:
            (place / "client" / "key.pem").write_bytes(self.client_key)
        if self.client_chain is not None:
            (place / "client" / "cert.pem").write_bytes(self.client_chain)
        if self.server_crls:
            text = b"".join(crl.public_bytes(Encoding.PEM) for crl in self.server_crls)
            (place / "server" / "crl.pem").write_bytes(text)
        return self


@dataclass(frozen=True)
class Case:
    """`alone` are the codes that are right when only the client's files are seen, `both` with both sides'.

    `called` is the name by which the client calls the server.
    """

    name: str
    make: Callable[[], Setup]
    alone: tuple[str, ...]
    both: tuple[str, ...]
    servers: tuple[str, ...] = ("python", "openssl", "nginx", "node", "go")
    called: str = "localhost"


class House:
    """An authority with an issuing CA, a server and a client; made once, varied by each case."""

    def __init__(self) -> None:
        self.root = Issuer.root("Acme Root", organization="Acme")
        self.issuing = self.root.below("Acme Issuing", organization="Acme")
        self.server = self.leaf_server(self.issuing)
        self.client = self.issuing.leaf("orders")
        self.other = Issuer.root("Globex Root", organization="Globex")

    def leaf_server(self, issuer: Issuer, **more: object) -> Credential:
        wanted = {"dns": ("localhost",), "ip": ("127.0.0.1",), "purpose": "server", **more}
        return issuer.leaf("localhost", **wanted)  # type: ignore[arg-type]

    def setup(self, **changes: object) -> Setup:
        wanted = {
            "client": self.client,
            "server": self.server,
            "client_trust": (self.root.certificate,),
            "server_trust": (self.root.certificate,),
            **changes,
        }
        return Setup(**wanted)  # type: ignore[arg-type]


H = House()


def _key(credential: Credential) -> bytes:
    return credential.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def leaf_only(credential: Credential) -> Credential:
    return Credential(credential.private_key, credential.chain[:1])


def missing(issuer_usage: str) -> Setup:
    narrow = H.root.below("Acme Narrow", organization="Acme", purpose=issuer_usage)
    return H.setup(client=narrow.leaf("orders"))


def constrained() -> Setup:
    only = x509.NameConstraints([x509.DNSName("acme.example")], None)
    narrow = H.root.below("Acme Narrow", organization="Acme", constraints=only)
    return H.setup(client=narrow.leaf("orders", dns=("orders.globex.example",)))


def too_deep() -> Setup:
    short = H.root.below("Acme Short", organization="Acme", path_length=0)
    return H.setup(client=short.below("Acme Deep", organization="Acme").leaf("orders"))


def deep() -> Issuer:
    one = H.root.below("One", organization="Acme", path_length=2)
    return one.below("Two", organization="Acme", path_length=1).below("Three", organization="Acme")


def rekeyed() -> Setup:
    again = Issuer.root("Acme Root", organization="Acme")
    return H.setup(server_trust=(again.certificate,))


def rekeyed_for_client() -> Setup:
    again = Issuer.root("Acme Root", organization="Acme")
    return H.setup(client_trust=(again.certificate,))


def self_signed() -> Setup:
    key = generate_key("p256")
    return H.setup(client=Credential(key, (make("orders", key, None, dns=("orders",), purpose="client"),)))


def expired_intermediate() -> Setup:
    late = H.root.below("Acme Late", organization="Acme", start=-90, days=-10)
    return H.setup(client=late.leaf("orders", start=-60, days=20))


def crls(*revoked: x509.Certificate, **how: float) -> tuple[x509.CertificateRevocationList, ...]:
    return (H.issuing.crl(*revoked, **how), H.root.crl())  # type: ignore[arg-type]


def revoked() -> Setup:
    gone = H.issuing.leaf("gone")
    return H.setup(client=gone, server_crls=crls(gone.chain[0]), verify_flags=CRL_CHECK)


def nameless() -> Setup:
    key = generate_key("p256")
    leaf = make("localhost", key, H.issuing, purpose="server")
    return H.setup(server=Credential(key, (leaf, *H.issuing.chain)))


def encrypted_key() -> Setup:
    sealed = H.client.private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    return H.setup(client_key=sealed)


ALL = ("python", "openssl", "nginx", "node", "go")
# What servers that give no reason leave to say, when nothing is wrong with what is seen.
QUIET = ("refused_at_http", "closed_silently")
NATIVE = ("python", "openssl", "nginx", "go")

FAILURES = [
    # what the client presents
    Case(
        "stranger",
        lambda: H.setup(client=H.other.leaf("orders")),
        ("unknown_authority",),
        ("unknown_authority",),
    ),
    Case(
        "expired",
        lambda: H.setup(client=H.issuing.leaf("orders", start=-60, days=-9)),
        ("certificate_expired",),
        ("certificate_expired",),
    ),
    Case(
        "not yet valid",
        lambda: H.setup(client=H.issuing.leaf("orders", start=5)),
        ("certificate_not_yet_valid",),
        ("certificate_not_yet_valid",),
    ),
    Case(
        "leaf without its intermediate",
        lambda: H.setup(client=leaf_only(H.client)),
        ("missing_intermediate",),
        ("missing_intermediate",),
    ),
    Case(
        "a server's certificate",
        lambda: H.setup(client=H.leaf_server(H.issuing)),
        ("wrong_purpose",),
        ("wrong_purpose",),
    ),
    Case(
        "an intermediate for servers only",
        lambda: missing("server"),
        ("intermediate_wrong_purpose",),
        ("intermediate_wrong_purpose",),
    ),
    Case("self-signed", self_signed, ("self_signed",), ("self_signed",)),
    Case(
        "an expired intermediate", expired_intermediate, ("intermediate_expired",), ("intermediate_expired",)
    ),
    Case(
        "a name outside the constraints",
        constrained,
        ("name_constraint_violated",),
        ("name_constraint_violated",),
    ),
    Case("too many authorities below", too_deep, ("path_length_exceeded",), ("path_length_exceeded",)),
    Case(
        "no certificate",
        lambda: H.setup(client=None),
        ("certificate_required",),
        ("certificate_required", "no_certificate"),
    ),
    Case(
        "the key of another",
        lambda: H.setup(client_key=_key(H.issuing.leaf("x"))),
        ("key_mismatch",),
        ("key_mismatch",),
    ),
    Case("a sealed key", encrypted_key, ("key_encrypted",), ("key_encrypted",)),
    Case("an empty file", lambda: H.setup(client_chain=b""), ("file_empty",), ("file_empty",)),
    Case(
        "the chain upside down",
        lambda: H.setup(client_chain=chain_pem(H.client.chain[::-1])),
        ("chain_disordered",),
        ("chain_disordered",),
    ),
    Case(
        "key and certificate swapped",
        lambda: H.setup(client_chain=_key(H.client), client_key=chain_pem(H.client.chain)),
        ("swapped",),
        ("swapped",),
    ),
    Case(
        "blocks glued",
        lambda: H.setup(client_chain=chain_pem(H.client.chain).replace(b"-----\n-----", b"----------")),
        ("pem_glued",),
        ("pem_glued",),
    ),
    Case("revoked", revoked, ("certificate_revoked",), ("certificate_revoked",), ("python",)),
    # what the server presents
    Case(
        "server expired",
        lambda: H.setup(server=H.leaf_server(H.issuing, start=-60, days=-9)),
        ("certificate_expired",),
        ("certificate_expired",),
    ),
    Case(
        "server not yet valid",
        lambda: H.setup(server=H.leaf_server(H.issuing, start=3)),
        ("certificate_not_yet_valid",),
        ("certificate_not_yet_valid",),
    ),
    Case(
        "server of another name",
        lambda: H.setup(server=H.leaf_server(H.issuing, dns=("api.acme.example",), ip=())),
        ("hostname_mismatch",),
        ("hostname_mismatch",),
    ),
    Case(
        "server without its intermediate",
        lambda: H.setup(server=leaf_only(H.server)),
        ("missing_intermediate",),
        ("missing_intermediate",),
    ),
    Case(
        "server with a client's certificate",
        lambda: H.setup(server=H.leaf_server(H.issuing, purpose="client")),
        ("wrong_purpose",),
        ("wrong_purpose",),
    ),
    Case(
        "server with nothing but a common name",
        nameless,
        ("no_subject_alternative_name", "hostname_mismatch"),
        ("no_subject_alternative_name", "hostname_mismatch"),
    ),
    Case(
        "server of an unknown authority",
        lambda: H.setup(server=H.leaf_server(H.other)),
        ("unknown_authority", "wrong_authority_in_trust"),
        ("unknown_authority", "wrong_authority_in_trust"),
    ),
    Case(
        "server of a re-keyed authority", rekeyed_for_client, ("rekeyed_authority",), ("rekeyed_authority",)
    ),
    # whom they trust
    Case(
        "the server trusts another authority",
        lambda: H.setup(server_trust=(H.other.certificate,)),
        ("unknown_authority",),
        ("wrong_authority_in_trust", "unknown_authority"),
    ),
    Case(
        "the server trusts the old key of the authority",
        rekeyed,
        ("unknown_authority", "rekeyed_authority", *QUIET),
        ("rekeyed_authority",),
    ),
    Case("the client trusts nobody", lambda: H.setup(client_trust=()), ("no_anchors",), ("no_anchors",)),
    Case(
        "the client trusts another authority",
        lambda: H.setup(client_trust=(H.other.certificate,)),
        ("wrong_authority_in_trust", "unknown_authority"),
        ("wrong_authority_in_trust", "unknown_authority"),
    ),
    Case(
        "the client trusts its own leaf",
        lambda: H.setup(client_trust=(H.client.chain[0],)),
        ("own_leaf_in_trust",),
        ("own_leaf_in_trust",),
    ),
    # revocation on the server
    Case(
        "a stale list",
        lambda: H.setup(server_crls=crls(start=-9, days=-2), verify_flags=CRL_CHECK),
        ("crl_stale",),
        ("crl_stale",),
        ("python",),
    ),
    Case(
        "no list where one is demanded",
        lambda: H.setup(verify_flags=CRL_CHECK),
        ("unknown_authority", "crl_missing"),
        ("unknown_authority", "crl_missing"),
        ("python",),
    ),
    # how the server is set up
    Case("never asked", lambda: H.setup(clients="none"), ("never_asked",), ("never_asked",)),
]

HEALTHY = [
    Case("p256", H.setup, (), ()),
    Case("optional", lambda: H.setup(clients="optional"), (), (), NATIVE),
    Case("rsa", lambda: H.setup(client=H.issuing.leaf("orders", key_type="rsa2048")), (), ()),
    Case("ed25519", lambda: H.setup(client=H.issuing.leaf("orders", key_type="ed25519")), (), ()),
    Case("no extended key usage", lambda: H.setup(client=H.issuing.leaf("orders", purpose="")), (), ()),
    Case("both uses", lambda: H.setup(client=H.issuing.leaf("orders", purpose="peer")), (), ()),
    Case(
        "the root included",
        lambda: H.setup(client=Credential(H.client.private_key, (*H.client.chain, H.root.certificate))),
        (),
        (),
    ),
    Case(
        "a long chain",
        lambda: H.setup(client=deep().leaf("orders")),
        (),
        (),
        ("python", "openssl"),
    ),
    Case(
        "several authorities trusted",
        lambda: H.setup(server_trust=(H.other.certificate, H.root.certificate)),
        (),
        (),
    ),
]

__all__ = ["ALL", "FAILURES", "HEALTHY", "Case", "Setup"]
