"""The trust slot by itself: empty, filled with leaves, with an own certificate, with what has expired."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from twoway.credential import describe, is_ca, is_self_issued
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding, Severity
from twoway.doctor.material import Material, other


def trust_slot(material: Material) -> Iterator[Finding]:
    """What can be said of a trust file without any certificate to judge by it."""
    anchors, side, where = material.anchors, material.side, material.places.anchors
    if anchors is None:
        return
    if not anchors:
        if not material.faults:
            yield no_anchors(material, "error")
        return
    authorities = [anchor for anchor in anchors if is_ca(anchor)]
    for anchor in anchors:
        if not is_ca(anchor):
            yield _leaf(material, anchor, bool(authorities))
    if authorities and not any(is_self_issued(anchor) for anchor in anchors):
        names = ", ".join(describe(anchor) for anchor in authorities)
        yield found(
            "intermediate_as_anchor",
            "warning",
            side,
            f"{where} has {names} and no root: nginx, Node and Python before 3.13 then refuse everybody",
            f"add the root above {describe(authorities[0])} to {where}",
            {"expected": "a self-signed root", "presented": [describe(anchor) for anchor in authorities]},
        )


def expired_anchors(material: Material) -> Iterator[Finding]:
    """Anchors out of time, where no path shows whether it matters: an error only if nothing else is left."""
    now, anchors = material.clock, material.anchors or ()
    late = [anchor for anchor in anchors if now > anchor.not_valid_after_utc]
    for anchor in late:
        yield found(
            "anchor_expired",
            "error" if len(late) == len(anchors) else "info",
            material.side,
            f"the trusted authority {describe(anchor)} expired at {anchor.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC",
            f"put its renewed certificate into {material.places.anchors}",
            {"certificate": describe(anchor), "presented": f"{now:%Y-%m-%d %H:%M:%S} UTC"},
        )


def no_anchors(material: Material, severity: Severity) -> Finding:
    """The trust is not there."""
    return found(
        "no_anchors",
        severity,
        material.side,
        f"the {material.side} has no authority by which to judge the {other(material.side)}",
        "pass the bundle of the other side's authority: ca.pem in the identity directory, --ca, or --server-trust",
        {"expected": "at least one authority", "presented": "none"},
    )


def _leaf(material: Material, anchor: x509.Certificate, others: bool) -> Finding:
    side, where, name = material.side, material.places.anchors, describe(anchor)
    own = anchor in material.chain[:1]
    # OpenSSL takes a self-signed certificate as its own anchor; a leaf that somebody issued it does not.
    tolerated = others or (is_self_issued(anchor) and not own)
    evidence: dict[str, object] = {
        "expected": "certificates of authorities",
        "presented": name,
        "file": where,
    }
    if own:
        return found(
            "own_leaf_in_trust",
            "warning" if tolerated else "error",
            side,
            f"{where} has the {side}'s own certificate {name}, where the {other(side)}'s authority belongs",
            f"put the certificate of the authority that issued the {other(side)}'s into {where}",
            evidence,
            also=("wrong_authority_in_trust",),
        )
    return found(
        "anchor_not_authority",
        "warning" if tolerated else "error",
        side,
        f"{where} has the certificate of {name}, which is no authority (no CA:TRUE)",
        f"put the certificate of the authority that issued {name} into {where}, not {name} itself",
        evidence,
    )
