"""Where a chain leads: to the judge's trust, or where it stops and whose file that is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cryptography import x509

from twoway.credential import common_name, describe, display_name, is_ca, is_self_issued
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.paths import authority_key_of, same_authority, signed_by, subject_key_of

# Words of names that say nothing about whose authority it is.
_COMMON = frozenset(
    [
        "ca",
        "root",
        "issuing",
        "intermediate",
        "authority",
        "certificate",
        "certification",
        "sub",
        "subordinate",
        "test",
        "the",
        "of",
        "and",
        "for",
        "client",
        "clients",
        "server",
        "servers",
        "tls",
        "mtls",
        "ssl",
        "online",
        "offline",
        "rsa",
        "ecc",
        "ecdsa",
    ]
)
_BELOW = frozenset(["issuing", "intermediate", "sub", "subordinate", "signing"])


def leads(case: Case) -> Iterator[Finding]:
    """What the end of the path says: nothing where it reaches an anchor."""
    path = case.path
    if path.end == "anchor":
        return
    if path.end == "forged" and path.candidate is not None:
        yield _bad_signature(case, path.candidate)
    elif path.end == "stale_issuer" and path.candidate is not None:
        yield _stale_issuer(case, path.candidate)
    elif path.end == "identifier" and path.candidate is not None:
        yield _identifier(case, path.candidate)
    elif case.anchors is None:
        yield from _unjudged(case)
    elif not case.usable_anchors and not any(is_self_issued(anchor) for anchor in case.anchors):
        return  # that nobody is trusted who could be has been said already
    elif path.end == "rekeyed" and path.candidate is not None:
        yield _rekeyed(case, path.candidate)
    elif is_self_issued(case.leaf) and not is_ca(case.leaf):
        yield _self_signed(case)
    elif path.end == "gap":
        yield _gap(case)
    else:
        yield _unknown(case)


def _bad_signature(case: Case, issuer: x509.Certificate) -> Finding:
    top = case.path.top
    return found(
        "bad_signature",
        "error",
        case.holder,
        f"the signature of {describe(issuer)} on the certificate of {describe(top)} does not verify",
        "have the certificate issued anew: it was changed, or another authority of that name issued it",
        {"certificate": describe(top), "issuer": describe(issuer), "file": case.chain_at},
        also=("rekeyed_authority",),
    )


def _stale_issuer(case: Case, issuer: x509.Certificate) -> Finding:
    top = case.path.top
    return found(
        "rekeyed_authority",
        "error",
        case.holder,
        f"{case.chain_at} has a certificate of {describe(issuer)} with another key than the one that signed "
        f"{describe(top)}",
        f"replace it in {case.chain_at} by the certificate of {describe(issuer)} that signed {describe(top)}",
        _keys(top, issuer),
        also=("bad_signature", "missing_intermediate"),
    )


def _identifier(case: Case, issuer: x509.Certificate) -> Finding:
    top = case.path.top
    return found(
        "key_identifier_mismatch",
        "error",
        case.holder,
        f"the authority key identifier of {describe(top)} names another key than {describe(issuer)} has",
        "have it issued anew with the subject key identifier of its issuer",
        _keys(top, issuer),
    )


def _keys(top: x509.Certificate, issuer: x509.Certificate) -> dict[str, object]:
    expected, presented = authority_key_of(top), subject_key_of(issuer)
    return {
        "certificate": describe(top),
        "issuer": display_name(top.issuer),
        "expected": f"key {expected.hex()}" if expected else "the key that signed",
        "presented": f"key {presented.hex()}" if presented else "another key",
    }


def _rekeyed(case: Case, anchor: x509.Certificate) -> Finding:
    top, name = case.path.top, display_name(anchor.subject)
    blame: Blame = case.judge
    remedy = f"add the certificate of {name} that signed {describe(top)} to {case.anchors_at}, beside the old"
    if _holder_is_behind(case, anchor):
        blame = case.holder
        remedy = f"have {describe(case.leaf)} issued anew by the present {name}"
    return found(
        "rekeyed_authority",
        "error",
        blame,
        f"{describe(top)} was issued by {name} with another key than the {name} that {case.anchors_at} has",
        remedy,
        _keys(top, anchor) | {"trusted_since": f"{anchor.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC"},
        also=("unknown_authority",),
    )


def _holder_is_behind(case: Case, anchor: x509.Certificate) -> bool:
    """Whether the judge's authority is the one in use: then the old thing is what the holder presents."""
    if any(signed_by(case.path.top, own) for own in case.holder_anchors):
        return False
    in_use = any(signed_by(c, anchor) for c in case.judge_chain)
    in_use = in_use or any(same_authority(anchor, own) for own in case.holder_anchors)
    return in_use or anchor.not_valid_before_utc > case.path.top.not_valid_before_utc


def _self_signed(case: Case) -> Finding:
    leaf = case.leaf
    return found(
        "self_signed",
        "error",
        case.holder,
        f"{describe(leaf)} is self-signed: no authority vouches for it, and {case.anchors_at} does not have it",
        f"have it issued by {_trusted(case)}",
        {"expected": _names(case), "presented": f"self-signed {display_name(leaf.subject)}"},
    )


def _gap(case: Case) -> Finding:
    """Something is missing between the top of the chain and the anchors: a link, or the anchor itself."""
    missing = _missing(case)
    return missing if missing is not None else _unknown(case)


def _missing(case: Case) -> Finding | None:
    top, where = case.path.top, ""
    severity = "error"
    lying = [(name, c) for name, c in case.nearby if signed_by(top, c)]
    own = [c for c in case.holder_anchors if signed_by(top, c)]
    theirs = [c for c in case.judge_chain if signed_by(top, c)]
    certain = False
    if any(not is_self_issued(c) for c in own):
        # OpenSSL completes the chain it sends from its own trust; Go, Java and twoway send what they were given.
        severity, where, certain = "warning", "its own trust bundle", True
    elif any(not is_self_issued(c) for _, c in lying):
        where, certain = next(name for name, c in lying if not is_self_issued(c)), True
    elif any(not is_self_issued(c) for c in theirs):
        where, certain = f"the chain of the {case.judge}", True
    elif own or lying or theirs or not _looks_like_a_gap(case):
        return None
    source = f": it lies in {where}" if where else ""
    issuer = display_name(top.issuer)
    return found(
        "missing_intermediate",
        "warning" if severity == "warning" else "error",
        case.holder,
        f"the chain of the {case.holder} stops at {describe(top)}: the certificate of {issuer}, which issued it, "
        f"is not sent{source}",
        f"append the certificate of {issuer} to {case.chain_at}, behind its own",
        {
            "expected": _names(case),
            "presented": [describe(c) for c in case.chain],
            "missing": issuer,
            "found_in": where or None,
        },
        also=() if certain else ("unknown_authority",),
    )


def _looks_like_a_gap(case: Case) -> bool:
    """Whether the issuer that is not there is likely one below an anchor, and no foreign root.

    Names cannot prove it; the certificate itself can: one that names its issuer's issuer, or says where to
    fetch its issuer, has an intermediate above it.
    """
    top = case.path.top
    if _issuers_issuer(top) is not None:
        return True
    if _each_named_for_its_own(case):
        return False
    words = _words(top.issuer)
    if words & _BELOW:
        return True
    if "root" in words:
        return False
    anchors = case.anchors if case.anchors is not None else case.holder_anchors
    own = words - _COMMON
    return any(own & (_words(anchor.subject) - _COMMON) for anchor in anchors)


def _issuers_issuer(certificate: x509.Certificate) -> x509.Name | None:
    try:
        aki = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    for name in aki.authority_cert_issuer or ():
        if isinstance(name, x509.DirectoryName) and name.value != certificate.issuer:
            return name.value
    return None


def _words(name: x509.Name) -> set[str]:
    text = " ".join(
        str(attribute.value) for attribute in name if attribute.rfc4514_attribute_name in ("CN", "O")
    )
    return {word for word in re.split(r"[^a-z]+", text.lower()) if len(word) > 1}


def _unknown(case: Case) -> Finding:
    top = case.path.top
    issuer = display_name(top.issuer)
    evidence: dict[str, object] = {
        "expected": _names(case),
        "presented": issuer,
        "chain": [describe(c) for c in case.chain],
        "trust": case.anchors_at,
    }
    if _at_home(case):
        return found(
            "wrong_authority_in_trust",
            "error",
            case.judge,
            f"the {case.judge} trusts {_trusted(case)}, and the certificate of the {case.holder} is of {issuer}, "
            "which the other files know: the trust file has the wrong authority",
            f"put the certificate of {issuer} into {case.anchors_at}",
            evidence,
            also=("unknown_authority",),
        )
    foreign = _anchors_at_home(case)
    return found(
        "unknown_authority",
        "error",
        case.holder if foreign else case.judge,
        f"the {case.judge} trusts {_trusted(case)}, and the certificate of the {case.holder} was issued by {issuer}",
        f"present a certificate that {_trusted(case)} issued"
        if foreign
        else f"if {issuer} is to be trusted, add its certificate to {case.anchors_at}",
        evidence,
        also=("wrong_authority_in_trust", *(() if is_self_issued(top) else ("missing_intermediate",))),
    )


def _at_home(case: Case) -> bool:
    """Whether something else that the two sides have is of the authority that issued this chain."""
    top = case.path.top
    authority = top if is_self_issued(top) else None
    if any(signed_by(top, own) or own == authority for own in case.holder_anchors):
        return True
    if any(_siblings(top, own) or own == authority for own in case.judge_chain):
        return True
    return _each_named_for_its_own(case)


def _anchors_at_home(case: Case) -> bool:
    anchors = case.anchors or ()
    if any(same_authority(anchor, own) for anchor in anchors for own in case.holder_anchors):
        return True
    if any(signed_by(c, anchor) for anchor in anchors for c in case.judge_chain):
        return True
    return any(_named_for(anchor.subject, case.holder) for anchor in anchors)


def _each_named_for_its_own(case: Case) -> bool:
    """Whether the issuer is called an authority for this side and an anchor one for the other: the slots differ."""
    return _named_for(case.path.top.issuer, case.holder) and any(
        _named_for(anchor.subject, case.judge) for anchor in case.anchors or ()
    )


def _siblings(one: x509.Certificate, two: x509.Certificate) -> bool:
    """Whether two certificates have one issuer, as far as names and key identifiers tell."""
    if one.issuer != two.issuer:
        return False
    keys = authority_key_of(one), authority_key_of(two)
    return None in keys or keys[0] == keys[1]


def _named_for(name: x509.Name, side: str) -> bool:
    return bool({side, f"{side}s"} & set(re.split(r"[^a-z]+", (common_name(name) or "").lower())))


def _unjudged(case: Case) -> Iterator[Finding]:
    """Without the judge's trust: what the holder's own files hint at."""
    missing = _missing(case) if case.path.end == "gap" else None
    if missing is not None:
        yield found(
            missing.code,
            "warning",
            case.holder,
            missing.summary,
            missing.remedy,
            missing.evidence,
            also=("issuer_not_seen",),
        )
        return
    issuer = display_name(case.path.top.issuer)
    if case.path.end == "rekeyed" and case.path.candidate is not None:
        yield found(
            "rekeyed_authority",
            "warning",
            case.holder,
            f"{describe(case.path.top)} was issued by {issuer} with another key than the {issuer} in the trust "
            "bundle beside it",
            f"find out which {issuer} is the present one, and have the other replaced",
            _keys(case.path.top, case.path.candidate),
            also=("unknown_authority",),
        )
        return
    yield found(
        "issuer_not_seen",
        "info",
        case.holder,
        f"whether the {case.judge} trusts {issuer} cannot be told from here",
        f"run on the {case.judge}: twoway doctor --files --server-trust FILE --identity DIR",
        {"issuer": issuer},
    )


def _names(case: Case) -> list[str]:
    return list(dict.fromkeys(display_name(anchor.subject) for anchor in case.anchors or ()))[:10]


def _trusted(case: Case) -> str:
    return " or ".join(_names(case)[:3]) or "an authority that the other side trusts"
