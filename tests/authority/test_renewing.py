"""Renewal: the same names and profile, on the ground of a certificate that is recognised byte for byte."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority.conftest import DAY, NOW, MakeAuthority, extension
from twoway.authority import Authority
from twoway.authority.refusals import (
    NameRefused,
    NoSuchCertificate,
    NotIssuedHere,
    RenewalRefused,
    SelectorAmbiguous,
)
from twoway.credential import generate_key
from twoway.errors import UsageError

STORES = ("sqlite", "postgresql")

LATER = NOW + 60 * DAY


def test_a_renewal_has_the_old_names_and_lifetime_and_a_new_key(authority: Authority) -> None:
    old = authority.issue_peer(
        "orders.acme.example",
        ip=["192.0.2.1"],
        uri=["spiffe://acme.example/orders"],
        key_type="p384",
        days=30,
        now=NOW,
    )
    new = authority.renew(old, now=NOW + 20 * DAY)
    assert new.names == old.names
    assert new.leaf.subject == old.leaf.subject
    assert (new.key_type, new.not_after) == ("p384", NOW + 50 * DAY)
    assert new.leaf.public_key() != old.leaf.public_key()
    assert extension(new.leaf, x509.ExtendedKeyUsage) == extension(old.leaf, x509.ExtendedKeyUsage)
    assert authority.show(new).renews == format(old.leaf.serial_number, "x")


def test_renewing_again_and_again_does_not_stretch_the_lifetime(authority: Authority) -> None:
    identity = authority.issue_client("orders", now=NOW)
    for _ in range(3):
        identity = authority.renew(identity, now=NOW)
    assert identity.not_after == NOW + 90 * DAY


def test_a_renewal_may_keep_the_key(authority: Authority) -> None:
    old = authority.issue_client("orders", now=NOW)
    new = authority.renew(old, new_key=False, now=LATER)
    assert new.leaf.public_key() == old.leaf.public_key()
    assert new.leaf.serial_number != old.leaf.serial_number


def test_keeping_the_key_needs_the_key(authority: Authority) -> None:
    serial = format(authority.issue_client("orders", now=NOW).leaf.serial_number, "x")
    with pytest.raises(UsageError, match="needs that key"):
        authority.renew(serial, new_key=False, now=NOW)
    leaf, _ = authority.renew_certificate(serial, now=NOW)
    assert leaf.public_key() == authority.show(serial).certificate.public_key()


def test_a_certificate_can_be_renewed_for_another_public_key(authority: Authority) -> None:
    old = authority.issue_client("orders", now=NOW)
    key = generate_key("ed25519")
    leaf, _ = authority.renew_certificate(old.leaf, public_key=key.public_key(), now=NOW)
    assert leaf.public_key() == key.public_key()


def test_the_old_certificate_stays_valid(authority: Authority) -> None:
    old = authority.issue_client("orders", now=NOW)
    authority.renew(old, now=NOW)
    assert authority.show(old, now=NOW).state == "valid"
    with pytest.raises(SelectorAmbiguous) as ambiguous:
        authority.revoke("orders", now=NOW)
    assert len(ambiguous.value.serials) == 2


def test_another_authoritys_certificate_of_the_same_name_is_not_recognised(
    make_authority: MakeAuthority,
) -> None:
    """Not the serial and not the subject, but every byte decides."""
    ours, theirs = make_authority("ours"), make_authority("theirs")
    stranger = theirs.issue_client("orders", now=NOW)
    ours.issue_client("orders", now=NOW)
    with pytest.raises(NotIssuedHere) as refused:
        ours.renew(stranger, now=NOW)
    assert refused.value.args == ("orders", stranger.fingerprint)


def test_a_forgery_with_a_known_serial_and_subject_is_not_recognised(authority: Authority) -> None:
    real = authority.issue_client("orders", now=NOW).leaf
    key = generate_key()
    forged = (
        x509.CertificateBuilder(real.issuer, real.subject, key.public_key(), real.serial_number)
        .not_valid_before(NOW.replace(tzinfo=None))
        .not_valid_after(LATER.replace(tzinfo=None))
        .sign(key, real.signature_hash_algorithm)  # type: ignore[arg-type]
    )
    for act in (authority.renew, authority.revoke):
        with pytest.raises(NotIssuedHere):
            act(forged, now=NOW)


def test_a_certificate_with_one_changed_bit_in_its_signature_is_not_recognised(authority: Authority) -> None:
    real = bytearray(authority.issue_client("orders", now=NOW).leaf.public_bytes(Encoding.DER))
    real[-1] ^= 1
    with pytest.raises(NotIssuedHere):
        authority.renew_certificate(x509.load_der_x509_certificate(bytes(real)), now=NOW)


def test_a_revoked_certificate_is_never_renewed(authority: Authority) -> None:
    old = authority.issue_client("orders", now=NOW)
    authority.revoke(old, "keyCompromise", now=NOW)
    with pytest.raises(RenewalRefused, match="is revoked"):
        authority.renew(old, allow_expired=True, now=NOW)


def test_a_certificate_on_hold_is_not_renewed(authority: Authority) -> None:
    old = authority.issue_client("orders", now=NOW)
    authority.revoke(old, "certificateHold", now=NOW)
    with pytest.raises(RenewalRefused, match="is on hold"):
        authority.renew(old, now=NOW)


def test_after_expiry_renewal_has_to_be_allowed(authority: Authority) -> None:
    old = authority.issue_client("orders", days=1, now=NOW)
    with pytest.raises(RenewalRefused, match="has expired"):
        authority.renew(old, now=LATER)
    assert authority.renew(old, allow_expired=True, now=LATER).not_after == LATER + DAY


def test_a_renewal_is_judged_by_the_profile_of_today(authority: Authority) -> None:
    old = authority.issue_client("orders.old.example", now=NOW)
    (authority.directory / "profiles" / "client.toml").write_text(
        'purpose = ["client"]\ndays = 3\nmax_days = 5\n[names]\ndns = ["*.new.example"]\n'
    )
    with Authority.open(authority.directory) as reopened:
        with pytest.raises(NameRefused):
            reopened.renew(old, now=NOW)
        new = reopened.issue_client("orders.new.example", now=NOW)
        assert reopened.renew(new, now=NOW).not_after == NOW + 3 * DAY


def test_a_shortened_profile_shortens_renewals(authority: Authority) -> None:
    old = authority.issue_client("orders.example", days=80, now=NOW)
    (authority.directory / "profiles" / "client.toml").write_text(
        'purpose = ["client"]\ndays = 3\nmax_days = 5\n'
    )
    with Authority.open(authority.directory) as reopened:
        assert reopened.renew(old, now=NOW).not_after == NOW + 5 * DAY


def test_a_renewal_never_outlives_the_issuer(make_authority: MakeAuthority) -> None:
    authority = make_authority(issuing_days=100)
    old = authority.issue_client("orders", now=NOW)
    new = authority.renew(old, now=LATER)
    assert new.not_after == authority.issuing_certificate.not_valid_after_utc < LATER + 90 * DAY


def test_what_was_never_issued_cannot_be_renewed(authority: Authority) -> None:
    with pytest.raises(NoSuchCertificate):
        authority.renew("orders", now=datetime.datetime.now(datetime.UTC))
