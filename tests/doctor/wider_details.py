"""More ways to fail and to be well: keys and algorithms, dates, revocation lists, identifiers and strict rules."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from tests.conftest import judge
from tests.doctor.catalogue import CRL_CHECK, CRL_CHECK_CHAIN, QUIET, Case, H, Setup, crls
from tests.pki import NOW, Issuer, make
from twoway.credential import Credential, certificate_pem, generate_key

SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
FOUR = ("python", "nginx", "node", "go")
OPENSSL = ("python", "nginx", "node")
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def same(
    name: str, make: Callable[[], Setup], *codes: str, servers: tuple[str, ...] = FOUR, **more: Any
) -> Case:
    """A case in which the client's files alone tell the same as both sides'."""
    return Case(name, make, codes, codes, servers, **more)


def client_of(
    issuer: Issuer | None = None, *, name: str = "orders", key: Any = None, **more: Any
) -> Credential:
    issuer, key = issuer or H.issuing, key or generate_key("p256")
    wanted = {"dns": (name,), "purpose": "client", **more}
    return Credential(key, (make(name, key, issuer, **wanted), *issuer.chain))


def server_of(issuer: Issuer | None = None, *, key: Any = None, **more: Any) -> Credential:
    wanted = {"dns": ("localhost",), "ip": ("127.0.0.1",), "purpose": "server", **more}
    return client_of(issuer, name="localhost", key=key, **wanted)


def key_usage(*on: str) -> tuple[x509.KeyUsage, bool]:
    return x509.KeyUsage(*[usage in on for usage in _USAGES]), True


def using(side: str, *on: str, key: Any = None) -> Setup:
    more = {"without": ("usage",), "extensions": (key_usage(*on),), "key": key}
    return H.setup(client=client_of(**more)) if side == "client" else H.setup(server=server_of(**more))


def with_sha1(issuer: Issuer, subject: str, extensions: str) -> tuple[Any, x509.Certificate]:
    """A key and its certificate, signed over SHA-1, which the library of these tests no longer does."""
    key = generate_key("p256")
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for name, one in (("ca.key", issuer.key), ("key", key)):
            (place / name).write_bytes(one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (place / "ca.pem").write_bytes(certificate_pem(issuer.certificate))
        (place / "ext").write_text(f"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{extensions}")
        for command in (
            f"req -new -key key -subj {subject} -out request",
            "x509 -req -sha1 -in request -CA ca.pem -CAkey ca.key -set_serial 77 -days 30 -extfile ext -out cert",
        ):
            subprocess.run([judge("openssl"), *command.split()], cwd=place, check=True, capture_output=True)
        return key, x509.load_pem_x509_certificate((place / "cert").read_bytes())


def sha1_leaf() -> Setup:
    usage = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:orders"
    key, leaf = with_sha1(H.issuing, "/CN=orders", usage)
    return H.setup(client=Credential(key, (leaf, *H.issuing.chain)))


def sha1_intermediate() -> Setup:
    usage = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign"
    key, above = with_sha1(H.root, "/CN=Acme-Old", usage)
    return H.setup(client=client_of(Issuer(key, above, (H.root.certificate,))))


def days_from_the_tests_begin(minutes: float) -> float:
    """So many minutes from this moment, in the days from the tests' own beginning that `make` counts in."""
    return (datetime.now(UTC) - NOW + timedelta(minutes=minutes)) / timedelta(days=1)


def late() -> Issuer:
    return H.root.below("Acme Late", organization="Acme", start=-90, days=-10)


def revoked_intermediate() -> Setup:
    gone = H.root.below("Acme Gone", organization="Acme")
    lists = (gone.crl(), H.root.crl(gone.certificate))
    return H.setup(client=client_of(gone), server_crls=lists, verify_flags=CRL_CHECK_CHAIN)


def listed(*lists: x509.CertificateRevocationList) -> Setup:
    return H.setup(server_crls=lists, verify_flags=CRL_CHECK)


def lax_root() -> Setup:
    root = Issuer.root("Lax Root", organization="Lax", without=("usage", "ski"))
    return H.setup(
        client=client_of(root), server_trust=(root.certificate,), verify_flags=ssl.VERIFY_X509_STRICT
    )


def identified(aki: x509.AuthorityKeyIdentifier) -> Setup:
    return H.setup(client=client_of(without=("aki",), extensions=((aki, False),)))


def public_key() -> bytes:
    return H.client.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def schemes(name: str) -> dict[str, Any]:
    return {
        "nginx": f"ssl_conf_command ClientSignatureAlgorithms {name};",
        "node": (("sigalgs", name),),
    }


def named_like_its_authority() -> Setup:
    root, key = Issuer.root("localhost"), generate_key("p256")
    leaf = make("localhost", key, root, purpose="client", without=("aki", "ski"))
    return H.setup(client=Credential(key, (leaf,)), server_trust=(root.certificate,))


def netscape(bits: int) -> Setup:
    kind = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.16.840.1.113730.1.1"), b"\x03\x02\x06" + bytes([bits])
    )
    return H.setup(client=client_of(purpose="", extensions=((kind, False),)))


DETAILS = [
    same("the name of its authority", named_like_its_authority, "self_signed", servers=OPENSSL),
    same("Netscape's type of a server", lambda: netscape(0x40), "wrong_purpose", servers=OPENSSL),
    same(
        "the authority's own certificate as identity",
        lambda: H.setup(client=Credential(H.issuing.key, (H.issuing.certificate,))),
        "key_usage_unfit",
        servers=("python", "nginx"),
    ),
    # keys and algorithms
    same(
        "may only encipher", lambda: using("client", "key_encipherment"), "key_usage_unfit", servers=OPENSSL
    ),
    same(
        "RSA of 1024 bits",
        lambda: H.setup(client=client_of(key=SMALL)),
        "weak_algorithm",
        servers=("python", "nginx"),
    ),
    same(
        "a server with RSA of 1024 bits",
        lambda: H.setup(server=server_of(key=SMALL), weak=True),
        "weak_algorithm",
        servers=("python",),
    ),
    same(
        "an authority with RSA of 1024 bits",
        lambda: H.setup(client=client_of(H.root.below("Acme Small", organization="Acme", key=SMALL))),
        "weak_algorithm",
        servers=("python", "nginx"),
    ),
    same("signed over SHA-1", sha1_leaf, "weak_algorithm"),
    same("an intermediate signed over SHA-1", sha1_intermediate, "weak_algorithm"),
    same(
        "ML-DSA before a server that does not know it",
        lambda: H.setup(client=client_of(key=generate_key("mldsa65"))),
        "key_type_not_accepted",
        servers=OPENSSL,
    ),
    same(
        "Ed25519 before a server of ECDSA and RSA",
        lambda: H.setup(
            client=client_of(key=generate_key("ed25519")), **schemes("ECDSA+SHA256:RSA-PSS+SHA256")
        ),
        "key_type_not_accepted",
        servers=("nginx", "node"),
    ),
    same(
        "RSA before a server of ECDSA",
        lambda: H.setup(client=client_of(key=generate_key("rsa2048")), **schemes("ECDSA+SHA256")),
        "key_type_not_accepted",
        servers=("nginx", "node"),
    ),
    same(
        "Ed448 before Go",
        lambda: H.setup(client=client_of(key=ed448.Ed448PrivateKey.generate())),
        "unsupported_key",
        servers=("go",),
    ),
    same(
        "the curve of Bitcoin",
        lambda: H.setup(client=client_of(key=ec.generate_private_key(ec.SECP256K1()))),
        "key_type_not_accepted",
        servers=("nginx", "go"),
    ),
    same("a public key in the key's place", lambda: H.setup(client_key=public_key()), "no_key_found"),
    # dates
    same(
        "an intermediate of tomorrow",
        lambda: H.setup(client=client_of(H.root.below("Acme Early", organization="Acme", start=3))),
        "intermediate_not_yet_valid",
    ),
    same(
        "valid in ten minutes",
        lambda: H.setup(client=client_of(start=days_from_the_tests_begin(minutes=10))),
        "certificate_not_yet_valid",
    ),
    same(
        "a server's intermediate has expired",
        lambda: H.setup(server=server_of(late(), start=-60, days=20)),
        "intermediate_expired",
    ),
    # revocation lists
    Case(
        "revoked, by nginx's and Node's list",
        lambda: listed(H.issuing.crl(H.client.chain[0]), H.root.crl()),
        ("certificate_revoked", *QUIET),
        ("certificate_revoked",),
        ("nginx", "node"),
    ),
    Case(
        "the intermediate is revoked",
        revoked_intermediate,
        ("certificate_revoked", *QUIET),
        ("certificate_revoked",),
        OPENSSL,
    ),
    Case(
        "a list, and not the root's",
        lambda: listed(H.issuing.crl()),
        ("unknown_authority", *QUIET),
        ("crl_missing",),
        ("nginx", "node"),
    ),
    Case(
        "a list of another authority",
        lambda: listed(H.other.crl()),
        ("unknown_authority", *QUIET),
        ("crl_wrong_issuer",),
        OPENSSL,
    ),
    Case(
        "a list of tomorrow",
        lambda: listed(*crls(start=2, days=9)),
        ("refused_unspecific", *QUIET),
        ("crl_not_yet_valid",),
        OPENSSL,
    ),
    Case(
        "a list signed with another key",
        lambda: listed(H.issuing.crl(key=generate_key()), H.root.crl()),
        ("key_mismatch", "unknown_authority", "crl_bad_signature", *QUIET),
        ("crl_bad_signature",),
        ("python", "nginx"),
    ),
    Case(
        "no list, where all that is known says that one is demanded",
        lambda: H.setup(verify_flags=CRL_CHECK_CHAIN),
        ("unknown_authority",),
        ("crl_missing",),
        ("python",),
    ),
    # identifiers and strict rules
    same(
        "no authority key identifier, before a strict server",
        lambda: H.setup(client=client_of(without=("aki",)), verify_flags=ssl.VERIFY_X509_STRICT),
        "not_strict",
        servers=("python",),
    ),
    Case(
        "a root that is not strict, before a strict server",
        lax_root,
        ("not_allowed", "refused_unspecific", "not_strict"),
        ("not_strict",),
        ("python",),
    ),
    same(
        "the identifier of another key",
        lambda: identified(x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)),
        "key_identifier_mismatch",
        servers=OPENSSL,
    ),
    same(
        "the serial number of another issuer",
        lambda: identified(
            x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(H.root.certificate.subject)], 999)
        ),
        "key_identifier_mismatch",
        servers=OPENSSL,
    ),
]


def parameters_first() -> bytes:
    """As `openssl ecparam -genkey` writes it."""
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    key = H.client.private_key
    return parameters + key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def keyed(kind: str) -> Setup:
    return H.setup(client=client_of(key=generate_key(kind)), server=server_of(key=generate_key(kind)))


def spelled_differently() -> Setup:
    """An issuer written as PrintableString, whose own name is UTF8String: one name all the same (RFC 5280 §7.1)."""
    root, key = Issuer.root("Acme Mixed"), generate_key("p256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme Mixed", _ASN1Type.PrintableString)])
    plain = make("orders", key, root, purpose="client")
    builder = x509.CertificateBuilder(
        name,
        plain.subject,
        plain.public_key(),
        plain.serial_number,
        plain.not_valid_before_utc,
        plain.not_valid_after_utc,
        list(plain.extensions),
    )
    leaf = builder.sign(root.key, hashes.SHA256())
    return H.setup(client=Credential(key, (leaf,)), server_trust=(root.certificate,))


HEALTHY_DETAILS = [
    same("one name, spelled differently", spelled_differently, servers=OPENSSL),
    same(
        "no key identifiers, before lenient servers",
        lambda: H.setup(client=client_of(without=("aki", "ski"))),
    ),
    same("no basic constraints", lambda: H.setup(client=client_of(without=("constraints",)))),
    same("rsa2048 on both", lambda: keyed("rsa2048")),
    same("p384 on both", lambda: keyed("p384")),
    same("ed25519 on both", lambda: keyed("ed25519")),
    same("p521", lambda: H.setup(client=client_of(key=ec.generate_private_key(ec.SECP521R1())))),
    same("a key behind its parameters", lambda: H.setup(client_key=parameters_first())),
    same("a name twice", lambda: H.setup(client=client_of(dns=("orders", "orders")))),
    same("a SPIFFE ID", lambda: H.setup(client=client_of(dns=(), uri=("spiffe://acme.example/orders",)))),
    same("an hour old, for an hour", lambda: H.setup(client=client_of(start=-1 / 24, days=1 / 24))),
    same("current lists, and on none", lambda: listed(*crls()), servers=OPENSSL),
    same(
        "a list of the issuer, where only the leaf is looked up",
        lambda: listed(H.issuing.crl()),
        servers=("python",),
    ),
]
