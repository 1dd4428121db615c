"""The container: a header with the file key for each recipient, then chunks that cannot be moved or left out.

Written by us alone, so its reader is strict: every byte has one meaning, and nothing may follow.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from twoway.credential import Credential
from twoway.message.faults import CannotOpen, MessageMalformed, MessageTooLarge, NotForUs
from twoway.message.hpke.sealing_key import SealingKey
from twoway.message.hpke.suites import BY_NAME, HYBRID, KINDS, Kind
from twoway.message.purpose import check_may_receive, receiving_kind
from twoway.message.recipient import MAX_RECIPIENTS, Recipient
from twoway.message.streams import Source, read_exactly

FORMAT = "hpke"
MAGIC = b"twoway\0\1"  # the last octet is the version
CHUNK = 64 * 1024
_TAG = 16
_KEY = 32
MAX_CHUNKS = 2**32  # 256 TiB; GCM under one key holds far beyond
RECEIVERS = ("p256", "p384", f"a sealing card ({HYBRID})")


@dataclass(frozen=True)
class Share:
    """The file key for one recipient: which kind of key, its fingerprint, and what HPKE made of it."""

    kind: Kind
    fingerprint: bytes
    sealed: bytes


def seal(source: Source, sink: BinaryIO, recipients: Sequence[Recipient]) -> None:
    """Seal what a source gives, of up to 256 TiB, in constant memory; raises CannotReceive or KeyUsageForbids."""
    key = os.urandom(_KEY)
    shares = [_share(one, key) for one in recipients]
    head = MAGIC + bytes([len(shares)])
    head += b"".join(bytes([one.kind.number]) + one.fingerprint + one.sealed for one in shares)
    sink.write(head + _mac(key, head))
    cipher = AESGCM(_payload_key(key, head))
    chunk = read_exactly(source, CHUNK)
    for number in range(MAX_CHUNKS):
        following = read_exactly(source, CHUNK) if len(chunk) == CHUNK else b""
        sink.write(cipher.encrypt(_nonce(number, last=not following), chunk, None))
        if not following:
            return
        chunk = following
    raise MessageTooLarge(FORMAT, MAX_CHUNKS * CHUNK)


def _share(recipient: Recipient, key: bytes) -> Share:
    public: Any
    if recipient.card is not None:
        kind, fingerprint, public = BY_NAME[HYBRID], recipient.card.fingerprint, recipient.card.hybrid
    else:
        check_may_receive(recipient.certificate, FORMAT, RECEIVERS)
        public = recipient.certificate.public_key()
        kind, fingerprint = BY_NAME[receiving_kind(public) or ""], bytes.fromhex(recipient.fingerprint)
    return Share(kind, fingerprint, kind.suite.encrypt(key, public, info=_info(kind, fingerprint)))


def open_sealed(
    source: Source, sink: BinaryIO, identity: Credential, sealing_keys: Sequence[SealingKey] = ()
) -> None:
    """Open what a source gives into a sink, chunk by chunk, in constant memory.

    Raises MessageMalformed, NotForUs, and CannotOpen for everything that depends on the key: a chunk that is
    changed, missing, doubled or elsewhere too. On an error what the sink has is to be thrown away.
    """
    head, shares, mac = _header(source)
    key = _file_key(shares, identity, sealing_keys)
    # The MAC also commits to the key: AES-GCM alone would open under two keys, to different contents.
    if not hmac.compare_digest(mac, _mac(key, head)):
        raise CannotOpen(identity.describe())
    cipher = AESGCM(_payload_key(key, head))
    size = CHUNK + _TAG
    chunk = read_exactly(source, size)
    for number in range(MAX_CHUNKS):
        following = read_exactly(source, size) if len(chunk) == size else b""
        try:
            sink.write(cipher.decrypt(_nonce(number, last=not following), chunk, None))
        except (InvalidTag, ValueError):
            raise CannotOpen(identity.describe()) from None
        if not following:
            if number and len(chunk) == _TAG:  # an empty last chunk is written for empty content only
                raise CannotOpen(identity.describe())
            return
        chunk = following
    raise MessageTooLarge(FORMAT, MAX_CHUNKS * CHUNK)


def _header(source: Source) -> tuple[bytes, list[Share], bytes]:
    head = _taken(source, len(MAGIC))
    if head != MAGIC:
        if head[:-1] == MAGIC[:-1]:
            raise MessageMalformed(FORMAT, f"it has the version {head[-1]}, and 1 is the one that is known")
        raise MessageMalformed(FORMAT, "it does not begin as one")
    count = _taken(source, 1)
    if not 1 <= count[0] <= MAX_RECIPIENTS:
        raise MessageMalformed(FORMAT, f"there are not 1 to {MAX_RECIPIENTS} recipients")
    head += count
    shares = []
    for _ in range(count[0]):
        fixed = _taken(source, 33)
        kind = KINDS.get(fixed[0])
        if kind is None:
            raise MessageMalformed(FORMAT, f"a recipient has a key of the unknown kind {fixed[0]}")
        sealed = _taken(source, kind.sealed_length)
        shares.append(Share(kind, fixed[1:], sealed))
        head += fixed + sealed
    return head, shares, _taken(source, 32)


def _file_key(shares: list[Share], identity: Credential, sealing_keys: Sequence[SealingKey]) -> bytes:
    own: dict[tuple[str, bytes], Any] = {(HYBRID, key.fingerprint): key.hybrid for key in sealing_keys}
    private = identity.private_key
    if isinstance(private, ec.EllipticCurvePrivateKey) and (kind := receiving_kind(private)) is not None:
        own[kind, bytes.fromhex(identity.fingerprint)] = private
    for one in shares:
        key = own.get((one.kind.name, one.fingerprint))
        if key is None:
            continue
        try:
            return one.kind.suite.decrypt(one.sealed, key, info=_info(one.kind, one.fingerprint))
        except (InvalidTag, ValueError):
            raise CannotOpen(identity.describe()) from None
    names = tuple(f"{one.fingerprint.hex()} ({one.kind.name})" for one in shares)
    raise NotForUs(identity.describe(), identity.fingerprint, names)


def _info(kind: Kind, fingerprint: bytes) -> bytes:
    """What binds an encapsulation to this container, kind and recipient (RFC 9180 §8.1)."""
    return MAGIC + bytes([kind.number]) + fingerprint


def _mac(key: bytes, head: bytes) -> bytes:
    return hmac.digest(_derived(key, b"", b"twoway header 1"), head, "sha256")


def _payload_key(key: bytes, head: bytes) -> bytes:
    return _derived(key, hashlib.sha256(head).digest(), b"twoway payload 1")


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, info).derive(key)


def _nonce(number: int, *, last: bool) -> bytes:
    """Eleven octets of counter, and one that says whether it is the end (the STREAM construction)."""
    return struct.pack(">3xQB", number, last)


def _taken(source: Source, size: int) -> bytes:
    data = read_exactly(source, size)
    if len(data) != size:
        raise MessageMalformed(FORMAT, "it ends too early")
    return data
