"""Enrolment over Secure Transport (RFC 7030, clarified by RFC 8951): for devices and programs that speak it.

`/.well-known/est/OPERATION`, or `/.well-known/est/PROFILE/OPERATION` where a label names the profile (§3.2.2).
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from starlette.responses import Response

from twoway.authority import der, request
from twoway.authority.guard import Guard
from twoway.authority.renewal import keeps_to
from twoway.authority.request import MAX_BYTES
from twoway.authority.tokens import Token
from twoway.credential import PrivateKey, generate_key
from twoway.enroll.asking import signing_request
from twoway.enroll.basic import by_basic
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.caller import by_certificate, token_for
from twoway.enroll.est_accounts import EstAccount
from twoway.enroll.faults import BodyMalformed, NotPermitted
from twoway.enroll.gateways import by_gateway
from twoway.enroll.issuing import certify, renew
from twoway.enroll.problem import Problem, as_response

DEFAULT_PROFILE = "client"
_CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"
_MAX_BODY = 2 * MAX_BYTES  # base64, with line breaks


async def cacerts(call: Call) -> Response:
    """§4.1: what a client has to believe: the roots, and the issuing CA.

    §4.1.3: while the root changes, the old one and the new one as each certifies the other are there too.
    """
    cas = call.service.authority.cas
    crosses = cas.crosses if len(cas.believed) > 1 else ()
    return _base64(_bundle([cas.issuing.certificate, *cas.bundle.certificates, *crosses]), _CERTS_ONLY)


async def enroll(call: Call) -> Response:
    """§4.2.1: a certificate for the key and the names of a signing request."""
    leaf = await _issued(call, _csr(call.body))
    return _base64(_bundle([leaf]), _CERTS_ONLY)


async def reenroll(call: Call) -> Response:
    """§4.2.2: the successor of the certificate that the caller shows, with the same names."""
    chain = await renew(call, _csr(call.body))
    return _base64(_bundle([chain[0]]), _CERTS_ONLY)


async def attributes(call: Call) -> Response:
    """§4.5: which key a request should have, for the profile that would apply."""
    types = call.service.authority.rules[_profile(call)].key_types
    if "p256" in types:
        curve = der.tlv(0x31, der.oid("1.2.840.10045.3.1.7"))
        wanted = (der.sequence(der.oid("1.2.840.10045.2.1"), curve), der.oid("1.2.840.10045.4.3.2"))
    elif any(each.startswith("rsa") for each in types):
        bits = min(int(each.removeprefix("rsa")) for each in types if each.startswith("rsa"))
        size = der.tlv(0x31, der.integer(bits))
        wanted = (der.sequence(der.oid("1.2.840.113549.1.1.1"), size), der.oid("1.2.840.113549.1.1.11"))
    else:
        return Response(status_code=204)  # §4.5.2: nothing in particular
    return _base64(der.sequence(*wanted), "application/csrattrs")


async def server_key(call: Call) -> Response:
    """§4.4: a key that is made here, and its certificate. The key is in the answer and nowhere else.

    The request's own key only proves that the request is whole. The key is not encrypted beyond the connection.
    """
    types = call.service.authority.rules[_profile(call)].key_types
    key = generate_key("p256" if "p256" in types else types[0])
    leaf = await _issued(call, _csr(call.body), instead=key)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    boundary = f"twoway-{secrets.token_hex(12)}"
    parts = [("application/pkcs8", private), (_CERTS_ONLY, _bundle([leaf]))]
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
        + base64.b64encode(content)
        + b"\r\n"
        for kind, content in parts
    )
    return Response(
        body + f"--{boundary}--\r\n".encode(),
        headers={"cache-control": "no-store"},
        media_type=f'multipart/mixed; boundary="{boundary}"',
    )


async def _issued(call: Call, csr: bytes, instead: PrivateKey | None = None) -> x509.Certificate:
    """The certificate for a request, by whatever right the caller has; for another key where one is made here."""
    facts = call.caller.facts
    if isinstance(facts, Token):
        name, names, days = facts.common_name, facts.names, facts.days
        guard = Guard(
            asked=keeps_to(names, name, "the token"), within=call.service.tokens.redeeming(facts, call.now)
        )
    else:
        asked = await call.service.run(lambda: request.read(csr))
        name, names, days, guard = asked.common_name, asked.names, None, Guard()
    if instead is not None:
        csr = signing_request(instead, name)
    chain = await certify(
        call, csr, profile=_profile(call), common_name=name, names=names, days=days, guard=guard
    )
    return chain[0]


def _profile(call: Call) -> str:
    """The profile: what the token or the account is bound to, which no label can change, else the label's."""
    label: str | None = call.request.path_params.get("label")
    facts = call.caller.facts
    if isinstance(facts, (Token, EstAccount)):
        if label is not None and label != facts.profile:
            raise NotPermitted(
                f"est with the profile {label}", (f"good for {facts.profile}",), ("another token",)
            )
        return facts.profile
    return label or DEFAULT_PROFILE


def _csr(body: bytes) -> bytes:
    """PKCS#10 in DER: from base64 whatever the transfer encoding says (RFC 8951 §3.1), or as PEM or DER itself."""
    if body.startswith((b"0\x82", b"0\x81", b"-----")):
        return body
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (ValueError, binascii.Error):
        raise BodyMalformed("a PKCS#10 request in base64", "something else") from None


def _bundle(certificates: list[x509.Certificate]) -> bytes:
    return pkcs7.serialize_certificates(certificates, Encoding.DER)


def _base64(content: bytes, media_type: str) -> Response:
    # RFC 8951 §3.1: without line breaks, which some clients stumble over.
    return Response(
        base64.b64encode(content), headers={"content-transfer-encoding": "base64"}, media_type=media_type
    )


def _refused(problem: Problem) -> Response:
    """§3.2.3: who may use a password is asked for one."""
    response = as_response(problem)
    if problem.status == 401:
        response.headers["www-authenticate"] = 'Basic realm="twoway", charset="UTF-8"'
    return response


_ANYONE_ENROLLING = (by_gateway, by_certificate, by_basic, token_for("est"))


def _both(name: str, method: str, operation: str, answer: object, **more: object) -> tuple[Endpoint, ...]:
    paths = (f"/.well-known/est/{operation}", f"/.well-known/est/{{label}}/{operation}")
    return tuple(
        Endpoint(name, (method,), path, answer, problem=_refused, **more)  # type: ignore[arg-type]
        for path in paths
    )


ENDPOINTS = (
    *_both("est-cacerts", "GET", "cacerts", cacerts, authenticate=()),
    *_both("est-csrattrs", "GET", "csrattrs", attributes, authenticate=()),
    *_both("est-enroll", "POST", "simpleenroll", enroll, authenticate=_ANYONE_ENROLLING, body_bytes=_MAX_BODY),
    *_both("est-enroll", "POST", "serverkeygen", server_key, authenticate=_ANYONE_ENROLLING, body_bytes=_MAX_BODY),
    *_both("est-reenroll", "POST", "simplereenroll", reenroll, authenticate=(by_gateway, by_certificate), body_bytes=_MAX_BODY),
)  # fmt: skip
