"""Signatures of CMS by kind of key: which algorithms we sign with, and which are believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asn1crypto import algos
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from twoway.credential import Credential, PrivateKey, key_type_of
from twoway.message.cms import algorithms
from twoway.message.cms.algorithms import Algorithm, identifier, pss
from twoway.message.faults import AlgorithmRefused

FORMAT = "cms"
_MLDSA_OIDS = {name: oid for oid, name in algorithms.MLDSA.items()}


def digest_for(key: object) -> hashes.HashAlgorithm:
    """What the content is hashed with when this key signs.

    RFC 5754 for RSA and ECDSA by the size of the curve; RFC 8419 §2.3 and RFC 9882 §3.3 ask for SHA-512.
    """
    kind = key_type_of(key)
    if kind == "p384":
        return hashes.SHA384()
    return hashes.SHA512() if kind == "ed25519" or kind.startswith("mldsa") else hashes.SHA256()


def signed(key: PrivateKey, attributes: bytes) -> tuple[bytes, bytes]:
    """The algorithm, as DER, and the signature of a key on the encoded attributes."""
    digest = digest_for(key)
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return identifier(algorithms.PSS, pss(digest)), key.sign(attributes, scheme, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return identifier(algorithms.ECDSA_OIDS[digest.name]), key.sign(attributes, ec.ECDSA(digest))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return identifier(algorithms.ED25519), key.sign(attributes)
    return identifier(_MLDSA_OIDS[key_type_of(key)]), key.sign(attributes)


def signs(credential: Credential) -> bool:
    """Whether this kind of key signs here: all of ours, but not a curve that has no digest of its own."""
    kind = key_type_of(credential.private_key)
    return kind in ("p256", "p384", "ed25519") or kind.startswith(("rsa", "mldsa"))


def verifier(key: Any, algorithm: Algorithm, digest: hashes.HashAlgorithm) -> Callable[[bytes, bytes], bool]:
    """How to verify a signature on attributes; raises AlgorithmRefused where key and algorithm do not fit.

    `digest` is that of the attributes' messageDigest; a signature with a weaker one would be the weakest link.
    """
    oid = algorithm.oid
    allowed: tuple[str, ...]
    if isinstance(key, rsa.RSAPublicKey):
        allowed = ("RSASSA-PSS or RSA PKCS #1 v1.5 with the digest of the content",)
        if oid == algorithms.PSS and _is_pss(algorithm, digest):
            scheme: padding.AsymmetricPadding = padding.PSS(padding.MGF1(digest), _salt(algorithm))
            return _tried(lambda signature, data: key.verify(signature, data, scheme, digest))
        if oid == algorithms.PKCS1 or algorithms.RSA_WITH.get(oid) == digest.name:
            return _tried(lambda signature, data: key.verify(signature, data, padding.PKCS1v15(), digest))
    elif isinstance(key, ec.EllipticCurvePublicKey):
        allowed = ("ECDSA with the digest of the content",)
        if algorithms.ECDSA_WITH.get(oid) == digest.name:
            return _tried(lambda signature, data: key.verify(signature, data, ec.ECDSA(digest)))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        allowed = ("Ed25519 with SHA-512",)
        if oid == algorithms.ED25519 and digest.name == "sha512":  # RFC 8419 §3.1
            return _tried(key.verify)
    else:
        allowed = ("RSA, ECDSA, Ed25519 or ML-DSA",)
        if algorithms.MLDSA.get(oid) == key_type_of(key):
            return _tried(key.verify)
    raise AlgorithmRefused(FORMAT, f"signature algorithm {oid} with {digest.name}", allowed)


def _tried(verify: Callable[[bytes, bytes], object]) -> Callable[[bytes, bytes], bool]:
    def tried(signature: bytes, data: bytes) -> bool:
        try:
            verify(signature, data)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True

    return tried


def _is_pss(algorithm: Algorithm, digest: hashes.HashAlgorithm) -> bool:
    """Whether the parameters are those of this digest, in both places (RFC 4055 §3.1)."""
    try:
        found = algos.RSASSAPSSParams.load(algorithm.parameters or b"", strict=True)
        masked = found["mask_gen_algorithm"]
        names = found["hash_algorithm"]["algorithm"].native, masked["parameters"]["algorithm"].native
        _ = int(found["salt_length"].native)
        return names == (digest.name, digest.name)
    except (ValueError, TypeError, KeyError):
        return False


def _salt(algorithm: Algorithm) -> int:
    """The length of the salt, of parameters that `_is_pss` has read."""
    length = int(algos.RSASSAPSSParams.load(algorithm.parameters or b"")["salt_length"].native)
    return length if 0 <= length <= 512 else 0
