"""The root's key: offline and back, and what it alone can do."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from tests.authority.conftest import DAY, NOW, MakeAuthority, extension
from twoway.authority import Authority, Constraints
from twoway.authority.faults import (
    CaKeyMismatch,
    IssuerUnfit,
    RootKeyOffline,
    WrongCaPassphrase,
)
from twoway.authority.refusals import AlreadyRevoked, NoSuchCertificate, ReasonUnknown
from twoway.credential import FileUnwritable, certificate_pem
from twoway.errors import UsageError

STORES = ("sqlite", "postgresql")


def offline(authority: Authority, out: Path) -> Path:
    authority.root_key.export(out, now=NOW)
    authority.root_key.remove(out, now=NOW)
    return out


def test_an_exported_key_is_the_same_encrypted_file(make_authority: MakeAuthority, tmp_path: Path) -> None:
    authority = make_authority(no_passphrase=False, passphrase="opens")
    out = authority.root_key.export(tmp_path / "safe.pem", now=NOW)
    assert out.read_bytes() == (authority.directory / "root-key.pem").read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert authority.root_key.present


def test_an_export_never_writes_over_a_file(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "safe.pem").write_text("precious")
    with pytest.raises(UsageError, match="never written over"):
        authority.root_key.export(tmp_path / "safe.pem")
    with pytest.raises(FileUnwritable):
        authority.root_key.export(tmp_path / "no such directory" / "safe.pem")
    assert (tmp_path / "safe.pem").read_text() == "precious"


def test_without_the_root_key_everything_daily_goes_on(authority: Authority, tmp_path: Path) -> None:
    offline(authority, tmp_path / "safe.pem")
    with Authority.open(authority.directory) as daily:
        assert not daily.root_key.present
        identity = daily.issue_client("orders", now=NOW)
        daily.revoke(daily.renew(identity, now=NOW), now=NOW)
        assert daily.trust(now=NOW).anchors == (daily.root_certificate,)
        daily.verify_audit()


def test_what_cannot_be_done_without_it_is_said(authority: Authority, tmp_path: Path) -> None:
    offline(authority, tmp_path / "safe.pem")
    with Authority.open(authority.directory) as daily:
        for act, say in (
            (daily.root_key.renew_issuing, "renew the issuing CA"),
            (daily.root_key.revoke_issuing, "revoke the issuing CA"),
            (lambda: daily.root_key.export(tmp_path / "again.pem"), "export the root's key"),
        ):
            with pytest.raises(RootKeyOffline) as missing:
                act()
            assert missing.value.act == say
            assert "--root-key" in missing.value.remedy


def test_brought_back_it_does_it(authority: Authority, tmp_path: Path) -> None:
    safe = offline(authority, tmp_path / "safe.pem")
    with Authority.open(authority.directory, root_key=safe) as back:
        back.root_key.renew_issuing(now=NOW + DAY)
        assert len(back.crls(now=NOW + 300 * DAY)) == 2


def test_the_only_copy_is_never_removed(make_authority: MakeAuthority, tmp_path: Path) -> None:
    ours, theirs = make_authority("ours"), make_authority("theirs")
    with pytest.raises(UsageError, match="the only copy"):
        ours.root_key.remove(tmp_path / "nowhere.pem")
    with pytest.raises(UsageError, match="own copy"):
        ours.root_key.remove(ours.directory / "root-key.pem")
    with pytest.raises(CaKeyMismatch):
        ours.root_key.remove(theirs.directory / "root-key.pem")
    assert ours.root_key.present


def test_a_copy_that_cannot_be_opened_is_no_copy(make_authority: MakeAuthority, tmp_path: Path) -> None:
    authority = make_authority(no_passphrase=False, passphrase="opens")
    out = authority.root_key.export(tmp_path / "safe.pem", now=NOW)
    with Authority.open(authority.directory, passphrase="shuts") as other, pytest.raises(WrongCaPassphrase):
        other.root_key.remove(out)
    assert authority.root_key.present


def test_renewed_with_the_same_key_everything_issued_stays(make_authority: MakeAuthority) -> None:
    authority = make_authority(issuing_days=50, name_constraints=["dns:acme.example"])
    old = authority.issuing_certificate
    leaf = authority.issue_server("a.acme.example", now=NOW).leaf
    authority.root_key.renew_issuing(now=NOW + 40 * DAY)
    new = authority.issuing_certificate
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc > old.not_valid_after_utc
    assert Constraints.of(new) == Constraints.of(old)
    leaf.verify_directly_issued_by(new)
    assert (authority.directory / "issuing.pem").read_bytes() == certificate_pem(new)
    late = authority.issue_server("b.acme.example", now=NOW + 45 * DAY)
    assert late.not_after == NOW + 135 * DAY


def test_renewed_with_a_new_key_the_old_one_still_signs_its_own_crl(authority: Authority) -> None:
    """Certificates of both keys can be revoked, each in the CRL that its verifier looks for."""
    before = authority.issue_client("before", now=NOW).leaf
    old = authority.issuing_certificate
    authority.root_key.renew_issuing(new_key=True, now=NOW)
    new = authority.issuing_certificate
    after = authority.issue_client("after", now=NOW).leaf
    before.verify_directly_issued_by(old)
    after.verify_directly_issued_by(new)
    assert extension(old, x509.SubjectKeyIdentifier) != extension(new, x509.SubjectKeyIdentifier)
    authority.revoke("before", now=NOW)
    authority.revoke("after", now=NOW)
    of_new, of_old, _ = (x509.load_der_x509_crl(each) for each in authority.crls(now=NOW))
    assert of_new.is_signature_valid(new.public_key())
    assert of_old.is_signature_valid(old.public_key())
    assert [entry.serial_number for entry in of_new] == [after.serial_number]
    assert [entry.serial_number for entry in of_old] == [before.serial_number]
    authority.verify_audit()


def test_another_process_that_renewed_the_issuing_ca_is_noticed(authority: Authority) -> None:
    """Nobody issues from a CA that was replaced meanwhile."""
    with Authority.open(authority.directory) as other:
        other.issue_client("a", now=NOW)
        authority.root_key.renew_issuing(new_key=True, now=NOW)
        other.issue_client("b", now=NOW).leaf.verify_directly_issued_by(authority.issuing_certificate)


def test_a_revoked_issuing_ca_issues_nothing_more(authority: Authority) -> None:
    revoked = authority.issuing_certificate
    with Authority.open(authority.directory) as other:
        other.unlock()
        crl = x509.load_der_x509_crl(authority.root_key.revoke_issuing("cACompromise", now=NOW))
        assert [entry.serial_number for entry in crl] == [revoked.serial_number]
        assert crl.is_signature_valid(authority.root_certificate.public_key())
        for each in (authority, other):
            with pytest.raises(IssuerUnfit, match="is revoked"):
                each.issue_client("orders", now=NOW)
    with pytest.raises(AlreadyRevoked):
        authority.root_key.revoke_issuing(now=NOW)
    authority.root_key.renew_issuing(new_key=True, now=NOW)
    assert authority.issue_client("orders", now=NOW)


def test_a_key_is_revoked_with_every_certificate_that_it_had(authority: Authority) -> None:
    """Whoever stole the key could go on with the certificate of before the renewal."""
    first = authority.issuing_certificate
    authority.root_key.renew_issuing(now=NOW)
    second = authority.issuing_certificate
    crl = x509.load_der_x509_crl(authority.root_key.revoke_issuing(now=NOW))
    assert {entry.serial_number for entry in crl} == {first.serial_number, second.serial_number}
    authority.verify_audit()


def test_a_ca_that_was_replaced_is_revoked_by_its_serial(authority: Authority) -> None:
    """Its key may be lost later, and its certificate is still good."""
    first = authority.issuing_certificate
    authority.root_key.renew_issuing(new_key=True, now=NOW)
    serial = format(first.serial_number, "X")
    crl = x509.load_der_x509_crl(authority.root_key.revoke_issuing(earlier=serial, now=NOW))
    assert [entry.serial_number for entry in crl] == [first.serial_number]
    assert authority.issue_client("orders", now=NOW)
    with pytest.raises(NoSuchCertificate):
        authority.root_key.revoke_issuing(earlier="ff", now=NOW)
    authority.verify_audit()


@pytest.mark.parametrize("reason", ["stolen", "certificateHold", "removeFromCRL"])
def test_an_issuing_ca_is_revoked_for_a_reason_that_lasts(authority: Authority, reason: str) -> None:
    with pytest.raises(ReasonUnknown):
        authority.root_key.revoke_issuing(reason, now=NOW)


def test_a_revoked_ca_is_not_renewed_with_its_key(authority: Authority) -> None:
    """That key is what was lost."""
    authority.root_key.revoke_issuing(now=NOW)
    with pytest.raises(IssuerUnfit, match="is revoked"):
        authority.root_key.renew_issuing(now=NOW)
