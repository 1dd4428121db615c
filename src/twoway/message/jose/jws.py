"""JWS (RFC 7515): content signed by one or several identities, with their certificates in x5c."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from joserfc import jws
from joserfc.errors import JoseError

from twoway.credential import Credential, describe, key_type_of
from twoway.errors import UsageError
from twoway.message.faults import (
    AlgorithmRefused,
    CannotSign,
    ContentMissing,
    MessageMalformed,
    MessageTooLarge,
    SignatureInvalid,
    SignerUnknown,
)
from twoway.message.jose.headers import (
    MAX_CONTENT,
    MAX_HEADER,
    Headers,
    chain_in,
    decode,
    encode,
    header_of,
    parse,
    private_jwk,
    public_jwk,
    text_of,
    thumbprint,
    x5c,
)
from twoway.message.purpose import check_may_sign, key_of
from twoway.message.signer import Verified, verified_signer
from twoway.trust import Peer, Trust
from twoway.trust.verification import Purpose

FORMAT = "jws"
MAX_SIGNATURES = 16
# RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2: what each kind of key signs with, the first of them when we sign.
ALGORITHMS = {
    "p256": ("ES256",),
    "p384": ("ES384",),
    "rsa": ("PS256", "PS384", "PS512", "RS256"),
    "ed25519": ("Ed25519", "EdDSA"),
}


class _Registry(jws.JWSRegistry):
    """joserfc's rules, with our bounds."""

    max_header_length = MAX_HEADER
    max_payload_length = MAX_CONTENT * 4 // 3 + 64
    max_signature_length = 2048


def sign(
    content: bytes,
    signers: Sequence[Credential],
    *,
    detached: bool = False,
    content_type: str | None = None,
    as_json: bool | None = None,
) -> bytes:
    """Sign content of at most 64 MiB; compact for one signer, JSON for several or where `as_json`.

    The certificates travel along in `x5c`, without the root. `detached` leaves the content out (RFC 7515
    appendix F). Raises MessageTooLarge, CannotSign or KeyUsageForbids.
    """
    if len(content) > MAX_CONTENT:
        raise MessageTooLarge(FORMAT, MAX_CONTENT)
    if not signers or len(signers) > MAX_SIGNATURES:
        raise UsageError(f"expected 1 to {MAX_SIGNATURES} signers, got {len(signers)}", "name who signs")
    compact = [_sign_one(content, one, content_type) for one in signers]
    payload = "" if detached else encode(content)
    if len(compact) == 1 and not as_json:
        head, _, signature = compact[0]
        return f"{head}.{payload}.{signature}".encode()
    signatures = [{"protected": head, "signature": signature} for head, _, signature in compact]
    message: dict[str, Any] = {"signatures": signatures}
    if not detached:
        message = {"payload": payload, **message}
    return json.dumps(message, separators=(",", ":")).encode()


def _sign_one(content: bytes, signer: Credential, content_type: str | None) -> list[str]:
    check_may_sign(signer.leaf)
    headers: Headers = {
        "alg": _fitting(signer.leaf)[0],
        "x5c": x5c(signer.chain),
        "x5t#S256": thumbprint(signer.leaf),
    }
    if content_type is not None:
        headers["cty"] = content_type
    registry = _Registry(algorithms=[headers["alg"]])
    return jws.serialize_compact(headers, content, private_jwk(signer.private_key), registry=registry).split(
        "."
    )


def verify(
    message: bytes,
    trust: Trust,
    *,
    content: bytes | None = None,
    signer: Sequence[x509.Certificate] | None = None,
    purpose: Purpose | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify every signature of a message and everybody's certificate; all hold, or an error says which not.

    `content` is what a detached signature is about; `signer` the signer's certificates where the message
    carries none. Raises MessageMalformed, AlgorithmRefused, SignerUnknown, SignatureInvalid or a PeerUntrusted.
    """
    if len(message) > MAX_CONTENT * 4 // 3 + MAX_HEADER * 2 * MAX_SIGNATURES:
        raise MessageTooLarge(FORMAT, MAX_CONTENT)
    payload, members = _parts(message)
    if content is not None and payload:
        raise UsageError(
            "the message has its content in it, and content was given too", "leave one of them out"
        )
    if content is None and payload is None:
        raise ContentMissing(FORMAT)
    try:
        peers = tuple(
            _verify_one(protected, payload or "", signature, content, trust, signer, purpose, now)
            for protected, signature in members
        )
    except SignatureInvalid:
        if content is None and payload == "":  # detached, or about nothing at all, which nobody signs
            raise ContentMissing(FORMAT) from None
        raise
    return Verified(decode(payload, FORMAT, "the payload") if content is None else content, peers)


def _verify_one(
    protected: str,
    payload: str,
    signature: str,
    detached: bytes | None,
    trust: Trust,
    given: Sequence[x509.Certificate] | None,
    purpose: Purpose | None,
    now: datetime | None,
) -> Peer:
    headers = header_of(protected, FORMAT)
    chain = chain_in(headers, FORMAT) or tuple(given or ())
    if not chain:
        raise SignerUnknown(FORMAT, "no x5c")
    if headers.get("x5t#S256", thumbprint(chain[0])) != thumbprint(chain[0]):
        raise MessageMalformed(FORMAT, "x5t#S256 is not the thumbprint of the signer's certificate")
    # RFC 8725 §3.1: the key decides which algorithms are believed, never the message.
    algorithms = _fitting(chain[0])
    if headers.get("alg") not in algorithms:
        raise AlgorithmRefused(FORMAT, str(headers.get("alg"))[:50], algorithms)
    _check_critical(headers, detached is not None)
    peer = verified_signer(chain, trust, purpose=purpose, now=now)
    decode(signature, FORMAT, "the signature")
    if detached is not None:
        payload = encode(detached) if headers.get("b64", True) else ""
    compact = f"{protected}.{payload}.{signature}".encode()
    registry = _Registry(algorithms=[headers["alg"]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EdDSA as a name is superseded, not weak
            jws.deserialize_compact(
                compact,
                public_jwk(chain[0]),
                registry=registry,
                payload=detached,
            )
    except (JoseError, ValueError, TypeError):
        raise SignatureInvalid(describe(chain[0])) from None
    return peer


def _check_critical(headers: Headers, detached: bool) -> None:
    """RFC 7515 §4.1.11: what is critical must be understood. RFC 7797 §6: b64 is, and only in a detached message."""
    critical = headers.get("crit", [])
    if critical not in ([], ["b64"]) or ("crit" in headers and not critical):
        raise AlgorithmRefused(FORMAT, "a critical header that is not understood", ("b64 or no crit",))
    plain = headers.get("b64", True)
    if not isinstance(plain, bool) or (not plain and critical != ["b64"]):
        raise MessageMalformed(FORMAT, "b64 is set and not critical")
    if not plain and not detached:
        raise AlgorithmRefused(
            FORMAT, "b64=false with the content inside", ("b64=false in a detached message",)
        )


def _parts(message: bytes) -> tuple[str | None, list[tuple[str, str]]]:
    """The payload segment (None or empty when detached), and each protected header with its signature."""
    text = text_of(message, FORMAT)
    if not text.startswith("{"):
        segments = text.split(".")
        if len(segments) != 3:
            raise MessageMalformed(FORMAT, f"there are {len(segments)} segments and not three")
        return segments[1], [(segments[0], segments[2])]
    parsed = parse(text.encode(), FORMAT, "the message")
    payload, listed = parsed.get("payload"), parsed.get("signatures", [parsed])
    if payload is not None and not isinstance(payload, str):
        raise MessageMalformed(FORMAT, "the payload is no text")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SIGNATURES:
        raise MessageMalformed(FORMAT, f"signatures is no list of 1 to {MAX_SIGNATURES}")
    members = []
    for one in listed:
        # Unprotected headers are not read: anybody on the way can write them.
        if not isinstance(one, dict) or not isinstance(one.get("signature"), str):
            raise MessageMalformed(FORMAT, "a signature is missing or no text")
        members.append((one.get("protected", ""), one["signature"]))
    return payload, members


def _fitting(leaf: x509.Certificate) -> tuple[str, ...]:
    kind = key_type_of(key_of(leaf))
    found = ALGORITHMS.get("rsa" if kind.startswith("rsa") else kind)
    if found is None:
        raise CannotSign(describe(leaf), kind, FORMAT, tuple(ALGORITHMS))
    return found
