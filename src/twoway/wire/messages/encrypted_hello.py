"""Encrypted Client Hello (RFC 9849), as far as an observer can read it; pure."""

from __future__ import annotations

from twoway.wire.messages.decoder import Decoder

_TYPES = {0: "outer", 1: "inner"}
# RFC 9180 §7.2 and §7.3, by which GREASE ones are chosen too.
_KDFS = {1: "HKDF-SHA256", 2: "HKDF-SHA384", 3: "HKDF-SHA512"}
_AEADS = {1: "AES-128-GCM", 2: "AES-256-GCM", 3: "ChaCha20Poly1305"}


def read_encrypted_hello(d: Decoder) -> str:
    """RFC 9849 §5. An outer hello of a client without a configuration looks the same: it is GREASE (§6.2)."""
    kind = d.number("type", 1, _TYPES)
    if kind == 0:
        d.number("kdf_id", 2, _KDFS)
        d.number("aead_id", 2, _AEADS)
        d.number("config_id", 1)
        d.opaque("enc", 2)
        d.opaque("payload", 2)
    return _TYPES.get(kind, str(kind))


def read_retry(d: Decoder) -> str:
    """RFC 9849 §5, in a HelloRetryRequest."""
    d.rest("confirmation")
    return "retry"
