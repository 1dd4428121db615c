"""An ACME client for tests: it can do everything right, and each thing wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.enroll.conftest import Served

MEDIA_TYPE = "application/jose+json"
EMPTY = object()
"""POST-as-GET."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def jwk_of(key: Any) -> dict[str, str]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    point, size = public.public_numbers(), (public.key_size + 7) // 8
    return {
        "kty": "EC",
        "crv": f"P-{public.key_size}",
        "x": number(point.x, size),
        "y": number(point.y, size),
    }


def algorithm_of(key: Any) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    return "ES256" if key.key_size == 256 else "ES384"


def signature(key: Any, data: bytes) -> bytes:
    if isinstance(key, bytes):
        return hmac.new(key, data, hashlib.sha256).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    size = (key.key_size + 7) // 8
    digest = hashes.SHA256() if size == 32 else hashes.SHA384()
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def flattened(key: Any, header: dict[str, Any], payload: object) -> dict[str, str]:
    """A JWS; what is None in the header is left out."""
    protected = b64(json.dumps({name: value for name, value in header.items() if value is not None}).encode())
    body = (
        ""
        if payload is EMPTY
        else b64(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    )
    signed = signature(key, f"{protected}.{body}".encode())
    return {"protected": protected, "payload": body, "signature": b64(signed)}


def thumbprint(key: Any) -> str:
    text = json.dumps(dict(sorted(jwk_of(key).items())), separators=(",", ":"))
    return b64(hashlib.sha256(text.encode()).digest())


class Acme:
    """One client with one account key."""

    def __init__(self, served: Served, http: httpx2.Client, key: Any = None) -> None:
        self.served, self.http = served, http
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.kid: str | None = None
        self.directory: dict[str, Any] = http.get("/acme/directory").json()

    def nonce(self) -> str:
        return self.http.head("/acme/new-nonce").headers["replay-nonce"]

    def url(self, path: str) -> str:
        return path if path.startswith("http") else self.served.url + path

    def body(self, path: str, payload: object = EMPTY, *, key: Any = None, **header: Any) -> dict[str, str]:
        """The signed request; `header` changes what the protected header says."""
        key = key or self.key
        named = {"kid": self.kid} if self.kid else {"jwk": jwk_of(key)}
        usual = {"alg": algorithm_of(key), "nonce": None, "url": self.url(path), **named}
        if "nonce" not in header:
            usual["nonce"] = self.nonce()
        return flattened(key, {**usual, **header}, payload)

    def post(self, path: str, payload: object = EMPTY, **header: Any) -> httpx2.Response:
        return self.send(path, self.body(path, payload, **header))

    def send(self, path: str, body: object, media_type: str = MEDIA_TYPE) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(self.url(path), content=content, headers={"content-type": media_type})

    def register(self, **more: Any) -> httpx2.Response:
        answer = self.post("/acme/new-account", {"termsOfServiceAgreed": True, **more})
        if answer.is_success:
            self.kid = answer.headers["location"]
        return answer

    def binding(self, kid: str, secret: str, **header: Any) -> dict[str, str]:
        """An external account binding of this key."""
        mac = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
        usual = {"alg": "HS256", "kid": kid, "url": self.url("/acme/new-account")}
        return flattened(mac, {**usual, **header}, jwk_of(self.key))

    def order(self, *names: str, **more: Any) -> httpx2.Response:
        wanted = [
            {"type": "ip" if name[-1].isdigit() or ":" in name else "dns", "value": name} for name in names
        ]
        return self.post("/acme/new-order", {"identifiers": wanted, **more})

    def authorization(self, order: httpx2.Response, index: int = 0) -> dict[str, Any]:
        found = self.post(order.json()["authorizations"][index])
        return {"url": str(found.url), **found.json()}

    def challenge(self, authorization: dict[str, Any], kind: str) -> dict[str, Any]:
        return next(each for each in authorization["challenges"] if each["type"] == kind)

    def proof(self, challenge: dict[str, Any]) -> str:
        """The key authorization (RFC 8555 §8.1)."""
        return f"{challenge['token']}.{thumbprint(self.key)}"


def problem(answer: httpx2.Response) -> tuple[int, str]:
    """Status and type of a problem document, which has everything that one has to have."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = answer.json()
    assert found["detail"]
    assert found["remedy"]
    start, _, kind = found["type"].rpartition(":")
    assert start == "urn:ietf:params:acme:error"
    return answer.status_code, kind
