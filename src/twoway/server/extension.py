"""What the application learns about the connection: the ASGI TLS extension 0.2, and our Peer beside it."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from twoway.credential import certificate_pem, without_root
from twoway.credential.remembered import remembered
from twoway.server.peer import EXTENSION
from twoway.tls import Session

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# IANA's numbers of the suites that the engine offers (RFC 8446 §B.4, RFC 5289, RFC 7905).
_SUITES = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
    "ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
    "ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
}


def extensions_of(session: Session) -> dict[str, Any]:
    """The `extensions` of every scope of this connection; made once a connection.

    `tls` is what the ASGI TLS extension 0.2 defines: PEM texts, the chain with the leaf first, the client's
    subject as RFC 4514 text, version and suite as numbers. A refused client never gets here, so
    `client_cert_error` is None. `twoway` holds the Peer.
    """
    peer = session.peer
    credential = session.context.settings.credential
    assert credential is not None
    chain, subject = _told(peer.chain) if peer is not None else ((), None)
    return {
        "tls": {
            "server_cert": _pem(credential.leaf),
            "client_cert_chain": chain,
            "client_cert_name": subject,
            "client_cert_error": None,
            "tls_version": _VERSIONS.get(session.version),
            "cipher_suite": _SUITES.get(session.cipher or ""),
        },
        EXTENSION: {"peer": peer},
    }


@remembered(1024)
def _told(chain: tuple[x509.Certificate, ...]) -> tuple[tuple[str, ...], str]:
    """A verified chain as PEM texts without its root, and its leaf's subject as RFC 4514 text."""
    return tuple(_pem(one) for one in without_root(chain)), chain[0].subject.rfc4514_string()


@remembered(1024)
def _pem(certificate: x509.Certificate) -> str:
    return certificate_pem(certificate).decode("ascii")
