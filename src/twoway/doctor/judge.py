"""The main judge: OpenSSL's verification, strict and lenient, beside the finer checks.

What the finer checks miss is added; what they complain of and verification lets pass is no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cryptography import x509
from OpenSSL import crypto
from OpenSSL._util import lib  # as in trust/library.py: pyOpenSSL cannot set a purpose

from twoway.credential import describe, is_ca
from twoway.doctor.case import Case
from twoway.doctor.chain import named_like_its_issuer
from twoway.doctor.codes import CODES, found
from twoway.doctor.finding import Finding
from twoway.doctor.paths import signed_by
from twoway.errors import PeerUntrusted
from twoway.trust import NotStrict, Trust, UnknownAuthority, untrusted, verify
from twoway.trust.library import Failed

_PURPOSES = {"client": lib.X509_PURPOSE_SSL_CLIENT, "server": lib.X509_PURPOSE_SSL_SERVER}
# What verification decides: none of these is an error where it succeeds.
_DECIDED = frozenset(
    {
        "bad_signature",
        "certificate_expired",
        "certificate_not_yet_valid",
        "intermediate_expired",
        "intermediate_not_yet_valid",
        "anchor_expired",
        "anchor_not_yet_valid",
        "intermediate_wrong_purpose",
        "key_identifier_mismatch",
        "missing_intermediate",
        "not_an_authority",
        "path_length_exceeded",
        "rekeyed_authority",
        "self_signed",
        "unknown_authority",
        "wrong_authority_in_trust",
        "wrong_purpose",
    }
)
_UNKNOWN = {"missing": "missing_intermediate", "rekeyed": "rekeyed_authority", "self_signed": "self_signed"}


def reconciled(case: Case, findings: list[Finding]) -> list[Finding]:
    """The findings of the finer checks, made to agree with what verification says."""
    anchors = case.usable_anchors
    if case.anchors is None:
        top = case.path.top
        anchors = (top,) if len(case.path.certificates) > 1 and is_ca(top) else ()
    if not anchors:
        return findings
    explained = any(one.severity == "error" or one.code in _DECIDED for one in findings)
    fault = _strictly(case, anchors) if case.anchors is not None else None
    if isinstance(fault, NotStrict) or case.anchors is None:
        if isinstance(fault, NotStrict) and not any(one.code == "not_strict" for one in findings):
            findings = [*findings, replace(_finding(case, fault), severity="warning")]
        fault = _leniently(case, anchors)
    if fault is None:
        return [
            replace(one, severity="warning") if one.severity == "error" and one.code in _DECIDED else one
            for one in findings
        ]
    return findings if explained else [*findings, _finding(case, fault)]


def _strictly(case: Case, anchors: tuple[x509.Certificate, ...]) -> PeerUntrusted | None:
    try:
        verify(case.chain, Trust(anchors), purpose=case.holder, now=case.now)
    except PeerUntrusted as fault:
        return fault
    return None


def _leniently(case: Case, anchors: tuple[x509.Certificate, ...]) -> PeerUntrusted | None:
    failed = verify_leniently(case.chain, anchors, case.holder, case.now)
    if failed is None:
        return None
    return untrusted(
        failed.code,
        failed.depth,
        case.chain,
        Trust(anchors),
        purpose=case.holder,
        now=case.now,
        certificate=failed.certificate,
    )


def verify_leniently(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], purpose: str, now: datetime
) -> Failed | None:
    """How OpenSSL's verification fails without the strict rules, as most servers have it; None if it does not."""
    store = crypto.X509Store()
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_time(now)
    store.set_flags(lib.X509_V_FLAG_PARTIAL_CHAIN)
    lib.X509_STORE_set_purpose(store._store, _PURPOSES[purpose])
    leaf, *others = (crypto.X509.from_cryptography(certificate) for certificate in chain)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors
        certificate = error.certificate.to_cryptography() if error.certificate is not None else None
        return Failed(code, depth, certificate, text)
    return None


def _finding(case: Case, fault: PeerUntrusted) -> Finding:
    code = fault.code
    if isinstance(fault, UnknownAuthority):
        if fault.why == "self_signed" and not signed_by(case.leaf, case.leaf):
            return named_like_its_issuer(case.leaf, case.holder, {"certificate": describe(case.leaf)})
        code = _UNKNOWN.get(fault.why.removesuffix("_intermediate"), code)
    if code not in CODES:
        code = "chain_refused"
    return found(code, "error", case.holder, str(fault), fault.remedy, fault.evidence)
