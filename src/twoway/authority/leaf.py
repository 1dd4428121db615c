"""Leaf certificates, assembled as DER: what is the same in all leaves of a profile is encoded once.

The certificate builder of `cryptography` took a quarter of the time of an issuance, and made the object anew for the
final check. Here the check reads the very bytes that are signed afterwards.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twoway.authority import der, whereabouts
from twoway.authority.certificates import key_usage, purposes
from twoway.authority.profiles import RESPONDER, Profile
from twoway.authority.signing import Signer
from twoway.credential import PublicKey
from twoway.names import Names

_VERSION_3 = der.tlv(0xA0, der.integer(2))
_COMMON_NAME, _ORGANIZATION, _UNIT = der.oid("2.5.4.3"), der.oid("2.5.4.10"), der.oid("2.5.4.11")
_ALTERNATIVE_NAME = der.oid("2.5.29.17")
# Everything of the subject key identifier's extension but the identifier.
_KEY_IDENTIFIER_OF_20_OCTETS = der.sequence(
    der.oid("2.5.29.14"), der.tlv(der.OCTET_STRING, der.tlv(der.OCTET_STRING, bytes(20)))
)[:-20]


class Draft(NamedTuple):
    """A leaf as it is meant to be."""

    public_key: PublicKey
    common_name: str | None
    names: Names
    not_before: datetime.datetime
    not_after: datetime.datetime
    serial: int


class Form:
    """The form that every leaf of one profile, issuer and usual key usage is written on."""

    def __init__(
        self,
        signer: Signer,
        profile: Profile,
        organization: str,
        usual: tuple[str, ...],
        public_url: str | None = None,
    ) -> None:
        self._signer = signer
        self._issuer = signer.algorithm + signer.name
        subject = [_attribute(_ORGANIZATION, profile.organization or organization)]
        if profile.organizational_unit:
            subject.append(_attribute(_UNIT, profile.organizational_unit))
        self._subject = b"".join(subject)
        self._extensions = b"".join(
            (
                _extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
                _extension(key_usage(*(profile.key_usage or usual)), critical=True),
                _extension(purposes(profile)),
                _extension(signer.key_identifier_extension),
                # RFC 6960 §4.2.2.2.1: who asks about a responder is not sent to ask about the responder.
                *((_extension(x509.OCSPNoCheck()),) if profile is RESPONDER else ()),
                *map(
                    _extension, whereabouts.extensions(public_url, signer.certificate) if public_url else ()
                ),
            )
        )

    def fill(self, draft: Draft) -> bytes:
        """The TBSCertificate (RFC 5280 §4.1) for a draft, as DER."""
        common = _attribute(_COMMON_NAME, draft.common_name) if draft.common_name else b""
        subject = der.sequence(self._subject, common)
        key = draft.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        # RFC 7093 §2 (4), cut to the usual 20 octets.
        identifier = hashlib.sha256(key).digest()[:20]
        extensions = der.sequence(
            self._extensions,
            _KEY_IDENTIFIER_OF_20_OCTETS + identifier,
            # RFC 5280 §4.2.1.6: critical only where the subject is empty, and ours never is.
            der.sequence(_ALTERNATIVE_NAME, der.tlv(der.OCTET_STRING, _alternatives(draft.names, subject))),
        )
        return der.sequence(
            _VERSION_3,
            der.integer(draft.serial),
            self._issuer,
            der.sequence(der.time(draft.not_before), der.time(draft.not_after)),
            subject,
            key,
            der.tlv(0xA3, extensions),
        )

    def unsigned(self, to_be_signed: bytes) -> x509.Certificate:
        """The certificate for the final check: it has everything but the signature."""
        return x509.load_der_x509_certificate(self._certificate(to_be_signed, b""))

    def signed(self, to_be_signed: bytes) -> bytes:
        """The certificate as DER."""
        return self._certificate(to_be_signed, self._signer.sign(to_be_signed))

    def _certificate(self, to_be_signed: bytes, signature: bytes) -> bytes:
        bits = der.tlv(der.BIT_STRING, b"\0" + signature)
        return der.sequence(to_be_signed, self._signer.algorithm, bits)


def usual_key_usage(public_key: PublicKey) -> tuple[str, ...]:
    """What a key is for, unless its profile says otherwise: to sign, and to be sealed for where it can be.

    RFC 5280 §4.2.1.3: messages are sealed for an RSA key by key encipherment, for an EC key by key agreement
    (RFC 8813 §3 allows it beside digitalSignature); other keys only sign.
    """
    if isinstance(public_key, rsa.RSAPublicKey):
        return ("digital_signature", "key_encipherment")
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return ("digital_signature", "key_agreement")
    return ("digital_signature",)


def _alternatives(names: Names, subject: bytes) -> bytes:
    """GeneralNames (RFC 5280 §4.2.1.6). For a name that is plain text it repeats the subject: verifiers insist."""
    written = [
        *(der.tlv(0x82, name.encode("ascii")) for name in names.dns),
        *(der.tlv(0x87, ipaddress.ip_address(name).packed) for name in names.ip),
        *(der.tlv(0x86, name.encode("ascii")) for name in names.uri),
        *(der.tlv(0x81, name.encode("ascii")) for name in names.email),
    ]
    return der.sequence(*(written or [der.tlv(0xA4, subject)]))


def _attribute(identifier: bytes, value: str) -> bytes:
    """A RelativeDistinguishedName of one attribute, in UTF-8 (RFC 5280 §4.1.2.4)."""
    return der.tlv(0x31, der.sequence(identifier, der.tlv(0x0C, value.encode())))


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    flag = der.tlv(der.BOOLEAN, b"\xff") if critical else b""
    return der.sequence(
        der.oid(value.oid.dotted_string), flag, der.tlv(der.OCTET_STRING, value.public_bytes())
    )
