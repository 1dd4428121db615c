"""Where a chain leads: to the judge's trust, or where it stops and whose file that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cryptography import x509

from twoway.credential import describe, display_name, is_ca, is_self_issued
from twoway.doctor.algorithms import among
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.houses import anchors_at_home, at_home, holder_is_behind, looks_like_a_gap
from twoway.doctor.paths import authority_key_of, authority_serial_of, signed_by, subject_key_of

_OWN_TRUST = "its own trust bundle"


def leads(case: Case) -> Iterator[Finding]:
    """What the end of the path says: nothing where it reaches an anchor."""
    path = case.path
    if path.end == "anchor":
        if case.anchors is None:
            yield from _borrowed(case)
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


def _borrowed(case: Case) -> Iterator[Finding]:
    """An intermediate that only the holder's own trust file has; whether the judge has it too is not known."""
    lent = [c for c in case.issuers if c not in case.chain and not is_self_issued(c)]
    if lent and not among(case.chain, case.accepted):
        yield _not_sent(case, lent[0].subject, _OWN_TRUST)


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
    keys = authority_key_of(top), subject_key_of(issuer)
    named = authority_serial_of(top)
    if None in keys or keys[0] == keys[1]:
        assert named is not None  # else nothing would differ
        evidence: dict[str, object] = {
            "certificate": describe(top),
            "expected": f"issuer {display_name(issuer.issuer)}, serial {issuer.serial_number:x}",
            "presented": f"issuer {display_name(named[0])}, serial {named[1]:x}",
        }
        what = "another serial number or issuer"
    else:
        evidence, what = _keys(top, issuer), "another key"
    return found(
        "key_identifier_mismatch",
        "error",
        case.holder,
        f"the authority key identifier of {describe(top)} names {what} than {describe(issuer)} has",
        f"have {describe(top)} issued anew by software that takes the identifier from the issuer's certificate",
        evidence,
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
    if holder_is_behind(case, anchor):
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


def _self_signed(case: Case) -> Finding:
    leaf = case.leaf
    evidence: dict[str, object] = {"expected": _names(case)}
    if not signed_by(leaf, leaf):
        return named_like_its_issuer(leaf, case.holder, evidence)
    return found(
        "self_signed",
        "error",
        case.holder,
        f"{describe(leaf)} is self-signed: no authority vouches for it, and {case.anchors_at} does not have it",
        f"have it issued by {_trusted(case)}",
        evidence | {"presented": f"self-signed {display_name(leaf.subject)}"},
    )


def named_like_its_issuer(leaf: x509.Certificate, holder: Blame, evidence: dict[str, object]) -> Finding:
    """Signed by an authority that has the leaf's own name: OpenSSL takes it for self-signed, unless identifiers say else."""
    name = display_name(leaf.subject)
    return found(
        "self_signed",
        "error",
        holder,
        f"the certificate of {describe(leaf)} and its authority have one and the same name, {name}: OpenSSL takes it for "
        "self-signed and looks no further",
        f"give the authority a name of its own (not {name}), and have it issue {describe(leaf)} anew",
        evidence | {"presented": f"subject and issuer {name}"},
        also=("unknown_authority",),
    )


def _gap(case: Case) -> Finding:
    """Something is missing between the top of the chain and the anchors: a link, or the anchor itself."""
    missing = _missing(case)
    return missing if missing is not None else _unknown(case)


def _missing(case: Case) -> Finding | None:
    """A link that is missing for certain, because it lies elsewhere, or in all likelihood."""
    top = case.path.top
    where = next(
        (place for place, c in _elsewhere(case) if signed_by(top, c) and not is_self_issued(c)), None
    )
    if where is not None:
        return _not_sent(case, top.issuer, where)
    if any(signed_by(top, c) for _, c in _elsewhere(case)) or not looks_like_a_gap(case):
        return None  # a root signed it: there is nothing between
    return _not_sent(case, top.issuer, None)


def _elsewhere(case: Case) -> Iterator[tuple[str, x509.Certificate]]:
    """Certificates that are not in the chain, and where they are."""
    yield from ((_OWN_TRUST, c) for c in case.holder_anchors)
    yield from case.nearby
    yield from ((f"the chain of the {case.judge}", c) for c in case.judge_chain)


def _not_sent(case: Case, issuer: x509.Name, where: str | None) -> Finding:
    name, source = display_name(issuer), f": it lies in {where}" if where else ""
    below = next(c for c in case.path.certificates if c.issuer == issuer)
    return found(
        "missing_intermediate",
        # OpenSSL completes what it sends from its own trust; Go, Java and twoway send what they were given.
        "warning" if where == _OWN_TRUST else "error",
        case.holder,
        f"the chain of the {case.holder} stops at {describe(below)}: the certificate of {name}, which issued it, "
        f"is not sent{source}",
        f"append the certificate of {name} to {case.chain_at}, behind its own",
        {
            "expected": _names(case),
            "presented": [describe(c) for c in case.chain],
            "missing": name,
            "found_in": where,
        },
        also=() if where else ("unknown_authority",),
    )


def _unknown(case: Case) -> Finding:
    top = case.path.top
    issuer = display_name(top.issuer)
    evidence: dict[str, object] = {
        "expected": _names(case),
        "presented": issuer,
        "chain": [describe(c) for c in case.chain],
        "trust": case.anchors_at,
    }
    if at_home(case):
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
    foreign = anchors_at_home(case)
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


def _unjudged(case: Case) -> Iterator[Finding]:
    """Without the judge's trust: what the holder's own files hint at."""
    if among(case.path.certificates, case.accepted):
        return  # the server says itself that it trusts an authority of this chain
    missing = _missing(case) if case.path.end == "gap" else None
    if missing is not None:
        # Only the names that the server accepts make a hint an error.
        yield missing if case.accepted else replace(missing, severity="warning")
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
