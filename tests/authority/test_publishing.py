"""CRLs: numbered upwards, made ahead of time, never stale, and as quick for many as for few."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority.conftest import DAY, NOW, MakeAuthority, extension
from twoway.authority import Authority, crl, der
from twoway.authority.crl import Entry
from twoway.authority.faults import CrlStuck, RootKeyOffline
from twoway.credential import KEY_TYPES

STORES = ("sqlite", "postgresql")


def load(authority: Authority, now: datetime.datetime = NOW) -> list[x509.CertificateRevocationList]:
    return [x509.load_der_x509_crl(each) for each in authority.crls(now=now)]


def number(revocations: x509.CertificateRevocationList) -> int:
    return revocations.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_the_bundle_is_the_issuing_cas_crl_and_the_roots(authority: Authority) -> None:
    issuing, root = load(authority)
    assert issuing.issuer == authority.issuing_certificate.subject
    assert root.issuer == authority.root_certificate.subject
    assert authority.crl_pem(now=NOW).count(b"-----BEGIN X509 CRL-----") == 2


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_crl_of_every_ca_key_is_signed_by_that_ca(make_authority: MakeAuthority, key_type: str) -> None:
    """RFC 5280 §5: version 2, with CRL number and authority key identifier, none critical."""
    authority = make_authority(key_type=key_type)
    authority.issue_client("orders", now=NOW)
    authority.revoke("orders", "keyCompromise", now=NOW)
    for revocations, ca in zip(
        load(authority), (authority.issuing_certificate, authority.root_certificate), strict=True
    ):
        assert revocations.is_signature_valid(ca.public_key())
        own = extension(ca, x509.SubjectKeyIdentifier).value.digest
        identifier = revocations.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        assert identifier.value.key_identifier == own
        assert not any(each.critical for each in revocations.extensions)


def test_the_pem_is_the_same_crl(authority: Authority) -> None:
    first = authority.crl_pem(now=NOW).split(b"-----END X509 CRL-----\n")[0] + b"-----END X509 CRL-----\n"
    assert x509.load_pem_x509_crl(first).public_bytes(Encoding.PEM) == first


def test_a_fresh_crl_is_handed_out_again(authority: Authority) -> None:
    assert load(authority)[0] == load(authority, NOW + 3 * DAY)[0]


def test_a_crl_is_made_anew_at_half_its_life(authority: Authority) -> None:
    first = load(authority)[0]
    second = load(authority, NOW + 4 * DAY)[0]
    assert number(second) == number(first) + 1
    assert second.next_update_utc == NOW + 11 * DAY


def test_a_revocation_makes_a_new_crl_at_once(authority: Authority) -> None:
    before = number(load(authority)[0])
    leaf = authority.issue_client("orders", now=NOW).leaf
    authority.revoke("orders", now=NOW)
    after = load(authority)[0]
    assert number(after) == before + 1
    assert after.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None


def test_numbers_only_rise_also_across_processes(authority: Authority) -> None:
    """RFC 5280 §5.2.3; here by a second Authority on the same store."""
    numbers = []
    with Authority.open(authority.directory) as other:
        for turn in range(4):
            one = authority if turn % 2 else other
            name = one.issue_client(f"client-{turn}", now=NOW).leaf
            one.revoke(name, now=NOW)
            numbers.append(number(load(one)[0]))
        assert load(authority) == load(other)
    assert numbers == sorted(set(numbers))


def test_an_entry_goes_after_one_crl_has_shown_it_past_its_end(authority: Authority) -> None:
    """RFC 5280 §3.3."""
    leaf = authority.issue_client("orders", days=5, now=NOW).leaf
    authority.revoke("orders", now=NOW)
    serial = leaf.serial_number
    seen = []
    for days in (0, 4, 8, 12):
        seen.append(
            load(authority, NOW + days * DAY)[0].get_revoked_certificate_by_serial_number(serial) is not None
        )
    assert seen == [True, True, True, False]


def test_a_crl_never_promises_more_than_its_ca_has(make_authority: MakeAuthority) -> None:
    authority = make_authority(issuing_days=3)
    assert load(authority)[0].next_update_utc == authority.issuing_certificate.not_valid_after_utc


def test_the_roots_crl_goes_on_without_its_key_until_it_would_be_stale(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    (authority.directory / "root-key.pem").unlink()
    early, late = NOW + 30 * DAY, NOW + 300 * DAY
    with Authority.open(authority.directory) as offline:
        assert number(load(offline, early)[1]) == 1
        assert not caplog.text
        assert number(load(offline, late)[1]) == 1
        assert "ends in 66 days" in caplog.text
        with pytest.raises(CrlStuck) as stuck:
            load(offline, NOW + 366 * DAY)
    assert stuck.value.next_update == NOW + 366 * DAY
    assert isinstance(stuck.value.__cause__, RootKeyOffline)


def test_without_its_key_the_issuing_ca_hands_out_no_incomplete_crl(authority: Authority) -> None:
    """A revocation that the stored CRL does not have makes it stale."""
    authority.issue_client("orders", now=NOW)
    with Authority.open(authority.directory) as other:
        authority.revoke("orders", now=NOW)
        (authority.directory / "issuing-key.pem").unlink()
        with pytest.raises(CrlStuck):
            other.crl_pem(now=NOW)


def test_trust_has_the_root_and_the_current_crls(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    authority.revoke("orders", now=NOW)
    trust = authority.trust(now=NOW)
    assert trust.anchors == (authority.root_certificate,)
    assert [len(each) for each in trust.crls] == [1, 0]
    assert x509.load_pem_x509_certificate(authority.trust_bundle_pem()) == authority.root_certificate


def test_a_hundred_thousand_entries_are_read_back_as_they_were_written(authority: Authority) -> None:
    """Linear: what took the usual builder minutes takes a moment. The bench measures."""
    ca = authority.cas.signer(authority.cas.issuing)
    reasons = [reason for reason in crl.REASONS if reason not in ("removeFromCRL", "unspecified")]
    rows = [
        Entry((1 << 150) + n * 7, int(NOW.timestamp()) + n, reasons[n % len(reasons)]) for n in range(100_000)
    ]
    encoded = crl.build(ca, number=7, this_update=NOW, next_update=NOW + DAY, entries=rows)
    loaded = x509.load_der_x509_crl(encoded)
    assert loaded.is_signature_valid(authority.issuing_certificate.public_key())
    assert len(loaded) == 100_000
    for index in (0, 1, 99_999):
        entry = loaded[index]
        assert entry.serial_number == rows[index].serial
        assert entry.revocation_date_utc == NOW + datetime.timedelta(seconds=index)
        assert entry.extensions[0].value.reason.value == rows[index].reason


def test_what_the_usual_builder_makes_is_what_we_make(authority: Authority) -> None:
    """The same CRL by `cryptography`'s builder has the same to-be-signed bytes."""
    ca = authority.cas.signer(authority.cas.issuing)
    rows = [
        Entry(5, int(NOW.timestamp()), "keyCompromise"),
        Entry(1 << 158, int(NOW.timestamp()), "unspecified"),
    ]
    ours = x509.load_der_x509_crl(
        crl.build(ca, number=300, this_update=NOW, next_update=NOW + DAY, entries=rows)
    )
    builder = (
        x509.CertificateRevocationListBuilder(authority.issuing_certificate.subject)
        .last_update(NOW)
        .next_update(NOW + DAY)
        .add_extension(ca.key_identifier_extension, critical=False)
        .add_extension(x509.CRLNumber(300), critical=False)
    )
    for row in rows:
        entry = x509.RevokedCertificateBuilder().serial_number(row.serial).revocation_date(NOW)
        if row.reason != "unspecified":
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(row.reason)), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    assert builder.sign(ca.key, ca.hash).tbs_certlist_bytes == ours.tbs_certlist_bytes


def test_an_empty_crl_has_no_list_of_entries(authority: Authority) -> None:
    """RFC 5280 §5.1.2.6: the list MUST be absent."""
    ca = authority.cas.signer(authority.cas.issuing)
    encoded = crl.build(ca, number=1, this_update=NOW, next_update=NOW + DAY, entries=[])
    assert der.time(NOW + DAY) + b"\xa0" in encoded
