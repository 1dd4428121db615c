"""A key to be sealed for that resists quantum computers, and the signed card by which an identity shows it.

No authority certifies ML-KEM keys for others' programs yet, and keys that only sign (Ed25519, ML-DSA) cannot be
sealed for. So an identity makes a hybrid pair, MLKEM768-X25519, and signs its public half: the card.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from twoway.credential import BadKey, Credential, KeyEncrypted, read, write_private
from twoway.credential.files import read_private
from twoway.credential.keys import Passphrase, encryption_for, resolve
from twoway.credential.pem import scan
from twoway.errors import UsageError
from twoway.message.cms import ber, signed, verifying
from twoway.message.faults import CardExpired, MessageMalformed
from twoway.trust import Peer, Trust

FILE = "sealing-key.pem"
FORMAT = "sealing card"
DAYS = 90
MAX_CARD = 256 * 1024
MAX_KEYS = 16
_TYPE = "twoway-sealing-card/1"
_MLKEM_PUBLIC = 1184


@dataclass(frozen=True, eq=False)
class SealingKey:
    """The private half: ML-KEM-768 and X25519 together. `public` is what a card shows."""

    mlkem_key: mlkem.MLKEM768PrivateKey = field(repr=False)
    x25519_key: x25519.X25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> SealingKey:
        return cls(mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate())

    @property
    def hybrid(self) -> MLKEM768X25519PrivateKey:
        return MLKEM768X25519PrivateKey(self.mlkem_key, self.x25519_key)

    @property
    def public(self) -> bytes:
        """1184 bytes of ML-KEM-768, then 32 of X25519."""
        return (
            self.mlkem_key.public_key().public_bytes_raw() + self.x25519_key.public_key().public_bytes_raw()
        )

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(self.public).digest()

    def pem(self, passphrase: Passphrase = None) -> bytes:
        """Both keys as PKCS#8, ML-KEM first: a secret."""
        secret = resolve(passphrase)
        encryption = encryption_for(secret) if secret else NoEncryption()
        return b"".join(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
            for key in (self.mlkem_key, self.x25519_key)
        )

    def card(self, identity: Credential, *, days: float = DAYS, now: datetime | None = None) -> bytes:
        """The public half, signed by an identity (CMS): whoever trusts the identity can seal for this key.

        It holds for so many days, and never longer than the identity's certificate.
        """
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        until = min(moment + timedelta(days=days), identity.not_after)
        said = {
            "type": _TYPE,
            "kem": "MLKEM768-X25519",
            "public_key": self.public.hex(),
            "not_after": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        sink = io.BytesIO()
        signed.sign(io.BytesIO(json.dumps(said).encode()), sink, [identity], now=now)
        return sink.getvalue()


def load_sealing_keys(path: str | Path, passphrase: Passphrase = None) -> tuple[SealingKey, ...]:
    """The pairs of a file, the newest first; raises a CredentialError."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    blocks = [block for block in scan(read_private(path), where=str(path)) if "PRIVATE KEY" in block.label]
    if not blocks or len(blocks) % 2 or len(blocks) > 2 * MAX_KEYS:
        raise BadKey(str(path), f"it does not hold 1 to {MAX_KEYS} pairs of ML-KEM and X25519 keys")
    encrypted = any(block.label == "ENCRYPTED PRIVATE KEY" for block in blocks)
    secret = resolve(passphrase) if encrypted else None
    try:
        keys: list[Any] = [load_pem_private_key(block.text, secret) for block in blocks]
    except (ValueError, TypeError):
        raise BadKey(str(path), "a key does not decode, or not with this passphrase") from None
    pairs = list(zip(keys[::2], keys[1::2], strict=True))
    for first, second in pairs:
        if not isinstance(first, mlkem.MLKEM768PrivateKey) or not isinstance(second, x25519.X25519PrivateKey):
            raise BadKey(str(path), "expected an ML-KEM-768 key and then an X25519 key")
    return tuple(SealingKey(first, second) for first, second in pairs)


def new_sealing_key(directory: str | Path, passphrase: Passphrase = None) -> SealingKey:
    """A new pair in an identity directory, in front of those that it has: what was sealed for them still opens.

    It is encrypted where the identity's own key is: then the passphrase is asked for, or KeyEncrypted raised.
    """
    place = Path(directory)
    if not (place / "cert.pem").is_file():
        raise UsageError(f"{place} is no identity directory", "name one that has cert.pem and key.pem")
    encrypted = b"ENCRYPTED" in read(place / "key.pem")
    secret = resolve(passphrase) if encrypted or not callable(passphrase) else None
    if encrypted and secret is None:
        raise KeyEncrypted(str(place / "key.pem"))
    path = place / FILE
    made = SealingKey.generate()
    kept = read(path) if path.exists() else b""
    if len(scan(kept, where=str(path)) if kept else ()) >= 2 * MAX_KEYS:
        raise UsageError(f"{path} holds {MAX_KEYS} pairs already", "remove the oldest, at its end")
    write_private(path, made.pem(secret) + kept)
    return made


@dataclass(frozen=True, slots=True)
class Card:
    """A card that has been verified: whose it is, and the key that it shows."""

    peer: Peer
    public: bytes

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(self.public).digest()

    @property
    def hybrid(self) -> MLKEM768X25519PublicKey:
        return _hybrid(self.public)


def verified_card(data: bytes, trust: Trust, *, now: datetime | None = None) -> Card:
    """Verify a card: its signature, its signer's certificate, its time. Raises MessageMalformed or a PeerUntrusted."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    sink = io.BytesIO()
    peers: Sequence[Peer] = verifying.verify(ber.Reader(io.BytesIO(data)), sink, trust, now=moment)
    if len(peers) != 1:
        raise MessageMalformed(FORMAT, f"there are {len(peers)} signatures and not one")
    try:
        said = json.loads(sink.getvalue())
        public = bytes.fromhex(said["public_key"])
        until = datetime.strptime(said["not_after"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        known = (said["type"], said["kem"]) == (_TYPE, "MLKEM768-X25519")
        _hybrid(public)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MessageMalformed(FORMAT, "what it says does not decode") from None
    if not known:
        raise MessageMalformed(FORMAT, "it is of another type or for another kind of key")
    if moment > until:
        raise CardExpired(peers[0].describe(), until, moment)
    return Card(peers[0], public)


def _hybrid(public: bytes) -> MLKEM768X25519PublicKey:
    first, second = public[:_MLKEM_PUBLIC], public[_MLKEM_PUBLIC:]
    return MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(first), x25519.X25519PublicKey.from_public_bytes(second)
    )
