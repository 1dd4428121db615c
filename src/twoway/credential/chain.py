"""Certificate chains as they are presented: leaf first, each followed by its issuer, no root."""

from __future__ import annotations

import itertools

from cryptography import x509

from twoway.credential.certificates import describe
from twoway.credential.faults import ChainDisordered


def is_self_issued(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it names itself as its issuer, and its own key as the one that signed it.

    A root's new key that its old key certifies (RFC 4210 §4.4, NewWithOld) names itself too, and is no root.
    """
    if not is_self_issued(certificate):
        return False
    try:
        extensions = certificate.extensions
        issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return True
    return issuer is None or issuer == own


def without_root(chain: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """A chain as it travels: a root at its end, which only the other side's trust makes one, is left out."""
    return chain[:-1] if len(chain) > 1 and is_root(chain[-1]) else chain


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether basicConstraints say CA (RFC 5280 §4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def presented(
    certificates: tuple[x509.Certificate, ...], *, where: str = "memory"
) -> tuple[x509.Certificate, ...]:
    """The chain as it is sent: a root at its end is left out. Raises ChainDisordered with the right order."""
    expected = _ordered(certificates)
    if expected is not None and expected != certificates:
        raise ChainDisordered(
            where, tuple(describe(c) for c in certificates), tuple(describe(c) for c in expected)
        )
    for issued, issuer in itertools.pairwise(certificates):
        if issued.issuer != issuer.subject:
            # Nothing puts these into a chain: say what a chain of them would begin with.
            leaf = [c for c in certificates if not is_ca(c)] or [certificates[0]]
            raise ChainDisordered(
                where, tuple(describe(c) for c in certificates), (describe(leaf[0]), "its issuer")
            )
    return without_root(certificates)


def _ordered(certificates: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...] | None:
    """The one order in which each certificate is followed by its issuer; None when there is no such order."""
    by_subject = {certificate.subject: certificate for certificate in certificates}
    if len(by_subject) != len(certificates):
        return None
    issuers = {c.issuer for c in certificates if not is_self_issued(c)}
    starts = [c for c in certificates if c.subject not in issuers]
    if len(starts) != 1:
        return None
    order = [starts[0]]
    while len(order) < len(certificates):
        following = by_subject.get(order[-1].issuer)
        if following is None or following in order:
            return None
        order.append(following)
    return tuple(order)
