"""`ssl.SSLContext` objects for other people's libraries, as strict as our own engine where `ssl` can be.

What an ssl.SSLContext cannot do, and our engine can: apply a policy, warn instead of refuse about a
missing revocation list, use ML-DSA keys (with the interpreter's OpenSSL 3.0), be replaced while it lives.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import Credential
from twoway.errors import ConfigError
from twoway.tls.settings import TLS12_CIPHERS, VERSIONS, Clients, Version, trust_of
from twoway.trust import Trust


class NotExpressible(ConfigError):
    """An ssl.SSLContext cannot do what was asked."""

    code = "not_expressible"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what, self.reason = what, reason

    def __str__(self) -> str:
        return f"an ssl.SSLContext cannot hold {self.what}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "use twoway.Client or twoway.serve, which have a TLS engine of their own"


def client_context(
    identity: Credential | str | Path | None = None,
    *,
    trust: Trust | str | Path | None = None,
    minimum_version: Version = "TLSv1.2",
) -> ssl.SSLContext:
    """A context for callers that presents `identity` and believes only `trust`; host names are checked.

    `identity` is a Credential or an identity directory; `trust` defaults to the anchors beside it. The
    system's roots are never loaded. Raises ConfigError. Not checked: any policy of ours.
    """
    credential = _credential(identity)
    context = _context(ssl.PROTOCOL_TLS_CLIENT, credential, _trust(trust, credential), minimum_version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context


def server_context(
    identity: Credential | str | Path,
    *,
    trust: Trust | str | Path | None = None,
    clients: Clients = "required",
    minimum_version: Version = "TLSv1.2",
) -> ssl.SSLContext:
    """A context for listeners that shows `identity` and asks every client for a certificate.

    Session tickets are off: on resumption `ssl` would check neither revocation nor dates again. `ssl`
    sends no names of accepted authorities. Raises ConfigError.
    """
    credential = _credential(identity)
    assert credential is not None
    believed = None if clients == "none" else _trust(trust, credential)
    context = _context(ssl.PROTOCOL_TLS_SERVER, credential, believed, minimum_version)
    context.verify_mode = {
        "required": ssl.CERT_REQUIRED,
        "optional": ssl.CERT_OPTIONAL,
        "none": ssl.CERT_NONE,
    }[clients]
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _credential(identity: Credential | str | Path | None) -> Credential | None:
    if identity is None or isinstance(identity, Credential):
        return identity
    return Credential.load(identity)


def _trust(trust: Trust | str | Path | None, credential: Credential | None) -> Trust:
    if isinstance(trust, Trust):
        return trust
    if trust is not None:
        return Trust.load(trust)
    if credential is None:
        raise NotExpressible("no trust at all", "pass trust= or an identity with a ca.pem")
    return trust_of(credential)


def _context(
    protocol: int, credential: Credential | None, trust: Trust | None, minimum: Version
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion(VERSIONS[minimum])
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if trust is not None:
        _load_trust(context, trust)
    if credential is not None:
        with _as_file(credential.key_pem() + credential.certificate_pem()) as path:
            try:
                context.load_cert_chain(path)
            except ssl.SSLError as error:
                raise NotExpressible(
                    f"the identity {credential.describe()}", f"{ssl.OPENSSL_VERSION} says {error.reason}"
                ) from error
    return context


def _load_trust(context: ssl.SSLContext, trust: Trust) -> None:
    context.load_verify_locations(cadata=b"".join(a.public_bytes(Encoding.DER) for a in trust.anchors))
    if not trust.crls:
        return
    if trust.crl_rule != "refuse":
        raise NotExpressible("the rule to warn about revocation lists", "OpenSSL refuses when one is missing")
    with _as_file(b"".join(crl.public_bytes(Encoding.PEM) for crl in trust.crls)) as path:
        context.load_verify_locations(cafile=path)
    context.verify_flags |= (
        ssl.VERIFY_CRL_CHECK_CHAIN if trust.crl_scope == "chain" else ssl.VERIFY_CRL_CHECK_LEAF
    )


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path under which `ssl` can read `data`: in memory on Linux, else a file only we can read, for a moment."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("twoway", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "identity.pem"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        yield str(path)
