"""Revocation lists, judged by our own code: each is parsed and verified once, a certificate costs one lookup.

OpenSSL would verify the signature over a whole list in every handshake, and its alert for a missing list
is unknown_ca. RFC 5280 §6.3.3 for complete lists of the certificate's own issuer; delta lists, indirect
lists and lists split by reason are not used, and refused by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from twoway.credential import describe, display_name, is_ca
from twoway.trust.crl_entries import Entries, Unusable
from twoway.trust.revocation_faults import (
    CertificateRevoked,
    CrlMissing,
    CrlStale,
    CrlUnusable,
    RevocationUnknown,
)

CrlRule = Literal["refuse", "warn"]
CrlScope = Literal["chain", "leaf"]

_UNDERSTOOD = {
    ExtensionOID.CRL_NUMBER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    ExtensionOID.FRESHEST_CRL,
}
_MAX_VERIFIED = 1024


class RevocationList:
    """One list: whom it is of, how long it holds, and the serial numbers on it."""

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self.crl = crl
        self.issuer = crl.issuer
        self.this_update = crl.last_update_utc
        self.next_update = crl.next_update_utc
        self.problem = _problem(crl)
        self.for_cas, self.for_leaves = _scope(crl)
        self.entries = Entries.none()
        if self.problem is None:
            try:
                self.entries = Entries(crl.tbs_certlist_bytes)
            except Unusable as error:
                self.problem = str(error)
        self._shard = _shard(crl)
        self._verified: dict[x509.Certificate, bool] = {}

    def is_of(self, issuer: x509.Certificate) -> bool:
        """Whether this issuer's key signed the list; the answer is kept."""
        found = self._verified.get(issuer)
        if found is None:
            found = self._signed_by(issuer)
            if len(self._verified) < _MAX_VERIFIED:
                self._verified[issuer] = found
        return found

    def _signed_by(self, issuer: x509.Certificate) -> bool:
        if not _may_sign_lists(issuer):
            return False
        try:
            return self.crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
            return False

    def covers(self, certificate: x509.Certificate) -> bool:
        """Whether the list speaks about this certificate (RFC 5280 §6.3.3 (b) (2))."""
        if self._shard and not self._shard & _points_of(certificate):
            return False
        if self.for_cas and self.for_leaves:
            return True
        return self.for_cas if is_ca(certificate) else self.for_leaves

    def fault_at(self, now: datetime) -> RevocationUnknown | None:
        """What the list's dates have against it."""
        name = display_name(self.issuer)
        if self.next_update is None:
            return CrlUnusable(name, "it does not say until when it holds (nextUpdate)")
        if now > self.next_update:
            return CrlStale(name, self.next_update, now)
        if now < self.this_update:
            return CrlUnusable(name, f"it holds only from {self.this_update:%Y-%m-%d %H:%M:%S} UTC")
        return None


class Revocation:
    """All lists of one trust, by issuer; immutable, shared by all threads."""

    def __init__(
        self, crls: Sequence[x509.CertificateRevocationList], rule: CrlRule, scope: CrlScope
    ) -> None:
        self.rule, self.scope = rule, scope
        self._by_issuer: dict[x509.Name, list[RevocationList]] = {}
        for crl in crls:
            self._by_issuer.setdefault(crl.issuer, []).append(RevocationList(crl))
        for lists in self._by_issuer.values():
            lists.sort(key=lambda one: one.this_update, reverse=True)  # the freshest first

    @property
    def lists(self) -> tuple[RevocationList, ...]:
        return tuple(one for lists in self._by_issuer.values() for one in lists)

    def check(self, chain: Sequence[x509.Certificate], now: datetime) -> tuple[RevocationUnknown, ...]:
        """Judge a verified chain (leaf to anchor): the doubts that the rule lets pass, usually none.

        Raises CertificateRevoked, and under the rule "refuse" CrlMissing, CrlStale or CrlUnusable. The
        anchor itself is not checked: trusting it is a decision of whoever configured it.
        """
        doubts: list[RevocationUnknown] = []
        pairs = list(itertools.pairwise(chain))
        for certificate, issuer in pairs[:1] if self.scope == "leaf" else pairs:
            doubt = self._check_one(certificate, issuer, now)
            if doubt is None:
                continue
            if self.rule == "refuse":
                raise doubt
            doubts.append(doubt)
        return tuple(doubts)

    def about(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> RevocationUnknown | None:
        """What is to be doubted about one certificate of a verified chain; raises CertificateRevoked."""
        return self._check_one(certificate, issuer, now)

    def _check_one(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> RevocationUnknown | None:
        lists = self._lists_for(certificate, issuer)
        serial = certificate.serial_number
        doubt: RevocationUnknown | None = None
        current = False
        for one in lists:
            # An entry counts on a stale list too: what was revoked stays revoked.
            if serial in one.entries:
                raise _revoked(one, certificate)
            fault = one.fault_at(now)
            current = current or fault is None
            doubt = doubt or fault
        if current:
            return None
        return doubt or self._no_list(certificate, issuer)

    def _lists_for(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[RevocationList, ...]:
        """The lists that speak about this certificate, verified with its issuer's key."""
        return tuple(
            one
            for one in self._by_issuer.get(issuer.subject, ())
            if one.problem is None and one.covers(certificate) and one.is_of(issuer)
        )

    def _no_list(self, certificate: x509.Certificate, issuer: x509.Certificate) -> RevocationUnknown:
        name = display_name(issuer.subject)
        for one in self._by_issuer.get(issuer.subject, ()):
            if one.problem is not None:
                return CrlUnusable(name, one.problem)
            if not one.is_of(issuer):
                return CrlUnusable(
                    name, "another key signed it (an authority of the same name, or one re-keyed)"
                )
        return CrlMissing(describe(certificate), name)


def _revoked(one: RevocationList, certificate: x509.Certificate) -> CertificateRevoked:
    serial = certificate.serial_number
    return CertificateRevoked(
        describe(certificate), f"{serial:x}", one.entries.since(serial), one.entries.reason(serial)
    )


def _problem(crl: x509.CertificateRevocationList) -> str | None:
    """Why a list can never be used; None for one that can."""
    for extension in crl.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            return "it is a delta list, which says only what changed"
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return f"it has a critical extension that is not understood ({extension.oid.dotted_string})"
    point = _distribution_point(crl)
    if point is not None:
        if point.indirect_crl:
            return "it is an indirect list, which speaks for other authorities"
        if point.relative_name:
            return "its distribution point is named relatively to its issuer, which is not understood"
        if point.only_some_reasons:
            return "it is split by reason"
        if point.only_contains_attribute_certs:
            return "it is about attribute certificates"
    return None


def _scope(crl: x509.CertificateRevocationList) -> tuple[bool, bool]:
    """Whether the list speaks about CA certificates, and about leaves."""
    point = _distribution_point(crl)
    if point is None:
        return True, True
    return not point.only_contains_user_certs, not point.only_contains_ca_certs


def _distribution_point(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None


def _shard(crl: x509.CertificateRevocationList) -> frozenset[x509.GeneralName]:
    """The names of the distribution point whose certificates alone the list speaks about; empty for all."""
    point = _distribution_point(crl)
    return frozenset(point.full_name or ()) if point is not None else frozenset()


def _points_of(certificate: x509.Certificate) -> frozenset[x509.GeneralName]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name for point in points for name in point.full_name or ())


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True  # RFC 5280 §4.2.1.3: without the extension every use is allowed
