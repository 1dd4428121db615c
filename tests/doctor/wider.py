"""More ways to fail and to be well: trust, chains, purposes and constraints. `wider_details` and `wider_services` go on."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.doctor.catalogue import QUIET, Case, H, Setup, deep, leaf_only
from tests.doctor.wider_details import DETAILS, HEALTHY_DETAILS, client_of, key_usage, same, server_of
from tests.pki import Issuer, make
from twoway.credential import Credential, certificate_pem, chain_pem

OPENSSL = ("python", "nginx", "node")
FOUR = ("python", "nginx", "node", "go")
ANY = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)
CLIENTS_ROOT = Issuer.root("Acme Client CA", organization="Acme")
SERVERS_ROOT = Issuer.root("Acme Server CA", organization="Acme")
OLD_ROOT = Issuer.root("Old Root", organization="Old", start=-900, days=-2)
OLD_ISSUING = OLD_ROOT.below("Old Issuing", organization="Old", start=-800, days=100)


def houses_apart(client_trust: Issuer, server_trust: Issuer) -> Setup:
    """Clients and servers have an authority each; who trusts which is the question."""
    return H.setup(
        client=client_of(CLIENTS_ROOT),
        server=server_of(SERVERS_ROOT),
        client_trust=(client_trust.certificate,),
        server_trust=(server_trust.certificate,),
    )


def narrowed(
    permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None = None, **names: Any
) -> Setup:
    constraints = x509.NameConstraints(permitted, excluded)
    issuer = H.root.below("Acme Narrow", organization="Acme", constraints=constraints)
    return H.setup(client=client_of(issuer, **names))


def organization(name: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)]))


def stray_intermediate() -> Setup:
    other = H.root.below("Acme Other", organization="Acme")
    return H.setup(client_chain=chain_pem((H.client.chain[0], other.certificate)))


def replaced_intermediate() -> Setup:
    again = H.root.below("Acme Issuing", organization="Acme")
    return H.setup(client=Credential(H.client.private_key, (H.client.chain[0], again.certificate)))


def issued_by_a_leaf() -> Setup:
    chain = (H.issuing.certificate, H.root.certificate)
    return H.setup(client=client_of(Issuer(H.client.private_key, H.client.chain[0], chain)))


def without_cert_sign() -> Setup:
    usage = key_usage("digital_signature", "crl_sign")
    issuer = H.root.below("Acme Unsigning", organization="Acme", without=("usage",), extensions=(usage,))
    return H.setup(client=client_of(issuer))


def cross_signed() -> Setup:
    cross = make("Acme Root", H.root.key, H.other, ca=True, organization="Acme", days=900)
    chain = (*H.client.chain, cross)
    return H.setup(
        client=Credential(H.client.private_key, chain), server_trust=(H.other.certificate,), depth=9
    )


def renewed_root() -> Setup:
    again = Issuer.root("Acme Root", organization="Acme", key=H.root.key, start=-2, days=4000)
    return H.setup(server_trust=(again.certificate,), client_trust=(again.certificate,))


def beside(certificate: x509.Certificate) -> Setup:
    both = (certificate, H.root.certificate)
    return H.setup(server_trust=both, client_trust=both)


MORE_FAILURES = [
    *DETAILS,
    # trust
    Case(
        "the server's own authority in the slot for its clients'",
        lambda: houses_apart(SERVERS_ROOT, SERVERS_ROOT),
        ("unknown_authority", "issuer_not_accepted", "wrong_authority_in_trust"),
        ("wrong_authority_in_trust", "unknown_authority"),
        FOUR,
    ),
    Case(
        "the clients' authority in the client's own slot",
        lambda: houses_apart(CLIENTS_ROOT, CLIENTS_ROOT),
        ("wrong_authority_in_trust", "unknown_authority"),
        ("wrong_authority_in_trust",),
        FOUR,
    ),
    Case(
        "the server trusts a client's leaf",
        lambda: H.setup(server_trust=(H.client.chain[0],)),
        ("unknown_authority", *QUIET),
        ("anchor_not_authority",),
        OPENSSL,
    ),
    Case(
        "the server trusts its own leaf",
        lambda: H.setup(server_trust=(H.server.chain[0],)),
        ("unknown_authority", *QUIET),
        ("own_leaf_in_trust",),
        OPENSSL,
    ),
    Case(
        "the server trusts an intermediate and no root",
        lambda: H.setup(server_trust=(H.issuing.certificate,)),
        ("unknown_authority", *QUIET),
        ("intermediate_as_anchor",),
        ("python", "nginx"),
    ),
    Case(
        "the root that the server trusts has expired",
        lambda: H.setup(client=client_of(OLD_ISSUING), server_trust=(OLD_ROOT.certificate,)),
        ("crl_stale", "unknown_authority", *QUIET),
        ("anchor_expired",),
        FOUR,
    ),
    same(
        "the client trusts the server's leaf",
        lambda: H.setup(client_trust=(H.server.chain[0],)),
        "anchor_not_authority",
    ),
    same(
        "the root that the client trusts has expired",
        lambda: H.setup(server=server_of(OLD_ISSUING), client_trust=(OLD_ROOT.certificate,)),
        "anchor_expired",
    ),
    # chains
    same("an intermediate of something else", stray_intermediate, "missing_intermediate"),
    same("the intermediate of before its re-keying", replaced_intermediate, "rekeyed_authority"),
    same("issued by a leaf", issued_by_a_leaf, "not_an_authority"),
    same("an issuer that may not sign certificates", without_cert_sign, "not_an_authority"),
    # purposes
    same("for signing code", lambda: H.setup(client=client_of(purpose="other")), "wrong_purpose"),
    same(
        "a server's intermediate for clients only",
        lambda: H.setup(
            server=server_of(H.root.below("Acme Clients", organization="Acme", purpose="client"))
        ),
        "intermediate_wrong_purpose",
    ),
    same(
        "anyExtendedKeyUsage where OpenSSL judges",
        lambda: H.setup(client=client_of(purpose="", extensions=(ANY,))),
        "wrong_purpose",
        servers=OPENSSL,
    ),
    # constraints
    same(
        "an address outside the constraints",
        lambda: narrowed([x509.IPAddress(ip_network("10.0.0.0/8"))], ip=("192.168.1.1",)),
        "name_constraint_violated",
    ),
    same(
        "a URI outside the constraints",
        lambda: narrowed(
            [x509.UniformResourceIdentifier("acme.example")], dns=(), uri=("https://globex.example/o",)
        ),
        "name_constraint_violated",
    ),
    same(
        "an excluded mail address",
        lambda: narrowed(None, [x509.RFC822Name("globex.example")], email=("a@globex.example",)),
        "name_constraint_violated",
    ),
    same(
        "a common name outside the constraints",
        lambda: narrowed([x509.DNSName("acme.example")], name="orders.globex.example", dns=()),
        "name_constraint_violated",
        servers=OPENSSL,
    ),
    same(
        "a subject outside the constraints",
        lambda: narrowed([organization("Other")]),
        "name_constraint_violated",
        servers=OPENSSL,
    ),
    same(
        "a server outside the constraints",
        lambda: H.setup(
            server=server_of(
                H.root.below(
                    "Acme Narrow",
                    organization="Acme",
                    constraints=x509.NameConstraints([x509.DNSName("acme.example")], None),
                )
            )
        ),
        "name_constraint_violated",
    ),
]

MORE_HEALTHY = [
    *HEALTHY_DETAILS,
    same(
        "anyExtendedKeyUsage where Go judges",
        lambda: H.setup(client=client_of(purpose="", extensions=(ANY,))),
        servers=("go",),
    ),
    same("an old root beside the good one", lambda: beside(OLD_ROOT.certificate)),
    same("two roots of one name", lambda: beside(Issuer.root("Acme Root", organization="Acme").certificate)),
    same("a root renewed with its key", renewed_root),
    same("a root that another one signed", cross_signed),
    same("an authority for each side", lambda: houses_apart(SERVERS_ROOT, CLIENTS_ROOT)),
    same("straight below the root", lambda: H.setup(client=client_of(H.root), server=server_of(H.root))),
    same(
        "deep, and as deep as allowed",
        lambda: H.setup(client=client_of(deep()), server=server_of(deep()), depth=9),
    ),
    same(
        "inside the constraints",
        lambda: narrowed([x509.DNSName("acme.example")], dns=("orders.acme.example",)),
    ),
    same(
        "an intermediate that the server has",
        lambda: H.setup(client=leaf_only(H.client), server_trust=(H.root.certificate, H.issuing.certificate)),
        servers=("python", "nginx", "go"),
    ),
    same(
        "something unrelated behind the chain",
        lambda: H.setup(client_chain=chain_pem((*H.client.chain, H.other.certificate))),
    ),
    same("lines of Windows", lambda: H.setup(client_chain=chain_pem(H.client.chain).replace(b"\n", b"\r\n"))),
    same("a byte order mark", lambda: H.setup(client_chain=b"\xef\xbb\xbf" + chain_pem(H.client.chain))),
    same(
        "text around the blocks",
        lambda: H.setup(
            client_chain=b"subject=CN = orders\n" + b"\n# next\n".join(map(certificate_pem, H.client.chain))
        ),
    ),
]

__all__ = ["FOUR", "MORE_FAILURES", "MORE_HEALTHY", "OPENSSL"]
