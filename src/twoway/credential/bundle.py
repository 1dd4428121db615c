"""PKCS#12 (RFC 7292): key, certificate and chain in one encrypted file."""

from __future__ import annotations

from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from twoway.credential.faults import (
    BadKey,
    KeyEncrypted,
    NoCertificateFound,
    NoKeyFound,
    UnsupportedKey,
    WrongPassphrase,
)
from twoway.credential.keys import KEY_TYPES, Passphrase, PrivateKey, bounded, key_type_of, resolve
from twoway.errors import UsageError

Compat = Literal["modern", "legacy"]


def write_pkcs12(
    key: PrivateKey,
    chain: tuple[x509.Certificate, ...],
    passphrase: Passphrase,
    *,
    compat: Compat = "modern",
    friendly_name: str | None = None,
) -> bytes:
    """Key and chain as PKCS#12; the passphrase is required.

    `modern` is PBES2 with AES-256 and a SHA-256 MAC. `legacy` is triple DES with a SHA-1 MAC, for what reads
    nothing else (Android before 13, macOS before 15, Windows before 10 1809, Java before 8u301): it protects
    the key badly, so give it a long passphrase and delete it after import. Raises UsageError, UnsupportedKey.
    """
    secret = resolve(passphrase)
    if secret is None:
        raise UsageError(
            "a PKCS#12 file needs a passphrase", "pass one; without it most programs refuse the file"
        )
    name = friendly_name.encode() if friendly_name else None
    try:
        return pkcs12.serialize_key_and_certificates(
            name,
            key,  # type: ignore[arg-type]  # ML-DSA is refused by the library, and told below
            chain[0],
            chain[1:] or None,
            _encryption(secret, compat),
        )
    except (TypeError, ValueError):
        raise UnsupportedKey("PKCS#12", key_type_of(key), KEY_TYPES[:6]) from None


def _encryption(secret: bytes, compat: str) -> KeySerializationEncryption:
    if compat == "modern":
        return BestAvailableEncryption(secret)
    if compat != "legacy":
        raise UsageError(f"no such PKCS#12 compatibility: {compat}", "choose modern or legacy")
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(20000)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303 - what legacy readers know
        .build(secret)
    )


def read_pkcs12(
    data: bytes, passphrase: Passphrase, *, where: str = "memory"
) -> tuple[PrivateKey, tuple[x509.Certificate, ...]]:
    """Key and certificates (leaf first) of a PKCS#12.

    The passphrase is asked for only if the file has one. Raises KeyEncrypted, WrongPassphrase, BadKey, NoKeyFound
    and others.
    """
    bundle = _opened(data, None, where)
    if bundle is None:
        secret = resolve(passphrase)
        if secret is None:
            raise KeyEncrypted(where)
        bundle = _opened(data, secret, where)
    if bundle is None:
        raise WrongPassphrase(where)
    if bundle.key is None:
        raise NoKeyFound(where)
    if bundle.cert is None:
        raise NoCertificateFound(where)
    return bounded(bundle.key, where), (
        bundle.cert.certificate,
        *(extra.certificate for extra in bundle.additional_certs),
    )


def _opened(data: bytes, secret: bytes | None, where: str) -> pkcs12.PKCS12KeyAndCertificates | None:
    """What is in it; None when the passphrase is another. Raises BadKey."""
    try:
        return pkcs12.load_pkcs12(data, secret)
    except ValueError as error:
        if "password" in str(error).lower() or "mac" in str(error).lower():
            return None
        raise BadKey(where, "it is not PKCS#12, or broken") from None
    except Exception:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
        raise BadKey(where, "it is not PKCS#12, or broken") from None
