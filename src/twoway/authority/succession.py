"""A new root or issuing CA in the place of an old one, and each root's key certified by the other."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from cryptography import x509

from twoway.authority.cas import Ca
from twoway.authority.certificates import BACKDATE, ca
from twoway.authority.constraints import Constraints
from twoway.authority.issuance import after_days
from twoway.authority.signing import Signer, signature_hash
from twoway.credential import generate_key, key_type_of


class Lives(NamedTuple):
    """How long new CAs live, in days, and of what kind their keys are; None for that of the old one."""

    root_days: float = 3650
    issuing_days: float = 1825
    key_type: str | None = None


def new_root(old: Ca, lives: Lives, now: datetime.datetime) -> Signer:
    """A root with a new key. It keeps the name: so the old key can certify it without a longer path.

    RFC 5280 §4.2.1.9: a certificate that names itself as its issuer does not count against a path length.
    """
    key = generate_key(lives.key_type or key_type_of(old.certificate.public_key()))
    builder = ca(
        old.certificate.subject,
        key.public_key(),
        issuer=None,
        path_length=1,
        not_before=_begin(now),
        not_after=after_days(lives.root_days, now),
        constraints=old.limits,
    )
    return Signer(builder.sign(key, signature_hash(key)), key)


def new_issuing(old: Ca, root: Signer, lives: Lives, now: datetime.datetime) -> Signer:
    """An issuing CA with a new key and the name and limits of the old one, under that root."""
    key = generate_key(lives.key_type or key_type_of(old.certificate.public_key()))
    end = min(after_days(lives.issuing_days, now), root.certificate.not_valid_after_utc)
    begin = max(_begin(now), root.certificate.not_valid_before_utc)
    builder = ca(
        old.certificate.subject,
        key.public_key(),
        issuer=root,
        path_length=0,
        not_before=begin,
        not_after=end,
        constraints=old.limits,
    )
    return Signer(root.issue(builder), key)


def crossed(what: Signer, by: Signer, limits: Constraints) -> x509.Certificate:
    """The key of one root, certified by the other for as long as both live (RFC 4210 §4.4)."""
    ours, theirs = what.certificate, by.certificate
    builder = ca(
        ours.subject,
        ours.public_key(),  # type: ignore[arg-type]
        issuer=by,
        path_length=1,
        not_before=max(ours.not_valid_before_utc, theirs.not_valid_before_utc),
        not_after=min(ours.not_valid_after_utc, theirs.not_valid_after_utc),
        constraints=limits,
    )
    return by.issue(builder)


def _begin(now: datetime.datetime) -> datetime.datetime:
    return now.replace(microsecond=0) - BACKDATE
