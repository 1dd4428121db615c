"""From secrets to keys: the key schedules of TLS 1.3 (RFC 8446 §7) and TLS 1.2 (RFC 5246 §5, §6.3); pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["gcm", "ccm", "ccm8", "chacha", "cbc", "null"]


@dataclass(frozen=True, slots=True)
class Suite:
    """How a cipher suite protects records: sizes in bytes, hashes by hashlib's names.

    `prf` is the hash of the key schedule, `mac` that of the records' HMAC where the mode is "cbc" or "null".
    """

    mode: Mode
    key: int
    prf: str
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """One direction's keys: `iv` is the whole nonce base in TLS 1.3, the implicit part of it in TLS 1.2."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    mac: bytes = field(repr=False, default=b"")


_HASHES = {"SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384", "MD5": "md5"}


def suite_of(name: str) -> Suite | None:
    """How the named suite works; None for one whose records cannot be opened here."""
    cipher = name.partition("_WITH_")[2] or name.removeprefix("TLS_")
    words = cipher.split("_")
    prf = _HASHES.get(words[-1], "sha256")
    if cipher.startswith("CHACHA20_POLY1305"):
        return Suite("chacha", 32, prf)
    if words[0] == "NULL":
        return Suite("null", 0, "sha256", _HASHES.get(words[-1], "sha1"))
    if words[0] != "AES" or len(words) < 3 or words[1] not in ("128", "256"):
        return None
    key = int(words[1]) // 8
    if words[2] == "GCM":
        return Suite("gcm", key, prf)
    if words[2] == "CCM":
        return Suite("ccm8" if "8" in words[3:] else "ccm", key, prf)
    if words[2] == "CBC":
        mac = _HASHES.get(words[-1], "sha1")
        # RFC 5246 §5: SHA-256 is the PRF of all suites that do not name a stronger one.
        return Suite("cbc", key, "sha384" if mac == "sha384" else "sha256", mac)
    return None


# -- TLS 1.3 -----------------------------------------------------------------------------------------------


def extract(salt: bytes, secret: bytes, prf: str) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2)."""
    return hmac.digest(salt or bytes(hashlib.new(prf).digest_size), secret, prf)


def expand(secret: bytes, info: bytes, size: int, prf: str) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3)."""
    out, block, number = b"", b"", 1
    while len(out) < size:
        block = hmac.digest(secret, block + info + bytes([number]), prf)
        out += block
        number += 1
    return out[:size]


def expand_label(secret: bytes, label: str, context: bytes, size: int, prf: str) -> bytes:
    """HKDF-Expand-Label (RFC 8446 §7.1)."""
    name = b"tls13 " + label.encode("ascii")
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + bytes([len(context)]) + context
    return expand(secret, info, size, prf)


def derive_secret(secret: bytes, label: str, transcript_hash: bytes, prf: str) -> bytes:
    """Derive-Secret (RFC 8446 §7.1)."""
    return expand_label(secret, label, transcript_hash, hashlib.new(prf).digest_size, prf)


def traffic_keys(secret: bytes, suite: Suite) -> Keys:
    """RFC 8446 §7.3."""
    return Keys(
        expand_label(secret, "key", b"", suite.key, suite.prf), expand_label(secret, "iv", b"", 12, suite.prf)
    )


def next_traffic_secret(secret: bytes, suite: Suite) -> bytes:
    """RFC 8446 §7.2: what follows a KeyUpdate."""
    return derive_secret(secret, "traffic upd", b"", suite.prf)


def finished_key(base: bytes, prf: str) -> bytes:
    """RFC 8446 §4.4.4."""
    return expand_label(base, "finished", b"", hashlib.new(prf).digest_size, prf)


# -- TLS 1.2 -----------------------------------------------------------------------------------------------


def prf12(secret: bytes, label: bytes, seed: bytes, size: int, prf: str) -> bytes:
    """RFC 5246 §5."""
    seed = label + seed
    out, chain = b"", seed
    while len(out) < size:
        chain = hmac.digest(secret, chain, prf)
        out += hmac.digest(secret, chain + seed, prf)
    return out[:size]


def key_block(master: bytes, client_random: bytes, server_random: bytes, suite: Suite) -> tuple[Keys, Keys]:
    """The client's and the server's keys (RFC 5246 §6.3)."""
    mac = hashlib.new(suite.mac).digest_size if suite.mac else 0
    # RFC 5288 §3, RFC 6655 §3: 4 bytes of the nonce are implicit; RFC 7905 §2: all 12 of them.
    iv = {"gcm": 4, "ccm": 4, "ccm8": 4, "chacha": 12}.get(suite.mode, 0)
    block = prf12(
        master, b"key expansion", server_random + client_random, 2 * (mac + suite.key + iv), suite.prf
    )
    parts = []
    at = 0
    for size in (mac, mac, suite.key, suite.key, iv, iv):
        parts.append(block[at : at + size])
        at += size
    return Keys(parts[2], parts[4], parts[0]), Keys(parts[3], parts[5], parts[1])
