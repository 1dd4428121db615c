"""What each kind of object says, as names and values in the order in which people ask."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from twoway.credential import (
    describe,
    display_name,
    fingerprint_of,
    is_ca,
    is_self_issued,
    key_type_of,
    names_of,
)

Facts = dict[str, object]
_USAGES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
_SHOWN_ENTRIES = 5


def of_certificate(one: x509.Certificate, now: datetime) -> Facts:
    names = names_of(one)
    facts: Facts = {
        "subject": display_name(one.subject) or "(none)",
        "issuer": display_name(one.issuer) + (" (itself)" if is_self_issued(one) else ""),
        "is": "an authority" if is_ca(one) else "a leaf",
        "dns": list(names.dns),
        "ip": [str(address) for address in names.ip],
        "uri": list(names.uri),
        "email": list(names.email),
        "valid_from": one.not_valid_before_utc,
        "valid_until": one.not_valid_after_utc,
        "left": _left(one.not_valid_before_utc, one.not_valid_after_utc, now),
        "key": key_type_of(one.public_key()),
        "signature": _signature(one),
        "usage": _usages(one) or "everything (no extended key usage)",
        "path_length": _path_length(one),
        "serial": f"{one.serial_number:x}",
        "sha256": fingerprint_of(one),
    }
    return {name: value for name, value in facts.items() if value not in (None, [], "")}


def _signature(one: x509.Certificate) -> str:
    try:
        digest = one.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return f"unknown ({one.signature_algorithm_oid.dotted_string})"
    return digest.name if digest is not None else key_type_of(one.public_key())


def _left(begin: datetime, end: datetime, now: datetime) -> str:
    if now < begin:
        return f"not valid for another {(begin - now).days} days"
    if now > end:
        return f"expired {(now - end).days} days ago"
    return f"{(end - now).days} days"


def _usages(one: x509.Certificate) -> str:
    try:
        found = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    return ", ".join(_USAGES.get(usage.dotted_string, usage.dotted_string) for usage in found)


def _path_length(one: x509.Certificate) -> int | None:
    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:
        return None


def of_request(one: x509.CertificateSigningRequest) -> Facts:
    try:
        wanted = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(name.value) for name in wanted]
    except x509.ExtensionNotFound:
        names = []
    others = [e.oid._name for e in one.extensions if not isinstance(e.value, x509.SubjectAlternativeName)]
    facts: Facts = {
        "subject": display_name(one.subject) or "(none)",
        "asks_for": names or "no name",
        "asks_for_extensions": others,
        "key": key_type_of(one.public_key()),
        "signed_by_its_key": one.is_signature_valid,
    }
    return {name: value for name, value in facts.items() if value != []}


def of_crl(one: x509.CertificateRevocationList, now: datetime) -> Facts:
    entries = [
        f"{entry.serial_number:x} since {entry.revocation_date_utc:%Y-%m-%d}"
        for entry, _ in zip(one, range(_SHOWN_ENTRIES), strict=False)
    ]
    until = one.next_update_utc
    stale = until is not None and until < now
    try:
        number: int | None = one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = None
    return {
        "issuer": display_name(one.issuer),
        "number": number,
        "revokes": f"{len(one)} certificates",
        "first": entries,
        "this_update": one.last_update_utc,
        "next_update": until if until is not None else "never said",
        "state": "stale: its next update has passed" if stale else "current",
    }


def of_ocsp_response(data: bytes) -> Facts:
    response = ocsp.load_der_ocsp_response(data)
    facts: Facts = {"status": response.response_status.name.lower()}
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return facts
    for one in response.responses:
        facts |= {
            "serial": f"{one.serial_number:x}",
            "certificate": one.certificate_status.name.lower(),
            "this_update": one.this_update_utc,
            "next_update": one.next_update_utc or "never said",
        }
        break
    responder = response.responder_name
    if responder is not None:
        facts["responder"] = display_name(responder)
    elif response.responder_key_hash is not None:
        facts["responder_key"] = response.responder_key_hash.hex()
    facts["produced"] = response.produced_at_utc
    facts["answers"] = sum(1 for _ in response.responses)
    return facts


def of_ocsp_request(data: bytes) -> Facts:
    request = ocsp.load_der_ocsp_request(data)
    return {"asks_for_serial": f"{request.serial_number:x}", "issuer_key_hash": request.issuer_key_hash.hex()}


def of_key(key: object, *, private: bool) -> Facts:
    public = key.public_key() if private else key  # type: ignore[attr-defined]
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[union-attr]
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return {"type": key_type_of(key), "public_key_sha256": digest.finalize().hex()}


def of_chain(chain: tuple[x509.Certificate, ...]) -> str:
    return " <- ".join(describe(one) for one in chain)
