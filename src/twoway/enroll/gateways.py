"""Callers behind a proxy that ends TLS: its word counts (RFC 9440), if it is a gateway that we know, and nobody else's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography import x509

from twoway.enroll.call import Call
from twoway.enroll.caller import Caller, identified
from twoway.enroll.faults import CredentialRefused
from twoway.errors import TwowayError
from twoway.server import peer
from twoway.trust import Peer, Trust, verify

MAX_HEADER = 16 * 1024
MAX_CHAIN = 4

_NAMES = (b"client-cert", b"client-cert-chain")


async def by_gateway(call: Call) -> Caller | None:
    """The certificate in `Client-Cert`, said by a gateway that proved who it is and is known as one.

    What anybody else says there is refused, so that a forged header is never passed over in silence. The chain is
    verified here again, and the certificate recognised as by_certificate does.
    """
    said = {name: [value for key, value in call.request.headers.raw if key == name] for name in _NAMES}
    if not any(said.values()):
        return None
    who = peer(call.request.scope)
    if who is None or not call.service.gateways.decide(who):
        raise CredentialRefused(
            "Client-Cert header", "only a gateway that is known as one may say who called it"
        )
    if len(said[b"client-cert"]) != 1:
        raise CredentialRefused(
            "Client-Cert header", f"expected it once, got it {len(said[b'client-cert'])} times"
        )
    chain = (_certificate(said[b"client-cert"][0]), *_list(b",".join(said[b"client-cert-chain"])))
    cas = call.service.authority.cas
    trust = Trust((cas.root.certificate,))
    ours = [
        ca.certificate for ca in cas.all if ca.role == "issuing" and ca.certificate.subject == chain[0].issuer
    ]
    try:
        verified = await call.service.run(
            lambda: verify((*chain, *ours[-2:]), trust, purpose="client", now=call.now)
        )
    except TwowayError as failure:
        raise CredentialRefused("Client-Cert header", str(failure)) from failure
    return await identified(call, Peer.from_verified(verified), by=f"said by {who.describe()}")


def _list(value: bytes) -> Sequence[x509.Certificate]:
    """`Client-Cert-Chain`: a list of byte sequences (RFC 9440 §2.3)."""
    parts = [part for part in value.split(b",") if part.strip()]
    if len(parts) > MAX_CHAIN:
        raise CredentialRefused("Client-Cert-Chain header", f"expected at most {MAX_CHAIN} certificates")
    return [_certificate(part) for part in parts]


def _certificate(value: bytes) -> x509.Certificate:
    """`:BASE64:`, a byte sequence of RFC 8941 §3.3.5, with DER in it (RFC 9440 §2.2)."""
    text = value.strip(b" ")
    if len(text) > MAX_HEADER:
        raise CredentialRefused("Client-Cert header", f"it has more than {MAX_HEADER:,} characters")
    try:
        if text[:1] != b":" or text[-1:] != b":" or len(text) < 2:
            raise ValueError("it is no byte sequence")
        return x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
    except (ValueError, binascii.Error) as failure:
        raise CredentialRefused("Client-Cert header", "expected :BASE64: of one certificate") from failure
