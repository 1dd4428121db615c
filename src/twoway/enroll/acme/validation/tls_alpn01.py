"""tls-alpn-01: a certificate shown in a handshake for the protocol acme-tls/1 (RFC 8737, RFC 8738 §6)."""

from __future__ import annotations

import hashlib
import ipaddress

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from twoway.enroll.acme.identifiers import Identifier
from twoway.enroll.acme.validation.connecting import Outside, unverified_context
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled

PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


async def prove(outside: Outside, identifier: Identifier, port: int, key_authorization: str) -> str:
    """The address at which the proof was found. Raises Unfulfilled."""
    host = identifier.value
    # RFC 8738 §6: SNI has no addresses, so the name is that of the reverse lookup.
    name = host if identifier.kind == "dns" else ipaddress.ip_address(host).reverse_pointer
    context = unverified_context(PROTOCOL)
    async with outside.connection(host, port, tls=context, server_name=name) as ((_, writer), address):
        session = writer.get_extra_info("ssl_object")
        # RFC 8737 §3: a handshake that did not choose acme-tls/1 proves nothing.
        if session.selected_alpn_protocol() != PROTOCOL:
            raise Unfulfilled("unauthorized", f"{host} did not choose the protocol {PROTOCOL}")
        check_certificate(session.getpeercert(binary_form=True) or b"", identifier, key_authorization)
    return address


def check_certificate(der: bytes, identifier: Identifier, key_authorization: str) -> None:
    """Raise Unfulfilled unless the certificate is for this name alone and holds this key authorization's digest."""
    host = identifier.value
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        proof = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    except x509.ExtensionNotFound as missing:
        what = "no acmeIdentifier" if missing.oid == ACME_IDENTIFIER else "no alternative name"
        raise Unfulfilled("unauthorized", f"the certificate that {host} shows has {what}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        raise Unfulfilled("unauthorized", f"the certificate that {host} shows cannot be read") from None
    if [_value(name) for name in names] != [(identifier.kind, host)]:
        raise Unfulfilled("unauthorized", f"the certificate that {host} shows is not for that name alone")
    # RFC 8737 §3: critical, and the SHA-256 digest as an OCTET STRING.
    digest = hashlib.sha256(key_authorization.encode()).digest()
    value = proof.value
    if not proof.critical or not isinstance(value, x509.UnrecognizedExtension):
        raise Unfulfilled("unauthorized", f"the acmeIdentifier that {host} shows is not critical")
    if value.value != b"\x04\x20" + digest:
        raise Unfulfilled("unauthorized", f"the acmeIdentifier that {host} shows is of another challenge")


def _value(name: x509.GeneralName) -> tuple[str, str]:
    if isinstance(name, x509.DNSName):
        return "dns", name.value.lower()
    if isinstance(name, x509.IPAddress):
        return "ip", str(name.value)
    return "other", ""
