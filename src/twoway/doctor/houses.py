"""Whose authority is at home: hints on which of two sides has the odd file, where a chain does not lead to trust.

Nothing here is proof, and nothing here lets anybody in: it orders causes and chooses whom to tell.
"""

from __future__ import annotations

import re

from cryptography import x509

from twoway.credential import common_name, is_ca, is_self_issued
from twoway.doctor.case import Case
from twoway.doctor.names import decodable
from twoway.doctor.paths import authority_key_of, same_authority, signed_by

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
_BELOW = frozenset(("issuing", "intermediate", "sub", "subordinate", "signing"))
_FOREIGN = frozenset(
    ("root", "other", "another", "wrong", "foreign", "rogue", "unrelated", "untrusted", "fake")
)


def holder_is_behind(case: Case, anchor: x509.Certificate) -> bool:
    """Whether the judge's authority is the one in use: then the old thing is what the holder presents."""
    if any(signed_by(case.path.top, own) for own in case.holder_anchors):
        return False
    in_use = any(signed_by(c, anchor) for c in case.judge_chain)
    in_use = in_use or any(same_authority(anchor, own) for own in case.holder_anchors)
    return in_use or anchor.not_valid_before_utc > case.path.top.not_valid_before_utc


def at_home(case: Case) -> bool:
    """Whether something else that the two sides have is of the authority that issued this chain."""
    top = case.path.top
    authority = top if is_self_issued(top) else None
    if any(signed_by(top, own) or own == authority for own in case.holder_anchors):
        return True
    if any(_siblings(top, own) or own == authority for own in case.judge_chain):
        return True
    return _each_named_for_its_own(case)


def anchors_at_home(case: Case) -> bool:
    anchors = case.anchors or ()
    if any(same_authority(anchor, own) for anchor in anchors for own in case.holder_anchors):
        return True
    if any(signed_by(c, anchor) for anchor in anchors for c in case.judge_chain):
        return True
    return any(_named_for(anchor.subject, case.holder) for anchor in anchors)


def _each_named_for_its_own(case: Case) -> bool:
    """Whether the issuer is called an authority for this side and an anchor one for the other: the slots differ."""
    trusted = _trusted_names(case) if case.anchors is not None or case.accepted else ()
    return _named_for(case.path.top.issuer, case.holder) and any(
        _named_for(name, case.judge) for name in trusted
    )


def _siblings(one: x509.Certificate, two: x509.Certificate) -> bool:
    """Whether two certificates have one issuer, as far as names and key identifiers tell."""
    if one.issuer != two.issuer:
        return False
    keys = authority_key_of(one), authority_key_of(two)
    return None in keys or keys[0] == keys[1]


def _named_for(name: x509.Name, side: str) -> bool:
    return bool({side, f"{side}s"} & set(re.split(r"[^a-z]+", (common_name(name) or "").lower())))


def looks_like_a_gap(case: Case) -> bool:
    """Whether the issuer that is not there is likely one below an anchor, and no foreign root.

    The certificate itself can prove it, where it names its issuer's issuer; the names of authorities only hint.
    """
    top = case.path.top
    if _issuers_issuer(top) is not None or _strays(case):
        return True
    if _each_named_for_its_own(case):
        return False
    words = _words(top.issuer)
    if words & _FOREIGN:
        return False
    if words & _BELOW and (case.anchors is not None or case.accepted):
        return True
    trusted = [_words(name) for name in _trusted_names(case)]
    if words in trusted:
        return False  # "Acme CA 1" and "Acme CA 2" stand side by side
    own = words - _COMMON
    kin = any(own & (other - _COMMON) for other in trusted)
    # Where nothing tells whom the judge trusts, the other authorities in sight may well be somebody else's.
    return kin and (case.anchors is not None or bool(case.accepted) or bool(words & _BELOW))


def _strays(case: Case) -> bool:
    """Whether an intermediate is sent that leads nowhere: one was meant to be there, and it is the wrong one."""
    return any(is_ca(c) and not is_self_issued(c) and c not in case.path.certificates for c in case.chain[1:])


def _trusted_names(case: Case) -> tuple[x509.Name, ...]:
    if case.anchors is not None:
        return tuple(anchor.subject for anchor in case.anchors)
    return (*decodable(case.accepted), *(anchor.subject for anchor in case.holder_anchors))


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
