"""Whether each certificate is in time, by the judge's clock, and what the other clock would say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509

from twoway.credential import describe
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.material import Side, other
from twoway.trust.faults import span

MAX_SKEW = timedelta(minutes=5)
_SOON = timedelta(days=1)


def dates(case: Case) -> Iterator[Finding]:
    """Each certificate of the path; an anchor that is out of time is the judge's to replace."""
    for certificate in case.path.certificates:
        if case.now > certificate.not_valid_after_utc:
            yield _out(case, certificate, "expired")
        elif case.now < certificate.not_valid_before_utc:
            yield _out(case, certificate, "not_yet_valid")
    yield from _soon(case)


def _out(case: Case, certificate: x509.Certificate, how: str) -> Finding:
    name, expired = describe(certificate), how == "expired"
    edge = certificate.not_valid_after_utc if expired else certificate.not_valid_before_utc
    distance = span(case.now - edge)
    anchor = case.is_anchor(certificate)
    kind = "anchor" if anchor else "certificate" if certificate == case.leaf else "intermediate"
    what = {"anchor": "trusted authority", "certificate": "certificate of", "intermediate": "intermediate"}[
        kind
    ]
    told = f"expired {distance} ago" if expired else f"is valid only in {distance}"
    by = f"by the {case.judge}'s clock " if case.holder_now is not None else ""
    blame: Blame = case.judge if anchor else case.holder
    evidence: dict[str, object] = {
        "certificate": name,
        "expected": f"{'until' if expired else 'from'} {_utc(edge)}",
        "presented": f"it is {_utc(case.now)}",
    }
    if case.holder_now is not None:
        evidence["other_clock"] = _utc(case.holder_now)
    return found(
        f"{kind}_{how}",
        "error",
        blame,
        f"the {what} {name} {told} ({_utc(edge)}; {by}it is {_utc(case.now)})",
        _remedy(case, certificate, kind, expired),
        evidence,
        also=("clock_skew",),
    )


def _remedy(case: Case, certificate: x509.Certificate, kind: str, expired: bool) -> str:
    name = describe(certificate)
    if not expired:
        return f"check both clocks; if they are right, wait, or have {name} issued anew with an earlier beginning"
    if kind == "certificate":
        return f"renew it: twoway ca renew {name} --allow-expired"
    if kind == "anchor":
        return f"put the renewed certificate of {name} into {case.anchors_at}"
    return f"put the renewed certificate of {name} into {case.chain_at}, in place of the old one"


def _soon(case: Case) -> Iterator[Finding]:
    leaf = case.leaf
    left = leaf.not_valid_after_utc - case.now
    whole = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    if timedelta(0) <= left < _SOON and left < whole / 5:
        yield found(
            "expires_soon",
            "info",
            case.holder,
            f"the certificate of {describe(leaf)} expires in {span(left)}",
            f"renew it: twoway ca renew {describe(leaf)}",
            {"not_after": _utc(leaf.not_valid_after_utc)},
        )
    for issuer in case.issuers:
        if leaf.not_valid_after_utc > issuer.not_valid_after_utc > case.now:
            yield found(
                "outlives_issuer",
                "info",
                case.holder,
                f"{describe(leaf)} says it is valid until {_utc(leaf.not_valid_after_utc)}, and "
                f"{describe(issuer)}, which issued it, only until {_utc(issuer.not_valid_after_utc)}",
                f"renew {describe(issuer)} before that day",
                {"certificate": describe(leaf), "issuer": describe(issuer)},
            )


def skew(
    side: Side, own: datetime, others: datetime | None, certificates: tuple[x509.Certificate, ...]
) -> Iterator[Finding]:
    """Two clocks that disagree; an error where a certificate is in time by the one and not by the other."""
    if others is None or abs(own - others) <= MAX_SKEW:
        return
    split = [c for c in certificates if _valid(c, own) is not _valid(c, others)]
    wrong: Blame = "config"
    if split:
        wrong = _wrong_clock(side, own, others, split)
    matter = f", and {describe(split[0])} is valid by only one of them" if split else ""
    whose = "both clocks" if wrong == "config" else f"the {wrong}'s clock"
    yield found(
        "clock_skew",
        "error" if split else "info",
        wrong,
        f"the clocks of {side} and {other(side)} are {span(own - others)} apart{matter}",
        f"set {whose} (chronyc tracking, timedatectl), or have a time service do it",
        {side: _utc(own), other(side): _utc(others), "certificates": [describe(c) for c in split]},
        also=("certificate_expired", "certificate_not_yet_valid") if split else (),
    )


def _wrong_clock(side: Side, own: datetime, others: datetime, split: list[x509.Certificate]) -> Blame:
    """A certificate exists, so the time before its beginning has passed: the clock that says otherwise is wrong."""
    if any(own < c.not_valid_before_utc <= others for c in split):
        return side
    if any(others < c.not_valid_before_utc <= own for c in split):
        return other(side)
    # Expired by one only: the clock that is ahead refuses, and nothing tells which of the two is right.
    return side if own > others else other(side)


def _valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
