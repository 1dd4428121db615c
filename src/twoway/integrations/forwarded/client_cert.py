"""RFC 9440: `Client-Cert` and `Client-Cert-Chain`; bytes in, certificates out, nothing is believed."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography import x509

from twoway.integrations.forwarded.faults import ForwardedMalformed

MAX_CERTIFICATE = 16 * 1024  # characters
MAX_CHAIN = 4
CERT, CHAIN = "Client-Cert", "Client-Cert-Chain"


def parse(cert: Sequence[bytes], chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """The presented chain, leaf first, of the values of the two fields; raises ForwardedMalformed. Nothing is verified."""
    if len(cert) != 1:
        raise ForwardedMalformed(CERT, f"expected it once, got it {len(cert)} times")
    # RFC 9440 §2.3: a list, which may come in several lines.
    parts = [part for part in b",".join(chain).split(b",", MAX_CHAIN + 1) if part.strip(b" \t")]
    if len(parts) > MAX_CHAIN:
        raise ForwardedMalformed(CHAIN, f"expected at most {MAX_CHAIN} certificates")
    return (_certificate(CERT, cert[0]), *(_certificate(CHAIN, part) for part in parts))


def _certificate(field: str, value: bytes) -> x509.Certificate:
    """`:BASE64:`, a byte sequence of RFC 8941 §3.3.5, with DER in it (RFC 9440 §2.1)."""
    text = value.strip(b" \t")
    if len(text) > MAX_CERTIFICATE:
        raise ForwardedMalformed(field, f"it has more than {MAX_CERTIFICATE:,} characters")
    try:
        if text[:1] != b":" or text[-1:] != b":" or len(text) < 2:
            raise ValueError("it is no byte sequence")
        return x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
    except ValueError as failure:
        raise ForwardedMalformed(field, "expected :BASE64: of one certificate") from failure
