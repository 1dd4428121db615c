"""Opens protected records of one direction (RFC 8446 §5.2, RFC 5246 §6.2.3); pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from twoway.wire.schedule import Keys, Suite

_BLOCK = 16


class Unopened(Exception):
    """A record does not open with these keys."""


class Opener:
    """Opens one direction's records in their order; a record that does not open does not count."""

    __slots__ = ("_aead", "_encrypt_then_mac", "_keys", "_modern", "_suite", "number")

    def __init__(self, suite: Suite, keys: Keys, *, modern: bool, encrypt_then_mac: bool = False) -> None:
        self._suite, self._keys, self._modern = suite, keys, modern
        self._encrypt_then_mac = encrypt_then_mac
        self.number = 0
        self._aead = _aead(suite, keys)

    def open(self, content_type: int, version: int, data: bytes) -> tuple[int, bytes]:
        """The inner content type and the plaintext; raises Unopened."""
        if self._modern:
            opened = self._open_13(content_type, version, data)
        elif self._aead is not None:
            opened = content_type, self._open_aead_12(content_type, version, data)
        elif self._suite.mode == "cbc":
            opened = content_type, self._open_cbc(content_type, version, data)
        else:
            opened = content_type, self._without_mac(content_type, version, data)
        self.number += 1
        return opened

    def _open_13(self, content_type: int, version: int, data: bytes) -> tuple[int, bytes]:
        head = bytes([content_type]) + version.to_bytes(2, "big") + len(data).to_bytes(2, "big")
        inner = self._decrypt(self._nonce(self._keys.iv), data, head).rstrip(b"\0")
        if not inner:
            # RFC 8446 §5.4: a record of padding alone is an error.
            raise Unopened("nothing but padding")
        return inner[-1], inner[:-1]

    def _nonce(self, iv: bytes) -> bytes:
        # RFC 8446 §5.3, RFC 7905 §2.
        return (int.from_bytes(iv, "big") ^ self.number).to_bytes(12, "big")

    def _decrypt(self, nonce: bytes, data: bytes, head: bytes) -> bytes:
        assert self._aead is not None
        try:
            return self._aead.decrypt(nonce, data, head)  # type: ignore[no-any-return]
        except (InvalidTag, ValueError):
            raise Unopened("the tag does not fit") from None

    def _open_aead_12(self, content_type: int, version: int, data: bytes) -> bytes:
        if self._suite.mode == "chacha":
            nonce = self._nonce(self._keys.iv)
        else:
            # RFC 5288 §3: the rest of the nonce is in front of the data.
            nonce, data = self._keys.iv + data[:8], data[8:]
            if len(nonce) != 12:
                raise Unopened("too short")
        tag = 8 if self._suite.mode == "ccm8" else 16
        if len(data) < tag:
            raise Unopened("too short")
        return self._decrypt(nonce, data, self._head(content_type, version, len(data) - tag))

    def _head(self, content_type: int, version: int, size: int) -> bytes:
        number = self.number.to_bytes(8, "big")
        return number + bytes([content_type]) + version.to_bytes(2, "big") + size.to_bytes(2, "big")

    def _open_cbc(self, content_type: int, version: int, data: bytes) -> bytes:
        mac = b""
        size = hashlib.new(self._suite.mac).digest_size
        if self._encrypt_then_mac:
            # RFC 7366 §3: the MAC is over what was encrypted.
            data, mac = data[:-size], data[-size:]
            self._check(mac, content_type, version, data)
        if len(data) < 2 * _BLOCK or len(data) % _BLOCK:
            raise Unopened("no whole blocks")
        decryptor = Cipher(algorithms.AES(self._keys.key), modes.CBC(data[:_BLOCK])).decryptor()
        plain = decryptor.update(data[_BLOCK:]) + decryptor.finalize()
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != bytes([padding - 1]) * padding:
            raise Unopened("the padding does not fit")
        plain = plain[:-padding]
        return plain if self._encrypt_then_mac else self._without_mac(content_type, version, plain)

    def _without_mac(self, content_type: int, version: int, data: bytes) -> bytes:
        size = hashlib.new(self._suite.mac).digest_size
        if len(data) < size:
            raise Unopened("too short")
        plain, mac = data[:-size], data[-size:]
        self._check(mac, content_type, version, plain)
        return plain

    def _check(self, mac: bytes, content_type: int, version: int, data: bytes) -> None:
        wanted = hmac.digest(
            self._keys.mac, self._head(content_type, version, len(data)) + data, self._suite.mac
        )
        if not hmac.compare_digest(wanted, mac):
            raise Unopened("the MAC does not fit")


def _aead(suite: Suite, keys: Keys) -> Any:
    match suite.mode:
        case "gcm":
            return AESGCM(keys.key)
        case "ccm":
            return AESCCM(keys.key)
        case "ccm8":
            return AESCCM(keys.key, tag_length=8)
        case "chacha":
            return ChaCha20Poly1305(keys.key)
    return None
