"""The suites of HPKE that are used here: one a kind of key, all with AES-256-GCM."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import hpke

HYBRID = "mlkem768-x25519"
_AEAD = hpke.AEAD.AES_256_GCM


@dataclass(frozen=True)
class Kind:
    """What a recipient's key is, by its number in a message."""

    number: int
    name: str
    suite: hpke.Suite
    sealed_length: int  # of a file key: encapsulation, key, tag


def _kind(number: int, name: str, kem: hpke.KEM, kdf: hpke.KDF) -> Kind:
    return Kind(number, name, hpke.Suite(kem, kdf, _AEAD), kem.enc_length() + 32 + 16)


# RFC 9180 §7: DHKEM(P-256, HKDF-SHA256) and DHKEM(P-384, HKDF-SHA384); the third is X-Wing,
# MLKEM768-X25519, which holds as long as one of its two halves does.
KINDS = {
    kind.number: kind
    for kind in (
        _kind(1, "p256", hpke.KEM.P256, hpke.KDF.HKDF_SHA256),
        _kind(2, "p384", hpke.KEM.P384, hpke.KDF.HKDF_SHA384),
        _kind(3, HYBRID, hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256),
    )
}
BY_NAME = {kind.name: kind for kind in KINDS.values()}
