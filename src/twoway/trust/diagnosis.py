"""OpenSSL's verify errors, told as our reasons: what was expected, what was presented, what would help."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from twoway.credential import describe, display_name, is_self_issued, key_type_of, names_of
from twoway.errors import PeerUntrusted
from twoway.trust import library
from twoway.trust.bundle import Trust
from twoway.trust.faults import (
    BadSignature,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateUnreadable,
    ChainRefused,
    HostnameMismatch,
    NameConstraintViolated,
    NoCertificate,
    NotAnAuthority,
    NotStrict,
    UnknownAuthority,
    WeakAlgorithm,
    WrongPurpose,
)
from twoway.trust.reading import check_readable
from twoway.trust.revocation_faults import CertificateRevoked

_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timeStamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
}
_WANTED = {"client": "clientAuth", "server": "serverAuth"}
_UNKNOWN_ISSUER = {
    "unable_to_get_issuer_cert",
    "unable_to_get_issuer_cert_locally",
    "unable_to_verify_leaf_signature",
    "depth_zero_self_signed_cert",
    "self_signed_cert_in_chain",
    "cert_untrusted",
    "unable_to_decode_issuer_public_key",
}
_NAME_CONSTRAINTS = {
    "permitted_violation": "a name is outside the permitted subtrees",
    "excluded_violation": "a name is within an excluded subtree",
    "subtree_minmax": "the constraints use minimum or maximum",
    "unsupported_constraint_type": "the constraints are of a type that is not understood",
    "unsupported_constraint_syntax": "the constraints are not understood",
    "unsupported_name_syntax": "a name is written in a way that is not understood",
    "unnested_resource": "its addresses are not within its issuer's",
}
_AUTHORITY = {
    "invalid_ca": "its basicConstraints do not say CA",
    "path_length_exceeded": "the path below it is longer than its path length allows",
    "cert_chain_too_long": "the chain is longer than eight certificates",
    "keyusage_no_certsign": "its key usage lacks keyCertSign",
    "invalid_non_ca": "it has extensions of a CA and is none",
}


def untrusted(
    error: int,
    depth: int,
    chain: Sequence[x509.Certificate],
    trust: Trust,
    *,
    purpose: str,
    now: datetime,
    hostname: str | None = None,
    certificate: x509.Certificate | None = None,
) -> PeerUntrusted:
    """The typed reason behind OpenSSL's verify error `error` at `depth` of `chain` (leaf first)."""
    if not chain:
        return NoCertificate(purpose)
    try:
        check_readable(chain)
    except CertificateUnreadable as fault:
        return fault
    name = library.ERRORS.get(error, str(error))
    at = certificate or chain[min(depth, len(chain) - 1)]
    subject = describe(at)
    if name in _UNKNOWN_ISSUER:
        return _unknown_authority(chain, trust)
    if name == "cert_has_expired":
        return CertificateExpired(subject, at.not_valid_after_utc, now)
    if name == "cert_not_yet_valid":
        return CertificateNotYetValid(subject, at.not_valid_before_utc, now)
    if name == "invalid_purpose":
        return _wrong_purpose(at, chain, purpose)
    if name in ("cert_signature_failure", "unable_to_decrypt_cert_signature"):
        return _bad_signature(at, chain, trust)
    if name == "hostname_mismatch" or name == "ip_address_mismatch":
        names = names_of(chain[0])
        return HostnameMismatch(hostname or "?", (*names.dns, *names.ip))
    if name == "cert_revoked":
        return CertificateRevoked(subject, f"{at.serial_number:x}", None, "unspecified")
    if name in _NAME_CONSTRAINTS:
        names = names_of(at)
        return NameConstraintViolated(
            subject, (*names.dns, *names.ip, *names.uri, *names.email), _NAME_CONSTRAINTS[name]
        )
    if name in _AUTHORITY:
        return NotAnAuthority(subject, _AUTHORITY[name])
    text = library.reason_of(error)
    if "too weak" in text or "too small" in text:
        return WeakAlgorithm(
            subject, f"key ({key_type_of(at.public_key())})" if "key" in text else "signature"
        )
    if error >= library.FIRST_STRICT_ERROR:
        return NotStrict(subject, text)
    return ChainRefused(subject, text)


def _unknown_authority(chain: Sequence[x509.Certificate], trust: Trust) -> UnknownAuthority:
    """Tell apart: somebody else's authority, a gap in the chain, a re-keyed authority, a self-signed leaf."""
    top = _top(chain)
    issuer, anchors = display_name(top.issuer), trust.display_names
    why = "unknown"
    if is_self_issued(top) and top == chain[0]:
        why = "self_signed"
    elif top.issuer in trust.names or top.subject in trust.names:
        why = "rekeyed"
    elif not is_self_issued(top) and _same_house(top, trust):
        why = "missing_intermediate"
    subject = describe(top) if why == "missing_intermediate" else describe(chain[0])
    return UnknownAuthority(subject, issuer, anchors, why)


def _top(chain: Sequence[x509.Certificate]) -> x509.Certificate:
    """The last certificate that can be reached from the leaf by issuer names."""
    by_subject = {certificate.subject: certificate for certificate in chain}
    top = chain[0]
    for _ in chain:
        above = by_subject.get(top.issuer)
        if above is None or above == top:
            break
        top = above
    return top


def _same_house(top: x509.Certificate, trust: Trust) -> bool:
    """Whether the missing issuer is of the same organization as an anchor: then a link is likely missing.

    Names cannot prove it, so this changes the hint and nothing else.
    """
    organization = _organizations(top.issuer)
    return bool(organization) and any(organization & _organizations(name) for name in trust.names)


def _organizations(name: x509.Name) -> set[str]:
    return {str(a.value) for a in name.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)}


def _wrong_purpose(at: x509.Certificate, chain: Sequence[x509.Certificate], purpose: str) -> WrongPurpose:
    """Name the certificate that forbids it: the leaf or, surprisingly often, an intermediate."""
    wanted = _WANTED[purpose]
    for certificate in (at, *chain):
        usages = _extended_usages(certificate)
        if usages is not None and wanted not in usages:
            return WrongPurpose(describe(certificate), wanted, usages)
    return WrongPurpose(describe(at), f"{wanted} and a fitting key usage", _extended_usages(at) or ())


def _extended_usages(certificate: x509.Certificate) -> tuple[str, ...] | None:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return tuple(_USAGES.get(usage, usage.dotted_string) for usage in usages)


def _bad_signature(at: x509.Certificate, chain: Sequence[x509.Certificate], trust: Trust) -> PeerUntrusted:
    if at.issuer in trust.names and at.issuer not in {c.subject for c in chain if c != at}:
        return UnknownAuthority(describe(at), display_name(at.issuer), trust.display_names, "rekeyed")
    return BadSignature(describe(at), display_name(at.issuer))
