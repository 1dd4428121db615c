"""Pins: the other side must present one of these certificates or keys, whatever an authority vouches for."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twoway.credential import describe, fingerprint_of
from twoway.errors import PeerDenied, UsageError

_HEX = re.compile(r"(?:sha256[:/])?((?:[0-9a-f]{2}:?){32})", re.IGNORECASE)
_BASE64 = re.compile(r"(?:sha256[:/])?([A-Za-z0-9+/]{43}=)", re.IGNORECASE)


class PinMismatch(PeerDenied):
    """A proven peer presents neither a pinned certificate nor a pinned key."""

    code = "pin_mismatch"

    def __init__(self, peer: str, expected: tuple[str, ...], certificate: str, key: str) -> None:
        super().__init__(peer, expected, certificate, key)
        self.peer, self.expected, self.certificate, self.key = peer, expected, certificate, key

    def __str__(self) -> str:
        return (
            f"expected a certificate or key with the SHA-256 {' or '.join(self.expected)}, "
            f"{self.peer} presented the certificate {self.certificate} with the key {self.key}"
        )

    @property
    def remedy(self) -> str:
        return (
            "if this is the one that is meant, pin it; the key's SHA-256 outlives a renewal with the same key"
        )

    @property
    def evidence(self) -> dict[str, object]:
        return {
            "peer": self.peer,
            "expected": list(self.expected),
            "certificate": self.certificate,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True)
class Pins:
    """SHA-256 digests (lower-case hexadecimal) of certificates or of subject public keys; any one suffices."""

    digests: frozenset[str]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Pins | None:
        """Read digests as people write them: hexadecimal, with or without colons, or Base64, after `sha256:` or
        `sha256/` if that is there. None for no text at all; raises UsageError.
        """
        digests = frozenset(_digest(text) for text in texts)
        return cls(digests) if digests else None

    def check(self, leaf: x509.Certificate) -> None:
        """The leaf itself or its key is pinned; raises PinMismatch with what was presented."""
        certificate = fingerprint_of(leaf)
        if certificate in self.digests:
            return
        key = key_fingerprint(leaf)
        if key not in self.digests:
            raise PinMismatch(describe(leaf), tuple(sorted(self.digests)), certificate, key)


def key_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the SubjectPublicKeyInfo (as RFC 7469 §2.4 pins it), in lower-case hexadecimal."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def _digest(text: str) -> str:
    if match := _HEX.fullmatch(text):
        return match[1].replace(":", "").lower()
    if match := _BASE64.fullmatch(text):
        try:
            return base64.b64decode(match[1], validate=True).hex()
        except binascii.Error:
            pass
    raise UsageError(
        f"{text!r} is no SHA-256 of a certificate or key",
        "write 64 hexadecimal digits, or sha256/ and Base64: openssl x509 -in cert.pem -noout -fingerprint -sha256",
    )
