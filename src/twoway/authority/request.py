"""Signing requests: what is taken from them is the public key and the names that are asked for, nothing else."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

from twoway.authority.refusals import (
    KeyNotAccepted,
    NameRefused,
    RequestTooLarge,
    RequestUnproven,
    RequestUnreadable,
)
from twoway.credential import KEY_TYPES, PublicKey, common_name, key_type_of
from twoway.names import Names, parse_dns_name, parse_email, parse_ip, parse_uri

MAX_BYTES = 32 * 1024  # an ML-DSA-87 request with fifty names has less than half of it as PEM
MAX_NAMES = 100
RSA_BITS = (2048, 4096)
MAX_RSA_EXPONENT = 2**32

_ECDSA = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: ec.ECDSA(hashes.SHA256()),
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: ec.ECDSA(hashes.SHA384()),
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: ec.ECDSA(hashes.SHA512()),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose sender has proved that it holds the private key."""

    public_key: PublicKey
    common_name: str | None
    names: Names
    ignored: tuple[str, ...]
    """What else it asked for, and will not get: extension names for the audit log."""


def read(data: bytes | str) -> Request:
    """The request in PEM or DER (PKCS#10, RFC 2986).

    Raises RequestTooLarge, RequestUnreadable, KeyNotAccepted, RequestUnproven, NameRefused, BadName. The cheap
    bounds come before the signature is checked. Whether the names may be certified is not decided here.
    """
    data = data.encode() if isinstance(data, str) else data
    if len(data) > MAX_BYTES:
        raise RequestTooLarge(len(data), MAX_BYTES)
    csr = _parse(data)
    public_key = _public_key(csr)
    try:
        proven = _is_proven(csr, public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise RequestUnproven(str(failure) or "its signature cannot be checked") from failure
    if not proven:
        raise RequestUnproven("its signature was not made with that key")
    try:
        with warnings.catch_warnings():
            # `cryptography` only warns of names that are too long; the final check refuses them.
            warnings.filterwarnings("ignore", "Attribute's length")
            extensions = list(csr.extensions)
            wanted = common_name(csr.subject)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType) as failure:
        raise RequestUnreadable(str(failure)) from failure
    names, ignored = Names(), []
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = names_from(extension.value)
        else:
            ignored.append(extension.oid.dotted_string)
    return Request(public_key, wanted, names, tuple(ignored))


def names_from(extension: x509.SubjectAlternativeName) -> Names:
    """The alternative names that are asked for. A kind that this authority never certifies is refused by name."""
    if len(extension) > MAX_NAMES:
        raise NameRefused("any", f"number {MAX_NAMES + 1}", f"one certificate has at most {MAX_NAMES} names")
    found: dict[str, list[str]] = {"dns": [], "ip": [], "uri": [], "email": []}
    for name in extension:
        if isinstance(name, x509.DNSName):
            found["dns"].append(parse_dns_name(name.value))
        elif isinstance(name, x509.IPAddress):
            found["ip"].append(parse_ip(str(name.value)))
        elif isinstance(name, x509.UniformResourceIdentifier):
            found["uri"].append(parse_uri(name.value))
        elif isinstance(name, x509.RFC822Name):
            found["email"].append(parse_email(name.value))
        else:
            raise NameRefused(
                type(name).__name__, str(name.value), "no certificate carries names of this kind"
            )
    return Names(**{kind: tuple(dict.fromkeys(values)) for kind, values in found.items()})


def _parse(data: bytes) -> x509.CertificateSigningRequest:
    try:
        if data.lstrip()[:11] == b"-----BEGIN ":
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise RequestUnreadable(_first_line(failure) or "it is neither PEM nor DER of PKCS#10") from failure


def _public_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    try:
        key = csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise RequestUnreadable(f"its public key: {_first_line(failure)}") from failure
    if isinstance(key, rsa.RSAPublicKey):
        # A giant modulus or exponent makes one verification cost seconds: look before verifying.
        if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
            raise KeyNotAccepted(f"rsa{key.key_size}", KEY_TYPES)
        exponent = key.public_numbers().e
        if exponent < 65537 or exponent >= MAX_RSA_EXPONENT or exponent % 2 == 0:
            shown = exponent if exponent < MAX_RSA_EXPONENT else f"{exponent.bit_length()}-bit"
            raise KeyNotAccepted(f"rsa{key.key_size} with exponent {shown}", KEY_TYPES)
    kind = key_type_of(key)
    if kind not in KEY_TYPES:
        raise KeyNotAccepted(kind, KEY_TYPES)
    return key  # type: ignore[return-value]


def _is_proven(csr: x509.CertificateSigningRequest, public_key: PublicKey) -> bool:
    ecdsa = _ECDSA.get(csr.signature_algorithm_oid)
    if ecdsa is None or not isinstance(public_key, ec.EllipticCurvePublicKey):
        return csr.is_signature_valid
    # The same check without reading the key a second time; a quarter quicker for the commonest requests.
    try:
        public_key.verify(csr.signature, csr.tbs_certrequest_bytes, ecdsa)
    except InvalidSignature:
        return False
    return True


def _first_line(failure: BaseException) -> str:
    return str(failure).strip().partition("\n")[0]
