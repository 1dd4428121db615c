"""An OCSP request (RFC 6960 §4.1) as facts: bytes in, certificates asked about out. Nothing is looked up here."""

from __future__ import annotations

from typing import NamedTuple

from asn1crypto.core import Asn1Value
from asn1crypto.ocsp import OCSPRequest
from cryptography import x509
from cryptography.x509.ocsp import load_der_ocsp_request

MAX_BYTES = 16384
MAX_CERTIFICATES = 32
MAX_NONCE = 128  # RFC 9654 §2.1
MAX_SERIAL_BITS = 160  # RFC 5280 §4.1.2.2
# Octets. An object identifier takes time with the square of its length: 0.1 s for one of 16 KiB.
MAX_ELEMENT = 512

HASHES = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}


class Malformed(Exception):
    """Not an OCSP request, or one beyond the bounds; the only thing that `read` raises."""


class CertId(NamedTuple):
    """One certificate that is asked about: its issuer by two hashes, and its serial number."""

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int


class Asked(NamedTuple):
    """What one request asks for. A signature on it says nothing that an answer depends on, and is not looked at."""

    certificates: tuple[CertId, ...]
    nonce: bytes | None


def read(der: bytes) -> Asked:
    """The request in these bytes, at most 16 KiB and 32 certificates; raises Malformed."""
    if not 0 < len(der) <= MAX_BYTES:
        raise Malformed(f"{len(der)} bytes, and {MAX_BYTES} are the most")
    try:
        asked = _one(der) or _several(der)
    except Malformed:
        raise
    except Exception as error:  # noqa: BLE001 - the parsers raise many kinds; all mean the same here
        raise Malformed(str(error)[:200]) from None
    for each in asked.certificates:
        size = HASHES.get(each.hash_name)
        if size is None or {len(each.issuer_name_hash), len(each.issuer_key_hash)} != {size}:
            raise Malformed(f"an issuer by a hash that is not used here: {each.hash_name}")
        if each.serial <= 0 or each.serial.bit_length() > MAX_SERIAL_BITS:
            raise Malformed("a serial number that no certificate has")
    return asked


def _one(der: bytes) -> Asked | None:
    """By the fast parser, which takes requests about one certificate; None for any other."""
    try:
        request = load_der_ocsp_request(der)
        algorithm = request.hash_algorithm.name
    except Exception:  # noqa: BLE001 - what it does not take the other parser judges
        return None
    nonce = None
    for extension in request.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = _nonce(extension.value.nonce)
        elif extension.critical and not isinstance(extension.value, x509.OCSPAcceptableResponses):
            raise Malformed(f"a critical extension that is not understood: {extension.oid.dotted_string}")
    found = CertId(algorithm, request.issuer_name_hash, request.issuer_key_hash, request.serial_number)
    return Asked((found,), nonce)


def _several(der: bytes) -> Asked:
    request = OCSPRequest.load(der, strict=True)
    body = request["tbs_request"]
    if body["version"].native != "v1":
        raise Malformed("a version that is not v1")
    nonce = None
    for extension in body["request_extensions"] or ():
        name = _small(extension)["extn_id"].native
        if name == "nonce":
            nonce = _nonce(extension["extn_value"].parsed.native)
        elif extension["critical"].native and name != "acceptable_responses":
            raise Malformed(f"a critical extension that is not understood: {name}")
    wanted = body["request_list"]
    if not 1 <= len(wanted) <= MAX_CERTIFICATES:
        raise Malformed(f"{len(wanted)} certificates, and {MAX_CERTIFICATES} are the most")
    certificates = []
    for each in wanted:
        if any(_small(extension)["critical"].native for extension in each["single_request_extensions"] or ()):
            raise Malformed("a critical extension of one certificate that is not understood")
        one = each["req_cert"]
        certificates.append(
            CertId(
                _small(one["hash_algorithm"])["algorithm"].native,
                one["issuer_name_hash"].native,
                one["issuer_key_hash"].native,
                one["serial_number"].native,
            )
        )
    return Asked(tuple(certificates), nonce)


def _small(element: Asn1Value) -> Asn1Value:
    """The element, which has been found but not read yet."""
    if len(element.contents) > MAX_ELEMENT:
        raise Malformed(f"an algorithm or an extension of {len(element.contents)} octets")
    return element


def _nonce(value: bytes) -> bytes:
    if not 1 <= len(value) <= MAX_NONCE:
        raise Malformed(f"a nonce of {len(value)} octets; RFC 9654 has 1 to {MAX_NONCE}")
    return value
