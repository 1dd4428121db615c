"""The public keys of ACME accounts: JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2), within bounds."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twoway.authority.request import MAX_RSA_EXPONENT, RSA_BITS
from twoway.enroll.acme import base64url
from twoway.enroll.acme.faults import AlgorithmRefused, KeyRefused, Malformed, Unproven

AccountPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

ALGORITHMS = ("ES256", "ES384", "EdDSA", "RS256")
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_CURVES = {"P-256": (ec.SECP256R1(), 32, "ES256"), "P-384": (ec.SECP384R1(), 48, "ES384")}


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A public key that signatures can be checked with. `jwk` has the members that matter, and no others."""

    jwk: Mapping[str, str]
    public_key: AccountPublicKey
    algorithm: str
    """The one algorithm that signatures by this key have."""

    @classmethod
    def read(cls, jwk: object) -> AccountKey:
        """The key in a JWK. The bounds come before any arithmetic. Raises KeyRefused and Malformed."""
        if not isinstance(jwk, Mapping):
            raise KeyRefused("the key is no JSON object")
        if _PRIVATE & jwk.keys():
            raise KeyRefused("the key has private members: whoever sent it has to make a new one")
        kind = jwk.get("kty")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise KeyRefused(f"expected a key of type {', '.join(_READERS)}, got {str(kind)[:20]!r}")
        try:
            return reader(jwk)
        except Malformed as failure:
            raise KeyRefused(str(failure)) from failure
        except ValueError as failure:
            raise KeyRefused("the key's numbers are no public key") from failure

    @classmethod
    def stored(cls, text: str) -> AccountKey:
        """The key in what `as_text` gave."""
        return cls.read(json.loads(text))

    def as_text(self) -> str:
        """RFC 7638 §3: the required members in order, without spaces."""
        return json.dumps(dict(sorted(self.jwk.items())), separators=(",", ":"))

    @property
    def thumbprint(self) -> str:
        return base64url.encode(hashlib.sha256(self.as_text().encode()).digest())

    def is_key(self, other: object) -> bool:
        """Whether it is that public key, of a certificate or a signing request."""
        return isinstance(other, type(self.public_key)) and _der(other) == _der(self.public_key)

    def verify(self, algorithm: str, signature: bytes, data: bytes) -> None:
        """Raises AlgorithmRefused for an algorithm that is not the key's, Unproven for a signature that does not hold."""
        if algorithm != self.algorithm:
            raise AlgorithmRefused(algorithm, (self.algorithm,))
        try:
            _check(self.public_key, signature, data)
        except (InvalidSignature, ValueError) as failure:
            raise Unproven("the signature was not made with that key over this request") from failure


def _der(key: AccountPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check(key: AccountPublicKey, signature: bytes, data: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        # RFC 7518 §3.4: R and S, each as long as the curve's numbers.
        size = (key.key_size + 7) // 8
        if len(signature) != 2 * size:
            raise ValueError("the signature is not of the curve's length")
        r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        digest = hashes.SHA256() if size == 32 else hashes.SHA384()
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))


def _octets(jwk: Mapping[str, Any], member: str, at_most: int) -> bytes:
    text = jwk.get(member)
    if isinstance(text, str) and len(text) > at_most * 4 // 3 + 4:
        raise KeyRefused(f"the key's member {member} is longer than any key that is taken")
    return base64url.decode(text, f"the key's member {member}")


def _elliptic(jwk: Mapping[str, Any]) -> AccountKey:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in _CURVES:
        raise KeyRefused(f"expected the curve {' or '.join(_CURVES)}, got {str(name)[:20]!r}")
    curve, size, algorithm = _CURVES[name]
    x, y = _octets(jwk, "x", size), _octets(jwk, "y", size)
    if len(x) != size or len(y) != size:
        raise KeyRefused(f"a coordinate of {name} has {size} octets")  # RFC 7518 §6.2.1.2
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
    members = {"crv": name, "kty": "EC", "x": base64url.encode(x), "y": base64url.encode(y)}
    return AccountKey(members, numbers.public_key(), algorithm)


def _edwards(jwk: Mapping[str, Any]) -> AccountKey:
    if jwk.get("crv") != "Ed25519":
        raise KeyRefused(f"expected the curve Ed25519, got {str(jwk.get('crv'))[:20]!r}")
    x = _octets(jwk, "x", 32)
    if len(x) != 32:
        raise KeyRefused("an Ed25519 key has 32 octets")
    members = {"crv": "Ed25519", "kty": "OKP", "x": base64url.encode(x)}
    return AccountKey(members, ed25519.Ed25519PublicKey.from_public_bytes(x), "EdDSA")


def _rsa(jwk: Mapping[str, Any]) -> AccountKey:
    # A giant modulus or exponent makes one verification cost seconds: look before anything is computed.
    modulus, exponent = _octets(jwk, "n", RSA_BITS[1] // 8 + 1), _octets(jwk, "e", 8)
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    if not RSA_BITS[0] <= n.bit_length() <= RSA_BITS[1]:
        raise KeyRefused(
            f"expected an RSA key of {RSA_BITS[0]} to {RSA_BITS[1]} bits, got one of {n.bit_length()}"
        )
    if not 65537 <= e < MAX_RSA_EXPONENT or e % 2 == 0:
        raise KeyRefused("expected an odd RSA exponent from 65537 to 2^32")
    if n % 2 == 0:
        raise KeyRefused("the RSA modulus is even")
    # RFC 7518 §2: no more octets than are needed, so that one key has one thumbprint.
    if modulus[:1] == b"\0" or exponent[:1] == b"\0":
        raise KeyRefused("the RSA key's numbers begin with zeros")
    members = {"e": base64url.encode(exponent), "kty": "RSA", "n": base64url.encode(modulus)}
    return AccountKey(members, rsa.RSAPublicNumbers(e, n).public_key(), "RS256")


_READERS: dict[str, Callable[[Mapping[str, Any]], AccountKey]] = {
    "EC": _elliptic,
    "OKP": _edwards,
    "RSA": _rsa,
}

remembered = functools.lru_cache(maxsize=1024)(AccountKey.stored)
"""`AccountKey.stored`, for the keys that are asked for at every request."""
