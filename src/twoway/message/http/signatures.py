"""Signing and verifying messages with an identity's key: the algorithms of RFC 9421 §3.3."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import Credential, describe, key_type_of
from twoway.message.faults import AlgorithmRefused, CannotSign, SignatureInvalid
from twoway.message.http.base import Message, signature_base
from twoway.message.http.exchanged import Header, combined
from twoway.message.http.faults import SignatureMalformed
from twoway.message.http.fields import (
    FieldMalformed,
    InnerList,
    Item,
    Parameters,
    parse_dictionary,
    write_dictionary,
)
from twoway.message.jose.headers import thumbprint
from twoway.message.purpose import check_may_sign, key_of

FORMAT = "RFC 9421"
LABEL = "twoway"
CERTIFICATES = "Signature-Certificates"
_ALGORITHMS = {
    "p256": "ecdsa-p256-sha256",
    "p384": "ecdsa-p384-sha384",
    "ed25519": "ed25519",
    "rsa": "rsa-pss-sha512",
}
_PSS = padding.PSS(padding.MGF1(hashes.SHA512()), 64)
MAX_SIGNATURES = 4


@dataclass(frozen=True)
class Signature:
    """One signature of a message as it was sent, not verified."""

    label: str
    covered: InnerList
    value: bytes
    chain: tuple[bytes, ...]  # certificates that came along, DER, leaf first


def algorithm_for(key: Any) -> str | None:
    kind = key_type_of(key)
    return _ALGORITHMS.get("rsa" if kind.startswith("rsa") else kind)


def sign(
    message: Message, signer: Credential, components: Sequence[Item], *, now: datetime, label: str = LABEL
) -> tuple[Header, ...]:
    """The headers that sign these components of a message, with the signer's certificates.

    Raises CannotSign (ML-DSA has no algorithm in RFC 9421) or KeyUsageForbids.
    """
    check_may_sign(signer.leaf)
    algorithm = algorithm_for(signer.private_key)
    if algorithm is None:
        raise CannotSign(describe(signer.leaf), signer.key_type, FORMAT, tuple(_ALGORITHMS))
    parameters: Parameters = {
        "created": int(now.timestamp()),
        "nonce": secrets.token_urlsafe(24),
        "keyid": thumbprint(signer.leaf),
        "alg": algorithm,
    }
    chain = InnerList(tuple(Item(one.public_bytes(Encoding.DER)) for one in signer.chain))
    covered = InnerList(tuple(components), parameters)
    value = _signed(signer.private_key, signature_base(message, covered))
    return (
        ("Signature-Input", write_dictionary({label: covered})),
        ("Signature", write_dictionary({label: Item(value)})),
        (CERTIFICATES, write_dictionary({label: chain})),
    )


def signatures_in(headers: Sequence[Header]) -> list[Signature]:
    """The signatures of a message; an empty list for none. Raises SignatureMalformed."""
    inputs, values = combined(headers, "Signature-Input"), combined(headers, "Signature")
    if inputs is None and values is None:
        return []
    try:
        covered, signed = parse_dictionary(inputs or ""), parse_dictionary(values or "")
        chains = parse_dictionary(combined(headers, CERTIFICATES) or "")
    except FieldMalformed as error:
        raise SignatureMalformed(str(error)) from None
    if set(covered) != set(signed) or not 1 <= len(covered) <= MAX_SIGNATURES:
        raise SignatureMalformed(
            f"Signature and Signature-Input do not have the same 1 to {MAX_SIGNATURES} labels"
        )
    found = []
    for label, components in covered.items():
        value, chain = signed[label], chains.get(label, InnerList(()))
        if not isinstance(components, InnerList) or not isinstance(chain, InnerList):
            raise SignatureMalformed(f"{label} is no list")
        if not isinstance(value, Item) or not isinstance(value.value, bytes):
            raise SignatureMalformed(f"the signature {label} is no byte sequence")
        certificates = tuple(item.value for item in chain.items if isinstance(item.value, bytes))
        found.append(Signature(label, components, value.value, certificates))
    return found


def verify(message: Message, signature: Signature, leaf: x509.Certificate) -> None:
    """The signature fits the message and the certificate's key; raises SignatureInvalid, AlgorithmRefused.

    Not checked: whether the certificate is trusted, what the signature covers, and when it was made.
    """
    key = key_of(leaf)
    algorithm = algorithm_for(key)
    said = signature.covered.parameters.get("alg")
    if algorithm is None or said not in (None, algorithm):  # RFC 9421 §3.2: the key decides
        raise AlgorithmRefused(FORMAT, str(said)[:50], (algorithm or "another kind of key",))
    if signature.covered.parameters.get("keyid", thumbprint(leaf)) != thumbprint(leaf):
        raise SignatureMalformed("keyid is not the thumbprint (x5t#S256) of the signer's certificate")
    base = signature_base(message, signature.covered)
    try:
        _check(key, signature.value, base)
    except (InvalidSignature, ValueError):
        raise SignatureInvalid(describe(leaf)) from None


def _signed(key: Any, base: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(base, _PSS, hashes.SHA512())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size, digest = _curve(key)
        r, s = decode_dss_signature(key.sign(base, ec.ECDSA(digest)))
        return r.to_bytes(size) + s.to_bytes(size)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(base)


def _check(key: Any, value: bytes, base: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(value, base, _PSS, hashes.SHA512())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        size, digest = _curve(key)
        if len(value) != 2 * size:
            raise InvalidSignature
        der = encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:]))
        key.verify(der, base, ec.ECDSA(digest))
    else:
        key.verify(value, base)


def _curve(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> tuple[int, hashes.HashAlgorithm]:
    return (48, hashes.SHA384()) if key.key_size == 384 else (32, hashes.SHA256())
