"""Private keys: making, reading, writing, and telling what kind they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from twoway.credential import pem
from twoway.credential.faults import (
    BadKey,
    KeyEncrypted,
    NoKeyFound,
    TooLarge,
    UnsupportedKey,
    WrongPassphrase,
)

KeyType = Literal["p256", "p384", "rsa2048", "rsa3072", "rsa4096", "ed25519", "mldsa44", "mldsa65", "mldsa87"]
KEY_TYPES: tuple[KeyType, ...] = (
    "p256",
    "p384",
    "rsa2048",
    "rsa3072",
    "rsa4096",
    "ed25519",
    "mldsa44",
    "mldsa65",
    "mldsa87",
)
PrivateKey: TypeAlias = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PublicKey: TypeAlias = (
    ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
Passphrase: TypeAlias = bytes | str | Callable[[], bytes | str] | None

MAX_RSA_BITS = 8192
_PRIVATE = (
    ec.EllipticCurvePrivateKey,
    rsa.RSAPrivateKey,
    ed25519.Ed25519PrivateKey,
    mldsa.MLDSA44PrivateKey,
    mldsa.MLDSA65PrivateKey,
    mldsa.MLDSA87PrivateKey,
)
_CURVES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}
_MLDSA: dict[str, type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey]] = {
    "mldsa44": mldsa.MLDSA44PrivateKey,
    "mldsa65": mldsa.MLDSA65PrivateKey,
    "mldsa87": mldsa.MLDSA87PrivateKey,
}
_KEY_LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")


def generate_key(key_type: str = "p256") -> PrivateKey:
    """A new private key of one of KEY_TYPES; raises UnsupportedKey."""
    if key_type == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    if key_type == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    if key_type in ("rsa2048", "rsa3072", "rsa4096"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[3:]))
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type in _MLDSA:
        return _MLDSA[key_type].generate()
    raise UnsupportedKey("key type", key_type, KEY_TYPES)


def key_type_of(key: object) -> str:
    """The kind of a private or public key: one of KEY_TYPES where it is one, else a short description."""
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return f"rsa{key.key_size}"
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        return _CURVES.get(key.curve.name, key.curve.name)
    name = type(key).__name__.lower()
    for kind in ("ed25519", "mldsa44", "mldsa65", "mldsa87"):
        if name.startswith(kind):
            return kind
    return name.removesuffix("privatekey").removesuffix("publickey") or name


def private_key_pem(key: PrivateKey, passphrase: Passphrase = None) -> bytes:
    """The key as PKCS#8 PEM, encrypted (PBES2 with AES-256) when there is a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption_for(passphrase))


def encryption_for(passphrase: Passphrase) -> KeySerializationEncryption:
    secret = resolve(passphrase)
    return BestAvailableEncryption(secret) if secret else NoEncryption()


def resolve(passphrase: Passphrase) -> bytes | None:
    """The passphrase as bytes, asked for if it is a callable; None when there is none."""
    if callable(passphrase):
        passphrase = passphrase()
    if isinstance(passphrase, str):
        passphrase = passphrase.encode()
    return passphrase or None


def load_private_key(data: bytes, passphrase: Passphrase = None, *, where: str = "memory") -> PrivateKey:
    """Read one private key from PEM (PKCS#8, or the older RSA and EC forms).

    The passphrase is asked for only if the key is encrypted. Raises NoKeyFound, NotPem, KeyEncrypted,
    WrongPassphrase, BadKey, UnsupportedKey or TooLarge. Not checked: whether it belongs to a certificate.
    """
    blocks = pem.scan(data, where=where)
    found = [block for block in blocks if block.label in _KEY_LABELS]
    if not found:
        raise NoKeyFound(where, tuple(block.label.lower() for block in blocks))
    block = found[0]
    if block.label == "ENCRYPTED PRIVATE KEY":
        return load_der_key(block.der, passphrase, where=where, encrypted=True)
    if block.encrypted:  # the older forms, encrypted in their PEM headers: OpenSSL reads these itself
        return _load_headed(block, passphrase, where)
    return load_der_key(block.der, None, where=where, encrypted=False)


def load_der_key(der: bytes, passphrase: Passphrase, *, where: str, encrypted: bool) -> PrivateKey:
    """Read one private key from DER; raises as load_private_key."""
    secret = resolve(passphrase) if encrypted else None
    if encrypted and secret is None:
        raise KeyEncrypted(where)
    try:
        key = load_der_private_key(der, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _why(error, where, encrypted and _is_whole(der)) from None
    return bounded(key, where)


def _load_headed(block: pem.Block, passphrase: Passphrase, where: str) -> PrivateKey:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    secret = resolve(passphrase)
    if secret is None:
        raise KeyEncrypted(where)
    try:
        key = load_pem_private_key(block.text, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _why(error, where, True) from None
    return bounded(key, where)


def bounded(key: object, where: str) -> PrivateKey:
    """The key, if it is of a kind and size that twoway uses; raises UnsupportedKey or TooLarge."""
    if not isinstance(key, _PRIVATE):
        raise UnsupportedKey(where, key_type_of(key), KEY_TYPES)
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size > MAX_RSA_BITS:
        raise TooLarge(where, "an RSA key", key.key_size, MAX_RSA_BITS)
    return key


def _why(error: Exception, where: str, sealed: bool) -> BadKey | WrongPassphrase | UnsupportedKey:
    if isinstance(error, UnsupportedAlgorithm):
        return UnsupportedKey(where, "another algorithm", KEY_TYPES)
    # One wrong passphrase in 256 satisfies the padding: what then comes out is not ASN.1, and no other sign.
    return WrongPassphrase(where) if sealed else BadKey(where, "its ASN.1 is broken")


def _is_whole(der: bytes) -> bool:
    """Whether these bytes are one SEQUENCE from the first to the last: nothing was cut off or added."""
    if len(der) < 2 or der[0] != 0x30:
        return False
    octets = der[1] & 0x7F if der[1] & 0x80 else 0
    length = int.from_bytes(der[2 : 2 + octets]) if octets else der[1]
    return len(der) == 2 + octets + length
