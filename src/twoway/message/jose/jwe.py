"""JWE (RFC 7516): content sealed for one recipient in compact form, or for several as JSON."""

from __future__ import annotations

import json
import warnings
from typing import Any, NamedTuple

from cryptography import x509
from joserfc import jwe
from joserfc._rfc7516.message import perform_decrypt  # what jwe.decrypt_… call; see _joined
from joserfc.registry import HeaderParameter

from twoway.credential import Credential, describe, fingerprint_of
from twoway.message.faults import AlgorithmRefused, CannotOpen, MessageMalformed, MessageTooLarge, NotForUs
from twoway.message.jose.headers import (
    MAX_CONTENT,
    MAX_HEADER,
    Headers,
    chain_in,
    decode,
    header_of,
    parse,
    private_jwk,
    public_jwk,
    text_of,
    thumbprint,
)
from twoway.message.purpose import check_may_receive, receiving_kind
from twoway.message.recipient import MAX_RECIPIENTS, Recipient

FORMAT = "jwe"
RECEIVERS = ("p256", "p384", "rsa")
# RFC 7518 §4.1. RSA1_5 is not here: its padding tells an attacker too much, however it is refused.
RSA_ALGORITHMS = ("RSA-OAEP-256",)
EC_ALGORITHMS = ("ECDH-ES+A256KW", "ECDH-ES", "ECDH-ES+A128KW")
CONTENT = ("A256GCM", "A128GCM", "A256CBC-HS512", "A128CBC-HS256")


class _Registry(jwe.JWERegistry):
    """joserfc's rules, with our bounds and algorithms; compression (RFC 7516 §4.1.3) is none of them."""

    max_protected_header_length = MAX_HEADER
    max_encrypted_key_length = 2048
    max_ciphertext_length = MAX_CONTENT * 4 // 3 + 64
    max_recipients = MAX_RECIPIENTS


def _registry(*algorithms: str) -> _Registry:
    return _Registry({"iss": HeaderParameter("Issuer", "str")}, algorithms=[*algorithms, *CONTENT])


def seal(
    content: bytes,
    recipients: tuple[Recipient, ...],
    *,
    content_type: str | None = None,
    signer: str | None = None,
    as_json: bool | None = None,
) -> bytes:
    """Seal content of at most 64 MiB; compact for one recipient, JSON for several or where `as_json`.

    AES-256-GCM under a fresh key, which goes to RSA keys by RSA-OAEP-256 and to EC keys by ECDH-ES+A256KW;
    `x5t#S256` says for whose certificate. `signer` is the thumbprint of who signs the sealed message, as `iss`
    (RFC 7519 §5.3). Raises MessageTooLarge, CannotReceive or KeyUsageForbids.
    """
    if len(content) > MAX_CONTENT:
        raise MessageTooLarge(FORMAT, MAX_CONTENT)
    for one in recipients:
        check_may_receive(one.certificate, FORMAT, RECEIVERS)
    protected: Headers = {"enc": CONTENT[0]}
    if content_type is not None:
        protected["cty"] = content_type
    if signer is not None:
        protected["iss"] = signer
    registry = _registry(*RSA_ALGORITHMS, *EC_ALGORITHMS)
    heads = [_header_for(one.certificate) for one in recipients]
    keys = [public_jwk(one.certificate) for one in recipients]
    if as_json is None:
        as_json = len(recipients) > 1
    if not as_json:
        if len(recipients) != 1:
            raise MessageTooLarge("compact jwe", 1)
        return jwe.encrypt_compact({**heads[0], **protected}, content, keys[0], registry=registry).encode()
    message = jwe.GeneralJSONEncryption(protected, content)
    for head, key in zip(heads, keys, strict=True):
        message.add_recipient(head, key)
    return json.dumps(jwe.encrypt_json(message, None, registry=registry), separators=(",", ":")).encode()


def _header_for(certificate: x509.Certificate) -> Headers:
    rsa = receiving_kind(certificate.public_key()) == "rsa"
    return {
        "alg": RSA_ALGORITHMS[0] if rsa else EC_ALGORITHMS[0],
        "x5t#S256": thumbprint(certificate),
    }


class OpenedJwe(NamedTuple):
    """The content, its type if the sender said one (`cty`), and who signed it around, if he said that (`iss`)."""

    content: bytes
    content_type: str | None
    signer: str | None


def open_sealed(message: bytes, identity: Credential) -> tuple[bytes, str | None]:
    """The content and its type; raises as `open_whole`."""
    return open_whole(message, identity)[:2]


def open_whole(message: bytes, identity: Credential) -> OpenedJwe:
    """Open a message with the key of an identity.

    Raises MessageMalformed, NotForUs, AlgorithmRefused, and CannotOpen for everything that depends on the
    key. Not checked: who sealed it, which anybody can.
    """
    if len(message) > MAX_CONTENT * 4 // 3 + MAX_HEADER * 4:
        raise MessageTooLarge(FORMAT, MAX_CONTENT)
    parts = _parts(message)
    protected = header_of(parts["protected"], FORMAT)
    chosen = _ours(parts, protected, identity)
    headers = {**parts.get("unprotected", {}), **chosen.get("header", {}), **protected}
    _check_algorithms(headers, protected, identity)
    sealed = _joined(parts, chosen, protected, headers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is weak is refused above
            recipient = sealed.recipient
            assert recipient is not None
            recipient.recipient_key = private_jwk(identity.private_key)
            perform_decrypt(sealed, _registry(headers["alg"]))
    except Exception:  # noqa: BLE001 - many kinds, and which one it was is nobody's business
        raise CannotOpen(identity.describe()) from None
    content_type, signer = protected.get("cty"), protected.get("iss")
    return OpenedJwe(
        sealed.plaintext or b"",
        content_type if isinstance(content_type, str) else None,
        signer if isinstance(signer, str) else None,
    )


def _joined(
    parts: dict[str, Any], chosen: dict[str, Any], protected: Headers, headers: Headers
) -> jwe.CompactEncryption:
    """One recipient's share of a message, as joserfc wants it.

    Its own reader of JSON forms authenticates the protected header as it would write it, and not as it was
    written (RFC 7516 §5.2 step 15), so that messages of others whose JSON has spaces would not open.
    """
    sealed = jwe.CompactEncryption(protected)
    authenticated = parts["protected"]
    if "aad" in parts:
        decode(parts["aad"], FORMAT, "aad")
        authenticated += f".{parts['aad']}"
    sealed.base64_segments = {"aad": authenticated.encode("ascii")}
    sealed.bytes_segments = {name: decode(parts[name], FORMAT, name) for name in ("iv", "ciphertext", "tag")}
    sealed.recipient = jwe.Recipient(sealed, headers)
    sealed.recipient.encrypted_key = decode(chosen["encrypted_key"], FORMAT, "encrypted_key")
    return sealed


def recipients_of(message: bytes) -> tuple[str, ...]:
    """For whom a message says it is sealed: thumbprints or key identifiers, "?" where it says nothing."""
    parts = _parts(message)
    protected = header_of(parts["protected"], FORMAT)
    return tuple(_named(one, protected) for one in parts["recipients"])


def _parts(message: bytes) -> dict[str, Any]:
    """The members of a message in general JSON form, whichever of the three forms it has."""
    text = text_of(message, FORMAT)
    if not text.startswith("{"):
        segments = text.split(".")
        if len(segments) != 5:
            raise MessageMalformed(FORMAT, f"there are {len(segments)} segments and not five")
        names = ("protected", "encrypted_key", "iv", "ciphertext", "tag")
        parts: dict[str, Any] = dict(zip(names, segments, strict=True))
    else:
        parts = parse(text.encode(), FORMAT, "the message")
    if "recipients" not in parts:
        parts["recipients"] = [
            {name: parts.pop(name) for name in ("header", "encrypted_key") if name in parts}
        ]
    _check_shape(parts)
    return parts


def _check_shape(parts: dict[str, Any]) -> None:
    for name in ("protected", "iv", "ciphertext", "tag"):
        if not isinstance(parts.get(name), str):
            raise MessageMalformed(FORMAT, f"{name} is missing or no text")
    listed = parts["recipients"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_RECIPIENTS:
        raise MessageMalformed(FORMAT, f"recipients is no list of 1 to {MAX_RECIPIENTS}")
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("header", {}), dict):
            raise MessageMalformed(FORMAT, "a recipient or its header is no object")
        one.setdefault("encrypted_key", "")
        one.setdefault("header", {})
        if not isinstance(one["encrypted_key"], str):
            raise MessageMalformed(FORMAT, "an encrypted_key is no text")
    if not isinstance(parts.get("unprotected", {}), dict):
        raise MessageMalformed(FORMAT, "unprotected is no object")


def _ours(parts: dict[str, Any], protected: Headers, identity: Credential) -> dict[str, Any]:
    """Our recipient of a message: by thumbprint, or the only one that names nobody."""
    ours = thumbprint(identity.leaf)
    listed: list[dict[str, Any]] = parts["recipients"]
    for one in listed:
        if _named(one, protected) == ours:
            return one
    unnamed = [one for one in listed if "x5t#S256" not in {**one["header"], **protected}]
    fitting = [one for one in unnamed if {**one["header"], **protected}.get("alg") in _fitting(identity)]
    if len(fitting) == 1:
        return fitting[0]
    if unnamed and len(listed) == 1:
        return listed[0]  # of another kind of key: told by its algorithm
    raise NotForUs(
        identity.describe(), fingerprint_of(identity.leaf), tuple(_named(one, protected) for one in listed)
    )


def _named(one: dict[str, Any], protected: Headers) -> str:
    headers = {**one["header"], **protected}
    chain = chain_in(headers, FORMAT)
    if chain is not None:
        return thumbprint(chain[0])
    return str(headers.get("x5t#S256") or headers.get("kid") or "?")[:200]


def _fitting(identity: Credential) -> tuple[str, ...]:
    kind = receiving_kind(identity.private_key)
    return () if kind is None else RSA_ALGORITHMS if kind == "rsa" else EC_ALGORITHMS


def _check_algorithms(headers: Headers, protected: Headers, identity: Credential) -> None:
    algorithm, content = headers.get("alg"), headers.get("enc")
    fitting = _fitting(identity)
    if algorithm not in fitting:
        raise AlgorithmRefused(
            FORMAT, str(algorithm)[:50], fitting or (f"no key ({describe(identity.leaf)} only signs)",)
        )
    if content not in CONTENT or "enc" not in protected:
        raise AlgorithmRefused(FORMAT, str(content)[:50], CONTENT)
    if "zip" in headers:
        raise AlgorithmRefused(FORMAT, f"compression ({str(headers['zip'])[:20]})", ("no compression",))
    if "crit" in headers:
        raise AlgorithmRefused(FORMAT, "a critical header that is not understood", ("no crit",))
