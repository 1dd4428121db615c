"""OpenSSL's chain verification outside of a handshake, with a purpose.

pyOpenSSL's X509Store cannot set a purpose, and without one a server's certificate would verify as a
client's; this is the one call below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from OpenSSL import crypto
from OpenSSL._util import ffi, lib  # the reason for this module

from twoway.trust.faults import CertificateUnreadable

STRICT = lib.X509_V_FLAG_X509_STRICT | lib.X509_V_FLAG_PARTIAL_CHAIN
ERRORS: dict[int, str] = {
    getattr(lib, name): name[len("X509_V_ERR_") :].lower()
    for name in dir(lib)
    if name.startswith("X509_V_ERR_")
}
CODES: dict[str, int] = {name: code for code, name in ERRORS.items()}
_PURPOSES = {"client": lib.X509_PURPOSE_SSL_CLIENT, "server": lib.X509_PURPOSE_SSL_SERVER}


class Failed(NamedTuple):
    """How verification failed: OpenSSL's code, at which certificate of the chain, and that certificate."""

    code: int
    depth: int
    certificate: x509.Certificate | None
    text: str


def verify_chain(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], purpose: str, now: datetime
) -> tuple[x509.Certificate, ...] | Failed:
    """The verified path from chain[0] to an anchor, or how it failed.

    Raises CertificateUnreadable for what OpenSSL cannot decode.
    """
    store = crypto.X509Store()
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_time(now)
    store.set_flags(STRICT)
    lib.X509_STORE_set_purpose(store._store, _PURPOSES[purpose])
    leaf, *others = (_openssl(position, certificate) for position, certificate in enumerate(chain))
    context = crypto.X509StoreContext(store, leaf, others)
    try:
        path = context.get_verified_chain()
    except crypto.X509StoreContextError as error:
        # errors is [code, depth, text] in every release of pyOpenSSL that has this class.
        code, depth, text = error.errors
        certificate = error.certificate.to_cryptography() if error.certificate is not None else None
        return Failed(code, depth, certificate, text)
    return tuple(certificate.to_cryptography() for certificate in path)


def _openssl(position: int, certificate: x509.Certificate) -> crypto.X509:
    try:
        return crypto.X509.from_cryptography(certificate)
    except crypto.Error as error:
        reason = error.args[0][0][-1] if error.args and error.args[0] else "it does not decode"
        raise CertificateUnreadable(position, reason) from None


def reason_of(code: int) -> str:
    """OpenSSL's own sentence for a verify error."""
    return ffi.string(lib.X509_verify_cert_error_string(code)).decode("utf-8", "replace")  # type: ignore[no-any-return]


# X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER and what follows are the rules of strict verification; their
# names are not exported by the binding, and their numbers are part of OpenSSL's interface.
FIRST_STRICT_ERROR = 76
