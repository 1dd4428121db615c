"""Revocation lists: there or not, current or not, of whom, about what; and whether somebody is on one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from twoway.credential import describe, display_name
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Side
from twoway.trust import CertificateRevoked, CrlMissing, CrlUnusable, RevocationUnknown
from twoway.trust.revocation import Revocation, RevocationList


def revocation(case: Case) -> Iterator[Finding]:
    """Each certificate below the anchor, by the judge's lists; nothing where the judge has none."""
    if not case.crls:
        return
    lists = Revocation(case.crls, "refuse", "chain")
    for certificate, issuer in itertools.pairwise(case.path.certificates):
        try:
            lists.check((certificate, issuer), case.now)
        except CertificateRevoked as fault:
            yield _revoked(case, fault)
        except RevocationUnknown as fault:
            if case.path.anchored:
                yield _doubt(case, fault, issuer, lists)


def _revoked(case: Case, fault: CertificateRevoked) -> Finding:
    return found("certificate_revoked", "error", case.holder, str(fault), fault.remedy, fault.evidence)


def _doubt(case: Case, fault: RevocationUnknown, issuer: x509.Certificate, lists: Revocation) -> Finding:
    code = _code(fault, case, issuer, lists)
    evidence = dict(fault.evidence)
    evidence["expected"] = f"a current list of {display_name(issuer.subject)}"
    evidence["presented"] = [_told(one) for one in lists.lists][:10]
    remedy = fault.remedy
    if code == "crl_wrong_issuer":
        remedy = f"load the list of {display_name(issuer.subject)} in {case.crls_at}"
    elif code == "crl_not_yet_valid":
        remedy = "check the clocks of this machine and of the authority, or fetch the list again"
    also = ("unknown_authority",) if code == "crl_missing" else ()
    return found(code, "error", case.judge, str(fault), remedy, evidence, also=also)


def _code(fault: RevocationUnknown, case: Case, issuer: x509.Certificate, lists: Revocation) -> str:
    if isinstance(fault, CrlMissing):
        issuers = {certificate.subject for certificate in case.path.certificates[1:]}
        foreign = not any(one.issuer in issuers for one in lists.lists)
        return "crl_wrong_issuer" if foreign else "crl_missing"
    named = [one for one in lists.lists if one.issuer == issuer.subject]
    if isinstance(fault, CrlUnusable) and not any(one.problem for one in named):
        if named and not any(one.is_of(issuer) for one in named):
            return "crl_bad_signature"
        if any(case.now < one.this_update for one in named):
            return "crl_not_yet_valid"
    return fault.code


def _told(one: RevocationList) -> str:
    until = f"until {one.next_update:%Y-%m-%d %H:%M:%S} UTC" if one.next_update else "without an end"
    return f"{display_name(one.issuer)}, from {one.this_update:%Y-%m-%d %H:%M:%S} UTC {until}"


def own_lists(
    crls: tuple[x509.CertificateRevocationList, ...],
    chain: tuple[x509.Certificate, ...],
    side: Side,
    now: datetime,
) -> Iterator[Finding]:
    """The lists of one side by themselves: out of date, and whether its own certificate is on one."""
    freshest: dict[x509.Name, RevocationList] = {}
    for one in map(RevocationList, crls):
        if one.issuer not in freshest or freshest[one.issuer].this_update < one.this_update:
            freshest[one.issuer] = one
    for one in freshest.values():
        name = display_name(one.issuer)
        if one.problem is not None:
            fault: RevocationUnknown | None = CrlUnusable(name, one.problem)
        else:
            fault = one.fault_at(now)
        if fault is not None:
            early = isinstance(fault, CrlUnusable) and now < one.this_update
            code = "crl_not_yet_valid" if early else fault.code
            yield found(code, "error", side, str(fault), fault.remedy, fault.evidence)
    for certificate in chain:
        listed = next((one for one in freshest.values() if _lists(one, certificate)), None)
        if listed is not None:
            yield _own_revoked(certificate, listed, side)


def _lists(one: RevocationList, certificate: x509.Certificate) -> bool:
    return one.issuer == certificate.issuer and certificate.serial_number in one.entries


def _own_revoked(certificate: x509.Certificate, one: RevocationList, side: Side) -> Finding:
    fault = CertificateRevoked(describe(certificate), f"{certificate.serial_number:x}", None, "unspecified")
    return found(
        "certificate_revoked",
        "error",
        side,
        f"the revocation list of {display_name(one.issuer)} has the certificate of {describe(certificate)} "
        f"(serial {certificate.serial_number:x})",
        fault.remedy,
        {"certificate": describe(certificate), "serial": f"{certificate.serial_number:x}"},
    )
