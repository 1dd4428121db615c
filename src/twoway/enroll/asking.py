"""The other side of the service: asks an authority for a certificate, and checks what comes back."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from twoway.authority.signing import signature_hash
from twoway.client import Client
from twoway.credential import (
    Credential,
    CredentialError,
    PrivateKey,
    certificates_from_pem,
    crls_from_pem,
    describe,
    fingerprint_of,
)
from twoway.enroll.answers import AuthorityRefused, RootMismatch, UnusableAnswer
from twoway.errors import NetworkError, TwowayError, UsageError
from twoway.trust import Trust, verify

MAX_ANSWER = 256 * 1024
MAX_LIST = 64 * 1024 * 1024
SECONDS = 30.0


def root_of(url: str, fingerprint: str, *, seconds: float = SECONDS) -> x509.Certificate:
    """The root of the authority at `url`, if it is the one with this SHA-256 fingerprint.

    Nobody vouches for the connection: what is read over it is public, and believed only when the fingerprint fits.
    Nothing secret is sent. Raises RootMismatch, UnusableAnswer, NetworkError, UsageError.
    """
    wanted = "".join(character for character in fingerprint.lower() if character not in ": ").removeprefix(
        "sha256="
    )
    if len(wanted) != 64 or wanted.strip("0123456789abcdef"):
        raise UsageError(
            f"{fingerprint[:80]!r} is no fingerprint: expected the 64 hexadecimal digits of SHA-256",
            "`twoway ca init` printed it, and `twoway ca token` prints it",
        )
    parts = _parts(url)
    context = ssl._create_unverified_context()  # noqa: S323 - see above
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, timeout=seconds, context=context
    )
    try:
        connection.request("GET", parts.path.rstrip("/") + "/roots.pem")
        body = connection.getresponse().read(MAX_ANSWER)
    except (OSError, http.client.HTTPException) as failure:
        raise NetworkError(f"{url} does not answer: {failure}") from failure
    finally:
        connection.close()
    try:
        found = certificates_from_pem(body, where=f"{url}/roots.pem")
    except CredentialError as failure:
        raise UnusableAnswer(url, str(failure)) from failure
    for root in found:
        if fingerprint_of(root) == wanted:
            return root
    raise RootMismatch(url, wanted, tuple(fingerprint_of(root) for root in found))


def signing_request(key: PrivateKey, common_name: str | None = None) -> bytes:
    """A PKCS#10 request in DER that proves the key; what names the certificate gets is the authority's to say."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.DER)


def enrolled(url: str, root: x509.Certificate, key: PrivateKey, token: str) -> Credential:
    """A new identity for `key`, by a one-time token. Raises as `renewed`."""
    with Client(trust=Trust((root,)), timeout=SECONDS) as client:
        answer = client.post(
            _parts(url).geturl().rstrip("/") + "/enroll",
            content=signing_request(key),
            headers={"authorization": f"Bearer {token}", "content-type": "application/pkcs10"},
        )
    return _credential(url, answer, key, (root,))


def renewed(url: str, old: Credential, key: PrivateKey) -> Credential:
    """The successor of an identity, for a new key or for the same.

    The chain that comes back is verified against the roots that are believed already, and has to be for that key.
    Raises AuthorityRefused with the authority's own reason, UnusableAnswer, and the errors of calls.
    """
    with Client(identity=old, timeout=SECONDS) as client:
        answer = client.post(
            _parts(url).geturl().rstrip("/") + "/renew",
            content=signing_request(key),
            headers={"content-type": "application/pkcs10"},
        )
    return _credential(url, answer, key, old.anchors)


class AuthorityAt:
    """The authority at an address, asked by an identity of its own over connections that both sides prove."""

    def __init__(self, url: str) -> None:
        self.url = _parts(url).geturl().rstrip("/")

    def renewed(self, old: Credential, key: PrivateKey) -> Credential:
        """As the function of that name."""
        return renewed(self.url, old, key)

    def roots(self, identity: Credential) -> tuple[x509.Certificate, ...]:
        """The roots that the authority says are to be believed; it speaks as one that is believed already.

        Raises UnusableAnswer, AuthorityRefused, and the errors of calls.
        """
        body = self._fetched(identity, "/roots.pem", MAX_ANSWER)
        try:
            return certificates_from_pem(body, where=f"{self.url}/roots.pem")
        except CredentialError as failure:
            raise UnusableAnswer(self.url, str(failure)) from failure

    def crls(self, identity: Credential) -> bytes:
        """The current lists of all its CAs, as PEM.

        Each CA of this identity's own chain has to have signed one of them. Those of CAs that this identity has not met
        yet are there for the chains of others, and judged with those. Raises as `roots`.
        """
        body = self._fetched(identity, "/crls.pem", MAX_LIST)
        try:
            found = crls_from_pem(body, where=f"{self.url}/crls.pem")
        except CredentialError as failure:
            raise UnusableAnswer(self.url, str(failure)) from failure
        for one in identity.chain[1:]:
            if not any(crl.issuer == one.subject and _signed(crl, one) for crl in found):
                raise UnusableAnswer(self.url, f"no revocation list of {describe(one)}")
        return body

    def _fetched(self, identity: Credential, path: str, limit: int) -> bytes:
        with Client(identity=identity, timeout=SECONDS) as client:
            answer = client.get(self.url + path)
        if answer.status_code != 200:
            raise _refusal(self.url, answer)
        if len(answer.content) > limit:
            raise UnusableAnswer(self.url, f"{path} has {len(answer.content):,} bytes")
        return answer.content


def _signed(crl: x509.CertificateRevocationList, by: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(by.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _credential(
    url: str, answer: httpx2.Response, key: PrivateKey, anchors: tuple[x509.Certificate, ...]
) -> Credential:
    if answer.status_code != 201:
        raise _refusal(url, answer)
    if len(answer.content) > MAX_ANSWER:
        raise UnusableAnswer(url, f"{len(answer.content):,} bytes")
    try:
        found = Credential(key, certificates_from_pem(answer.content, where=url), anchors)
        # Judged as a client where the certificate is one: its issuer, its dates, its purpose.
        verify(found.chain, Trust(anchors), purpose=_purpose(found.leaf))
    except TwowayError as failure:
        raise UnusableAnswer(url, str(failure)) from failure
    if key.public_key() != found.leaf.public_key():
        raise UnusableAnswer(url, "a certificate for another key")
    return found


def _purpose(leaf: x509.Certificate) -> Literal["client", "server"]:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "client"
    return "client" if x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usage else "server"


def _refusal(url: str, answer: httpx2.Response) -> AuthorityRefused:
    try:
        told = json.loads(answer.content[:65536])
    except ValueError:
        told = {}
    if not isinstance(told, Mapping):
        told = {}
    detail = str(told.get("detail", ""))[:500] or f"HTTP {answer.status_code}"
    return AuthorityRefused(
        url,
        answer.status_code,
        str(told.get("code", "unknown"))[:60],
        detail,
        str(told.get("remedy", ""))[:500],
    )


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise UsageError(
            f"{url!r} is no address of an authority: expected https://HOST:PORT",
            "such as https://ca.acme.example:8443",
        )
    return parts
