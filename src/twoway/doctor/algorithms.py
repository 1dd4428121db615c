"""Keys and signatures: too weak to be believed, or of a kind that the other side did not ask for."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from twoway.credential import describe, display_name, is_self_issued, key_type_of
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Side
from twoway.doctor.names import canonical, decodable, decode_name
from twoway.trust.verification import MIN_EC_BITS, MIN_RSA_BITS
from twoway.wire.handshake import CertificateRequest

# RFC 8446 §4.2.3; a key of these kinds can make exactly one signature scheme.
_ONLY = {
    "p256": "ecdsa_secp256r1_sha256",
    "p384": "ecdsa_secp384r1_sha384",
    "p521": "ecdsa_secp521r1_sha512",
    "ed25519": "ed25519",
    "ed448": "ed448",
    "mldsa44": "mldsa44",
    "mldsa65": "mldsa65",
    "mldsa87": "mldsa87",
}
_MAX_SHOWN = 20


def strength(case: Case) -> Iterator[Finding]:
    """Keys below 112 bits, and signatures over MD5 or SHA-1, anywhere in the path (OpenSSL's security level 2)."""
    for certificate in case.path.certificates:
        key = certificate.public_key()
        small_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS
        small_ec = isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS
        if small_rsa or small_ec:
            kind = key_type_of(key)
            yield _weak(case, certificate, f"key ({kind})", f"RSA of {MIN_RSA_BITS} bits or p256", kind)
    for certificate in case.path.certificates:
        # Nobody relies on an anchor's own signature, or on any root's.
        if is_self_issued(certificate) or certificate in (case.anchors or ()):
            continue
        digest = _digest(certificate)
        if isinstance(digest, (hashes.MD5, hashes.SHA1)):
            yield _weak(case, certificate, f"signature ({digest.name})", "sha256 or better", digest.name)


def _weak(case: Case, certificate: x509.Certificate, what: str, expected: str, presented: str) -> Finding:
    name = describe(certificate)
    return found(
        "weak_algorithm",
        "error",
        case.judge if case.is_anchor(certificate) else case.holder,
        f"the {what} of {name} is too weak: current TLS libraries refuse it",
        f"have {name} issued anew with {expected}",
        {"certificate": name, "what": what, "expected": expected, "presented": presented},
    )


def _digest(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    try:
        return certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None


def acceptable(
    chain: tuple[x509.Certificate, ...], request: CertificateRequest, *, side: Side = "client"
) -> Iterator[Finding]:
    """What a server's CertificateRequest excludes: a client that follows it withholds its certificate.

    RFC 8446 §4.2.3 and §4.2.4. OpenSSL's clients ignore the names; Go, Java and browsers choose by them.
    """
    yield from _key_type(chain[0], request, side)
    yield from _issuer(chain, request, side)


def _key_type(leaf: x509.Certificate, request: CertificateRequest, side: Side) -> Iterator[Finding]:
    kind = key_type_of(leaf.public_key())
    offered = request.signature_schemes
    if not offered or _signs(kind, offered):
        return
    yield found(
        "key_type_not_accepted",
        "error",
        side,
        f"the key of {describe(leaf)} is {kind}, and the server accepts no signature of such a key: "
        "the client withholds its certificate",
        "have the identity issued with a key type that the server accepts (p256 is accepted everywhere)",
        {
            "expected": list(offered[:_MAX_SHOWN]),
            "presented": _ONLY.get(kind, kind),
            "certificate": describe(leaf),
        },
        also=("certificate_withheld",),
    )


def _signs(kind: str, offered: tuple[str, ...]) -> bool:
    if kind.startswith("rsa"):
        return any(scheme.startswith(("rsa_pss_rsae", "rsa_pkcs1")) for scheme in offered)
    # Of DSA keys and other curves (secp256k1, Brainpool) no scheme that is offered today is made.
    return _ONLY.get(kind) in offered


def _issuer(
    chain: tuple[x509.Certificate, ...], request: CertificateRequest, side: Side
) -> Iterator[Finding]:
    accepted = request.authorities
    if not accepted or among(chain, accepted):
        return
    names = [_name(der) for der in accepted[:_MAX_SHOWN]]
    issuer = display_name(chain[-1].issuer)
    yield found(
        "issuer_not_accepted",
        "error",
        side,
        f"the server accepts clients of {' or '.join(names[:3])}, and the chain of {describe(chain[0])} is of {issuer}: "
        "a client that follows this (Go, Java, browsers) withholds its certificate",
        f"present an identity that {' or '.join(names[:3])} issued, with every intermediate in cert.pem",
        {"expected": names, "presented": [display_name(c.issuer) for c in chain]},
        also=("missing_intermediate", "unknown_authority", "certificate_withheld"),
    )


def among(chain: tuple[x509.Certificate, ...], accepted: tuple[bytes, ...]) -> bool:
    """Whether an authority of the chain is one of the accepted names."""
    names = [name for c in chain for name in (c.issuer, c.subject)]
    if any(name.public_bytes() in accepted for name in names):
        return True
    known = {canonical(name) for name in decodable(accepted)}
    return any(canonical(name) in known for name in names)


def _name(der: bytes) -> str:
    """A distinguished name of the wire as people read it; what does not decode is shown as bytes."""
    try:
        return display_name(decode_name(der))
    except Exception:  # noqa: BLE001 - a stranger's bytes; the parser raises many kinds
        return der[:32].hex()
