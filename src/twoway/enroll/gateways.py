"""Callers behind a proxy that ends TLS: its word counts (RFC 9440), if it is a gateway that we know, and nobody else's."""

from __future__ import annotations

from twoway.enroll.call import Call
from twoway.enroll.caller import Caller, identified
from twoway.enroll.faults import CredentialRefused
from twoway.errors import TwowayError
from twoway.integrations.forwarded.client_cert import parse
from twoway.integrations.forwarded.faults import ForwardedMalformed
from twoway.server import peer
from twoway.trust import Peer, Trust, verify

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
    try:
        chain = parse(said[b"client-cert"], said[b"client-cert-chain"])
    except ForwardedMalformed as failure:
        raise CredentialRefused(f"{failure.field} header", failure.problem) from failure
    cas = call.service.authority.cas
    trust = Trust(cas.bundle.certificates)
    ours = [
        ca.certificate for ca in cas.all if ca.role == "issuing" and ca.certificate.subject == chain[0].issuer
    ]
    try:
        verified = await call.service.run(
            lambda: verify((*chain, *ours[-3:]), trust, purpose="client", now=call.now)
        )
    except TwowayError as failure:
        raise CredentialRefused("Client-Cert header", str(failure)) from failure
    return await identified(call, Peer.from_verified(verified), by=f"said by {who.describe()}")
