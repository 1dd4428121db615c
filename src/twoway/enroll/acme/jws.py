"""Signed requests: JWS in the flattened JSON form, as RFC 8555 §6.2 narrows it. Bytes in, facts out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twoway.enroll.acme import base64url
from twoway.enroll.acme.faults import AlgorithmRefused, ExternalAccountRefused, Malformed
from twoway.enroll.acme.jwk import ALGORITHMS, AccountKey
from twoway.enroll.acme.strict_json import load_object

MAX_BYTES = 64 * 1024  # a finalization with the largest signing request has less
_MEMBERS = {"protected", "payload", "signature"}
_MAX_TEXT = 2048  # characters of an address or a nonce

MAC_ALGORITHMS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Signed:
    """A JWS that was taken apart; nothing in it is believed until `verify` returned."""

    algorithm: str
    url: str
    nonce: str | None
    kid: str | None
    jwk: Mapping[str, Any] | None
    payload: bytes
    _signature: bytes
    _input: bytes

    def verify(self, key: AccountKey) -> None:
        """Raises AlgorithmRefused and Unproven."""
        key.verify(self.algorithm, self._signature, self._input)

    def verify_mac(self, secret: bytes) -> None:
        """The same for an external account binding. Raises ExternalAccountRefused."""
        made = hmac.new(secret, self._input, MAC_ALGORITHMS[self.algorithm]).digest()
        if not hmac.compare_digest(made, self._signature):
            raise ExternalAccountRefused("the binding was not made with that HMAC key")


def read(body: bytes) -> Signed:
    """A request's JWS: exactly one of `jwk` and `kid`, a nonce, an address. Raises Malformed, AlgorithmRefused."""
    signed = _read(load_object(body, "the request"), ALGORITHMS)
    if (signed.jwk is None) == (signed.kid is None):
        # RFC 8555 §6.2: the "jwk" and "kid" fields are mutually exclusive.
        raise Malformed("expected exactly one of jwk and kid in the protected header")
    return signed


def read_inner(body: bytes) -> Signed:
    """The JWS inside a key roll-over: by the new key, without a nonce (RFC 8555 §7.3.5). Raises as `read`."""
    signed = _read(load_object(body, "the inner JWS"), ALGORITHMS)
    if signed.jwk is None or signed.kid is not None:
        raise Malformed("expected jwk, and no kid, in the inner JWS")
    if signed.nonce is not None:
        raise Malformed("expected no nonce in the inner JWS")
    return signed


def read_binding(binding: object) -> Signed:
    """The JWS of an external account binding: a MAC, a key identifier, no nonce (RFC 8555 §7.3.4). Raises as `read`."""
    if not isinstance(binding, dict):
        raise Malformed("externalAccountBinding is not a JSON object")
    signed = _read(binding, tuple(MAC_ALGORITHMS))
    if signed.kid is None or signed.jwk is not None or signed.nonce is not None:
        raise Malformed("expected kid, and neither jwk nor nonce, in the external account binding")
    return signed


def _read(members: Mapping[str, Any], algorithms: tuple[str, ...]) -> Signed:
    if members.keys() != _MEMBERS:
        # No unprotected header, not the general form with several signatures (RFC 8555 §6.2).
        raise Malformed(f"expected a JWS with {', '.join(sorted(_MEMBERS))} and nothing else")
    header = load_object(base64url.decode(members["protected"], "protected"), "the protected header")
    if "crit" in header or "b64" in header:
        # RFC 7515 §4.1.11: what is critical and not understood makes the whole invalid.
        raise Malformed("the protected header has extensions that are not understood")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise AlgorithmRefused(str(algorithm)[:20], algorithms)
    url = _text(header, "url")
    if url is None:
        raise Malformed("the protected header has no url")
    jwk = header.get("jwk")
    if jwk is not None and not isinstance(jwk, dict):
        raise Malformed("the protected header's jwk is not a JSON object")
    payload = base64url.decode(members["payload"], "payload")
    return Signed(
        algorithm,
        url,
        _text(header, "nonce"),
        _text(header, "kid"),
        jwk,
        payload,
        base64url.decode(members["signature"], "signature"),
        f"{members['protected']}.{members['payload']}".encode("ascii"),
    )


def _text(header: Mapping[str, Any], member: str) -> str | None:
    value = header.get(member)
    if value is not None and (not isinstance(value, str) or not value or len(value) > _MAX_TEXT):
        raise Malformed(f"the protected header's {member} is not text of at most {_MAX_TEXT} characters")
    return value
