"""A CA's private key at rest: PKCS#8, encrypted under a passphrase that is expensive to guess."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from twoway.authority import der
from twoway.authority.faults import CaKeyMismatch, PassphraseNeeded, StoreUnusable, WrongCaPassphrase
from twoway.credential import PrivateKey, display_name, private_key_pem

Passphrase: TypeAlias = bytes | str | Callable[[], bytes | str] | None

# `cryptography` writes PKCS#8 with 2,048 rounds; a CA's key is worth more of a guesser's time.
ROUNDS = 600_000


def encrypted_pem(key: PrivateKey, passphrase: bytes, *, rounds: int = ROUNDS) -> bytes:
    """The key as PEM PKCS#8; encrypted with PBES2 (PBKDF2-HMAC-SHA-256, AES-256-CBC), or not if it is empty."""
    if not passphrase:
        return private_key_pem(key)
    salt, initial = os.urandom(16), os.urandom(16)
    wrapping = PBKDF2HMAC(hashes.SHA256(), 32, salt, rounds).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    encryptor = Cipher(algorithms.AES(wrapping), modes.CBC(initial)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    # RFC 8018 §6.2 and appendix A.2, A.4; the algorithms' names from appendix B.
    derivation = der.sequence(
        der.oid("1.2.840.113549.1.5.12"),
        der.sequence(
            der.tlv(der.OCTET_STRING, salt),
            der.integer(rounds),
            der.sequence(der.oid("1.2.840.113549.2.9"), der.tlv(der.NULL, b"")),
        ),
    )
    cipher = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"), der.tlv(der.OCTET_STRING, initial))
    algorithm = der.sequence(der.oid("1.2.840.113549.1.5.13"), der.sequence(derivation, cipher))
    return _pem(der.sequence(algorithm, der.tlv(der.OCTET_STRING, sealed)))


def load(path: Path, passphrase: Passphrase, certificate: x509.Certificate) -> PrivateKey:
    """The private key of a CA's certificate.

    Raises PassphraseNeeded, WrongCaPassphrase, CaKeyMismatch, StoreUnusable (unreadable); FileNotFoundError is
    left to the caller, who knows what the absence means.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as failure:
        raise StoreUnusable(str(path), failure.strerror or str(failure)) from failure
    encrypted = b"ENCRYPTED" in data
    if encrypted and passphrase is None:
        raise PassphraseNeeded(str(path))
    secret = resolve(passphrase) if encrypted else None
    try:
        key = serialization.load_pem_private_key(data, secret or None)
    except (ValueError, TypeError) as failure:
        if encrypted:
            raise WrongCaPassphrase(str(path)) from failure
        raise StoreUnusable(str(path), "it holds no PKCS#8 private key in PEM") from failure
    expected, presented = spki_hash(certificate.public_key()), spki_hash(key.public_key())
    if expected != presented:
        raise CaKeyMismatch(str(path), display_name(certificate.subject), expected, presented)
    return key  # type: ignore[return-value]


def resolve(passphrase: Passphrase) -> bytes:
    """The passphrase itself, asking for it if it has to be asked for; empty when there is none."""
    if callable(passphrase):
        passphrase = passphrase()
    if isinstance(passphrase, str):
        return passphrase.encode()
    return passphrase or b""


def spki_hash(public_key: object) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in hex: the same key always gives the same."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        public_key.public_bytes(  # type: ignore[attr-defined]
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()


def _pem(data: bytes) -> bytes:
    text = base64.b64encode(data)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join(
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b"")
    )
