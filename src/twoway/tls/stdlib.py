"""`ssl.SSLContext` objects for other people's libraries, as strict as our own engine where `ssl` can be.

What an ssl.SSLContext cannot do, and our engine can: apply a policy, warn instead of refuse about a
missing revocation list, use ML-DSA keys (with the interpreter's OpenSSL 3.0).
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import ConfigError
from twoway.tls.following import FollowingContext
from twoway.tls.generation import RevocationVanished
from twoway.tls.reload import files_of
from twoway.tls.settings import TLS12_CIPHERS, VERSIONS, Clients, Version, trust_of
from twoway.tls.unnamed import unnamed_file
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
    passphrase: Passphrase = None,
) -> FollowingContext:
    """A context for callers that presents `identity` and believes only `trust`; host names are checked.

    `identity` is an identity directory, a PKCS#12 file or a Credential; `trust` defaults to the anchors beside it.
    What was given as a path is read again when it changes, and new connections use what it holds then. The system's
    roots are never loaded, and verification cannot be turned off. Keys go to OpenSSL without touching a disk. Raises
    ConfigError. Not checked: any policy of ours.
    """
    lists = 0

    def load() -> ssl.SSLContext:
        nonlocal lists
        credential = _credential(identity, passphrase)
        believed = _trust(trust, credential)
        if lists and not believed.crls:
            raise RevocationVanished(lists)
        context = _context(ssl.PROTOCOL_TLS_CLIENT, credential, believed, minimum_version)
        lists = len(believed.crls)
        return context

    return FollowingContext(load, files_of(identity, trust))


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


def _credential(identity: Credential | str | Path | None, passphrase: Passphrase = None) -> Credential | None:
    if identity is None or isinstance(identity, Credential):
        return identity
    return Credential.load(identity, passphrase=passphrase)


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
        _load_credential(context, credential)
    return context


def _load_credential(context: ssl.SSLContext, credential: Credential) -> None:
    what = f"the identity {credential.describe()}"
    try:
        with (
            unnamed_file(credential.certificate_pem()) as certificates,
            unnamed_file(credential.key_pem()) as key,
        ):
            context.load_cert_chain(certificates, key)
    except ssl.SSLError as error:
        raise NotExpressible(what, f"{ssl.OPENSSL_VERSION} says {error.reason}") from error
    except FileNotFoundError as error:
        raise NotExpressible(what, f"without {error} its key would have to be written to a disk") from error


def _load_trust(context: ssl.SSLContext, trust: Trust) -> None:
    context.load_verify_locations(cadata=b"".join(a.public_bytes(Encoding.DER) for a in trust.anchors))
    if not trust.crls:
        return
    if trust.crl_rule != "refuse":
        raise NotExpressible("the rule to warn about revocation lists", "OpenSSL refuses when one is missing")
    with unnamed_file(b"".join(crl.public_bytes(Encoding.PEM) for crl in trust.crls)) as path:
        context.load_verify_locations(cafile=path)
    context.verify_flags |= (
        ssl.VERIFY_CRL_CHECK_CHAIN if trust.crl_scope == "chain" else ssl.VERIFY_CRL_CHECK_LEAF
    )
