"""The server's CertificateRequest held against the chain that the client presents."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from twoway.credential import display_name, key_type_of
from twoway.explainer.transcript import Link, Wish
from twoway.wire.handshake import CertificateRequest

# RFC 8446 §4.2.3: in TLS 1.3 a scheme names the curve too.
_CURVE_SCHEMES = {
    "secp256r1": "ecdsa_secp256r1_sha256",
    "secp384r1": "ecdsa_secp384r1_sha384",
    "secp521r1": "ecdsa_secp521r1_sha512",
}


def wishes(request: CertificateRequest, chain: Sequence[Link], version: str) -> tuple[Wish, ...]:
    """One line for each thing that the server asks of the client's certificate; `chain` may be empty."""
    certificates = [x509.load_der_x509_certificate(link.der) for link in chain if link.issuer != "?"]
    if not certificates:
        nothing = "no certificate was shown"
        return (
            Wish(_asked_authorities(request), nothing, "bad"),
            Wish(_asked_schemes(request), nothing, "bad"),
        )
    return (_authority(request, certificates), _scheme(request, certificates[0], version), _purpose(chain[0]))


def _asked_authorities(request: CertificateRequest) -> str:
    names = [name_of(der) for der in request.authorities]
    return f"issued by {' or '.join(names)}" if names else "issued by any authority (it names none)"


def _asked_schemes(request: CertificateRequest) -> str:
    schemes = request.signature_schemes
    some = f"{', '.join(schemes[:3])} and {len(schemes) - 3} more" if len(schemes) > 4 else ", ".join(schemes)
    return f"able to sign with one of {some or 'no scheme at all'}"


def name_of(der: bytes) -> str:
    """A DER name as people read it."""
    try:
        return display_name(x509.Name.from_bytes(der)) or "(an empty name)"
    except ValueError:
        return f"a name that cannot be read ({der.hex()[:40]})"


def _authority(request: CertificateRequest, chain: Sequence[x509.Certificate]) -> Wish:
    shown = " <- ".join([display_name(c.subject) for c in chain] + [f"({display_name(chain[-1].issuer)})"])
    if not request.authorities:
        return Wish(_asked_authorities(request), shown, "ok")
    # RFC 8446 §4.2.4: an authority may be the root or one below it, so any issuer in the chain will do.
    issuers = {certificate.issuer.public_bytes() for certificate in chain}
    return Wish(_asked_authorities(request), shown, "ok" if issuers & set(request.authorities) else "bad")


def _scheme(request: CertificateRequest, leaf: x509.Certificate, version: str) -> Wish:
    fitting = [scheme for scheme in request.signature_schemes if _can_sign(leaf, scheme, version)]
    shown = f"a key of type {key_type_of(leaf.public_key())}" + (f": {fitting[0]}" if fitting else "")
    return Wish(_asked_schemes(request), shown, "ok" if fitting else "bad")


def _can_sign(leaf: x509.Certificate, scheme: str, version: str) -> bool:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        # RFC 8446 §4.2.3: PKCS#1 v1.5 does not sign handshakes of TLS 1.3.
        return scheme.startswith("rsa_pss_rsae") or (version == "TLSv1.2" and scheme.startswith("rsa_pkcs1"))
    if isinstance(key, ec.EllipticCurvePublicKey):
        if version == "TLSv1.2":
            return scheme.startswith("ecdsa")
        return scheme == _CURVE_SCHEMES.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return scheme == "ed25519"
    if isinstance(key, ed448.Ed448PublicKey):
        return scheme == "ed448"
    return scheme == key_type_of(key)


def _purpose(leaf: Link) -> Wish:
    asked = "for client authentication (extended key usage)"
    if not leaf.usages:
        return Wish(asked, "no extended key usage: good for everything", "ok")
    fits = {"clientAuth", "anyExtendedKeyUsage"} & set(leaf.usages)
    return Wish(asked, ", ".join(leaf.usages), "ok" if fits else "bad")
