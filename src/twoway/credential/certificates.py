"""Certificates: reading them, writing them, and the facts that everybody asks of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from twoway.credential import pem
from twoway.credential.faults import BadCertificate, BadRevocationList, NoCertificateFound, TooLarge
from twoway.names import Names

MAX_CERTIFICATE = 65536
MAX_CERTIFICATES = 500
_SPECIAL = re.compile(r"[\\,+]")
_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")


def certificates_from_pem(data: bytes, *, where: str = "memory") -> tuple[x509.Certificate, ...]:
    """All certificates in the text, in its order, at least one.

    Raises NoCertificateFound, BadCertificate, TooLarge and what `pem.scan` raises.
    """
    blocks = pem.scan(data, where=where)
    found = [block for block in blocks if block.label in _LABELS]
    if not found:
        raise NoCertificateFound(where, tuple(block.label.lower() for block in blocks))
    if len(found) > MAX_CERTIFICATES:
        raise TooLarge(where, "certificates", len(found), MAX_CERTIFICATES)
    return tuple(certificate_from_der(block.der, where=where, line=block.line) for block in found)


def certificate_from_der(der: bytes, *, where: str = "memory", line: int = 1) -> x509.Certificate:
    """One certificate; everything in it that twoway reads has been decoded. Raises BadCertificate, TooLarge."""
    if len(der) > MAX_CERTIFICATE:
        raise TooLarge(where, "a certificate", len(der), MAX_CERTIFICATE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            # The library decodes late: do it now, so that nothing can fail later.
            certificate.public_key()
            _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.serial_number
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            names_of(certificate)
    except Exception as error:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
        raise BadCertificate(where, line, _first_line(error)) from None
    return certificate


def crls_from_pem(data: bytes, *, where: str = "memory") -> tuple[x509.CertificateRevocationList, ...]:
    """All revocation lists in the text or the one in DER; raises BadRevocationList."""
    if data[:1] == b"\x30":
        return (_crl(data, where),)
    blocks = [block for block in pem.scan(data, where=where) if block.label == "X509 CRL"]
    if not blocks:
        raise BadRevocationList(where, "expected a -----BEGIN X509 CRL----- block, got none")
    return tuple(_crl(block.der, where) for block in blocks)


def _crl(der: bytes, where: str) -> x509.CertificateRevocationList:
    try:
        crl = x509.load_der_x509_crl(der)
        _ = crl.issuer, crl.extensions, crl.next_update_utc, crl.last_update_utc
    except Exception as error:  # noqa: BLE001 - as above
        raise BadRevocationList(where, _first_line(error)) from None
    return crl


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def chain_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate_pem(certificate) for certificate in certificates)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER: 64 lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@lru_cache(maxsize=1024)
def names_of(certificate: x509.Certificate) -> Names:
    """All subject alternative names (RFC 5280 §4.2.1.6); other kinds of names are left out."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Names()
    return Names(
        # Outside of ASCII, which no DNS name is, lower case makes one name of two (U+212A becomes k).
        dns=tuple(name.lower() if name.isascii() else name for name in san.get_values_for_type(x509.DNSName)),
        ip=tuple(str(address) for address in san.get_values_for_type(x509.IPAddress)),
        uri=tuple(san.get_values_for_type(x509.UniformResourceIdentifier)),
        email=tuple(san.get_values_for_type(x509.RFC822Name)),
    )


def attribute_of(name: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    """All values of one attribute of a name, in its order."""
    return tuple(str(attribute.value) for attribute in name.get_attributes_for_oid(oid))


def common_name(name: x509.Name) -> str | None:
    """The last common name, which is the most specific one; None when there is none."""
    values = attribute_of(name, NameOID.COMMON_NAME)
    return values[-1] if values else None


@lru_cache(maxsize=1024)
def display_name(name: x509.Name) -> str:
    """The name as people read it: most specific part first, control characters escaped.

    RFC 4514 §2.4: a comma or a plus inside a value is escaped, so that no value passes for two.
    """
    text = ", ".join(
        attribute.rfc4514_attribute_name + "=" + _SPECIAL.sub(r"\\\g<0>", str(attribute.value))
        for attribute in reversed(list(name))
    )
    return printable(text) or "(empty name)"


def describe(certificate: x509.Certificate) -> str:
    """What a log line calls this certificate: its common name, else its first name, else its serial."""
    if name := common_name(certificate.subject):
        return printable(name)
    names = names_of(certificate)
    for kind in (names.uri, names.dns, names.email, names.ip):
        if kind:
            return printable(kind[0])
    return f"serial {certificate.serial_number:x}"


def printable(text: str, most: int = 200) -> str:
    """The text with everything escaped that could move a cursor or hide; at most so many characters of it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])
