"""What a side signs to prove that it holds the key of its certificate, and whether that signature verifies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from twoway.explainer.gathered import Gathered
from twoway.wire.events import Sender, WireMessage

_CONTEXT: dict[Sender, bytes] = {
    "server": b"TLS 1.3, server CertificateVerify",
    "client": b"TLS 1.3, client CertificateVerify",
}
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_MESSAGE_HASH = 254
_OUTSIDE = ("hello_request", "new_session_ticket", "key_update")


def signed_by(side: Sender, facts: Gathered) -> bytes:
    """The bytes that `side` has signed in this handshake; b"" when it has not, or they cannot be told."""
    if facts.version == "TLSv1.3":
        return _signed_in_13(side, facts)
    if side == "client":
        place = facts.place("client", "certificate_verify")
        # RFC 5246 §7.4.8: all handshake messages so far, as they are.
        return b"".join(_handshake_until(place, facts)) if place is not None else b""
    if facts.key_exchange is None or facts.hello is None or facts.answer is None:
        return b""
    # RFC 8422 §5.4: both randoms, then the ephemeral key.
    return facts.hello.random + facts.answer.random + facts.key_exchange.parameters


def _signed_in_13(side: Sender, facts: Gathered) -> bytes:
    place = facts.place(side, "certificate_verify")
    if place is None or facts.answer is None or side not in facts.proofs:
        return b""
    name = "sha384" if facts.answer.cipher_suite.endswith("SHA384") else "sha256"
    # RFC 8446 §4.4.3: 64 spaces, who signs, a zero, and the hash of all messages so far.
    return b" " * 64 + _CONTEXT[side] + b"\0" + _transcript_hash(_handshake_until(place, facts), name)


def _handshake_until(place: int, facts: Gathered) -> list[bytes]:
    begin, messages = facts.asked_before(place), facts.messages[:place]
    finished = facts.place("client", "finished")
    if begin and finished is not None:
        # RFC 8446 §4.4: a later answer signs the whole handshake and the request that it answers.
        messages = (*facts.messages[: finished + 1], *facts.messages[begin:place])
    return [m.data for m in messages if _counts(m)]


def _counts(message: WireMessage) -> bool:
    # RFC 5246 §7.4.1.1: a hello_request is no part of the transcript.
    return message.kind == "handshake" and message.name not in _OUTSIDE


def _transcript_hash(messages: Sequence[bytes], name: str) -> bytes:
    """RFC 8446 §4.4.1: after a retry the first hello counts as its hash."""
    hello_count = sum(1 for data in messages if data[:1] == b"\x01")
    parts = list(messages)
    if hello_count > 1:
        first = hashlib.new(name, parts[0]).digest()
        parts[0] = bytes((_MESSAGE_HASH, 0, 0, len(first))) + first
    return hashlib.new(name, b"".join(parts)).digest()


def verifies(key: CertificatePublicKeyTypes, scheme: str, signature: bytes, content: bytes) -> bool | None:
    """Whether `signature` over `content` was made with the private half of `key`; None for an unknown scheme."""
    try:
        return _verify(key, scheme, signature, content)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return None


def _verify(key: CertificatePublicKeyTypes, scheme: str, signature: bytes, content: bytes) -> bool | None:
    digest = _HASHES.get(scheme.rpartition("_")[2])
    if isinstance(
        key,
        (
            ed25519.Ed25519PublicKey,
            ed448.Ed448PublicKey,
            mldsa.MLDSA44PublicKey,
            mldsa.MLDSA65PublicKey,
            mldsa.MLDSA87PublicKey,
        ),
    ):
        key.verify(signature, content)
    elif digest is None:
        return None
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, content, ec.ECDSA(digest()))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, content, _padding(scheme, digest()), digest())
    else:
        return None
    return True


def _padding(scheme: str, digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    # RFC 8446 §4.2.3: the salt is as long as the digest.
    if scheme.startswith("rsa_pss"):
        return padding.PSS(padding.MGF1(digest), digest.digest_size)
    return padding.PKCS1v15()
