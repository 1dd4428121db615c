"""How an authority begins, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.authority.conftest import DAY, NOW, MakeAuthority, check_told, extension
from twoway.authority import Authority
from twoway.authority.faults import (
    CaKeyMismatch,
    DirectoryTaken,
    DirectoryUnwritable,
    IssuerUnfit,
    KeyFileMissing,
    NotAnAuthority,
    PassphraseNeeded,
    StoreForeign,
    StoreUnusable,
    WrongCaPassphrase,
)
from twoway.credential import KEY_TYPES, fingerprint_of, key_type_of
from twoway.errors import UsageError


def test_the_smallest_program_makes_an_authority_and_two_identities(tmp_path: Path) -> None:
    """Three calls, and everything is on the disk."""
    with Authority.create(tmp_path / "pki", name="Acme") as authority:
        authority.issue_server("api.acme.example").save(tmp_path / "api")
        authority.issue_client("orders").save(tmp_path / "orders")
    assert sorted(path.name for path in (tmp_path / "orders").iterdir()) == ["ca.pem", "cert.pem", "key.pem"]


def test_keys_without_a_passphrase_are_warned_about(
    make_authority: MakeAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    make_authority("meant", no_passphrase=True)
    assert not caplog.text
    make_authority("forgotten", no_passphrase=False)
    assert "stored without a passphrase" in caplog.text


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_every_key_type_makes_an_authority(make_authority: MakeAuthority, key_type: str) -> None:
    """Root and issuing CA have keys of that type, and a leaf verifies under both."""
    authority = make_authority(key_type=key_type)
    leaf = authority.issue_client("orders", now=NOW).leaf
    assert key_type_of(authority.root_certificate.public_key()) == key_type
    assert key_type_of(authority.issuing_certificate.public_key()) == key_type
    authority.root_certificate.verify_directly_issued_by(authority.root_certificate)
    authority.issuing_certificate.verify_directly_issued_by(authority.root_certificate)
    leaf.verify_directly_issued_by(authority.issuing_certificate)


def test_the_issuing_ca_may_sign_leaves_and_no_further_ca(authority: Authority) -> None:
    """RFC 5280 §4.2.1.9: path length 0, critical; no EKU, which would limit the leaves."""
    constraints = extension(authority.issuing_certificate, x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = extension(authority.issuing_certificate, x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    for certificate in (authority.root_certificate, authority.issuing_certificate):
        with pytest.raises(x509.ExtensionNotFound):
            extension(certificate, x509.ExtendedKeyUsage)


def test_the_issuing_ca_never_outlives_the_root(make_authority: MakeAuthority) -> None:
    authority = make_authority(root_days=30, issuing_days=400)
    assert authority.issuing_certificate.not_valid_after_utc == authority.root_certificate.not_valid_after_utc


def test_dates_past_2050_are_written_as_generalized_time(make_authority: MakeAuthority) -> None:
    """RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050."""
    authority = make_authority(root_days=365 * 40, issuing_days=365 * 30)
    leaf = authority.issue_server("a.example", days=365 * 25, now=NOW).leaf
    assert leaf.not_valid_after_utc == NOW + 365 * 25 * DAY
    assert b"\x18\x0f2051" in leaf.tbs_certificate_bytes
    assert b"\x17\x0d2606011155" in leaf.tbs_certificate_bytes


def test_files_are_for_the_owner_alone(authority: Authority) -> None:
    assert stat.S_IMODE(authority.directory.stat().st_mode) == 0o700
    for name in ("root-key.pem", "issuing-key.pem"):
        assert stat.S_IMODE((authority.directory / name).stat().st_mode) == 0o600


def test_a_passphrase_encrypts_both_keys_with_many_rounds(
    make_authority: MakeAuthority, tmp_path: Path
) -> None:
    """PBES2 with 600,000 rounds of PBKDF2, which everybody's OpenSSL reads."""
    make_authority(no_passphrase=False, passphrase="opens")
    for name in ("root-key.pem", "issuing-key.pem"):
        data = (tmp_path / "pki" / name).read_bytes()
        assert b"ENCRYPTED PRIVATE KEY" in data
        assert load_pem_private_key(data, b"opens")
        with pytest.raises(ValueError, match=r"."):
            load_pem_private_key(data, b"shuts")


def test_the_passphrase_is_asked_for_once_and_only_when_a_key_is_needed(
    make_authority: MakeAuthority, tmp_path: Path
) -> None:
    make_authority(no_passphrase=False, passphrase=b"opens").close()
    asked = []

    def ask() -> bytes:
        asked.append(True)
        return b"opens"

    with Authority.open(tmp_path / "pki", passphrase=ask) as authority:
        assert authority.list() == ()
        authority.verify_audit()
        authority.trust_bundle_pem()
        assert not asked
        authority.issue_client("a", now=NOW)
        authority.issue_client("b", now=NOW)
        authority.root_key.renew_issuing(now=NOW)
    assert len(asked) == 1


def test_a_wrong_passphrase_is_told_from_none(make_authority: MakeAuthority, tmp_path: Path) -> None:
    make_authority(no_passphrase=False, passphrase=b"opens").close()
    key = str(tmp_path / "pki" / "issuing-key.pem")
    with Authority.open(tmp_path / "pki", passphrase="shuts") as authority:
        with pytest.raises(WrongCaPassphrase) as wrong:
            authority.unlock()
        assert wrong.value.args == (key,)
    with Authority.open(tmp_path / "pki") as authority:
        with pytest.raises(PassphraseNeeded) as needed:
            authority.issue_client("orders", now=NOW)
        assert needed.value.args == (key, False)


def test_an_empty_passphrase_is_not_a_way_to_say_none(tmp_path: Path) -> None:
    with pytest.raises(PassphraseNeeded):
        Authority.create(tmp_path / "pki", name="Acme", passphrase=b"")
    assert not (tmp_path / "pki").exists()


def test_an_authority_is_never_overwritten(authority: Authority) -> None:
    with pytest.raises(DirectoryTaken) as taken:
        Authority.create(authority.directory, name="Other")
    assert taken.value.args == (str(authority.directory), True)
    assert authority.name == "Acme"


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(DirectoryTaken) as taken:
        Authority.create(tmp_path, name="Acme")
    assert taken.value.authority is False
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True).close()
    assert (tmp_path / "pki" / "authority.db").exists()


def test_nothing_is_left_of_a_creation_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory appears whole or not at all."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("twoway.authority.founding.write_public", full)
    with pytest.raises(DirectoryUnwritable) as unwritable:
        Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True)
    assert unwritable.value.reason == "No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryUnwritable) as unwritable:
        Authority.create(tmp_path / "file" / "pki", name="Acme", no_passphrase=True)
    assert unwritable.value.directory == str(tmp_path / "file")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "ö" * 33])
def test_an_authority_needs_a_name_that_can_be_printed(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be an authority's name"):
        Authority.create(tmp_path / "pki", name=name)


def test_a_long_name_still_fits_into_the_cas_own_names(make_authority: MakeAuthority) -> None:
    """64 octets are the most for O and for CN (RFC 5280 appendix A.1)."""
    authority = make_authority(name="Ö" * 32)
    assert authority.name == "Ö" * 32
    assert "Ö" * 26 + " Issuing CA" in authority.issuing_certificate.subject.rfc4514_string()


def test_an_unknown_key_type_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of p256, p384"):
        Authority.create(tmp_path / "pki", name="Acme", key_type="dsa1024")


@pytest.mark.parametrize("days", [0, -1, float("nan"), 1e9])
def test_a_lifetime_that_cannot_be_is_refused(tmp_path: Path, days: float) -> None:
    with pytest.raises(UsageError, match="is no lifetime"):
        Authority.create(tmp_path / "pki", name="Acme", root_days=days)


def test_a_directory_without_an_authority_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotAnAuthority) as missing:
        Authority.open(tmp_path / "nowhere")
    assert missing.value.missing == "the directory"
    with pytest.raises(NotAnAuthority) as empty:
        Authority.open(tmp_path)
    assert empty.value.missing == "authority.db"


def test_a_store_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "authority.db").write_bytes(b"this is no database at all, by any means" * 40)
    with pytest.raises(StoreUnusable, match="not a database"):
        Authority.open(tmp_path)


def test_another_programs_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "authority.db").touch()
    with pytest.raises(StoreUnusable, match="no authority's tables"):
        Authority.open(tmp_path)


def test_the_store_of_another_authority_is_refused(make_authority: MakeAuthority) -> None:
    """Exchanged or restored to the wrong place, it would know nothing of what was issued and revoked here."""
    ours, theirs = make_authority("ours"), make_authority("theirs")
    ours.close()
    theirs.close()
    shutil.copy(theirs.directory / "authority.db", ours.directory / "authority.db")
    with pytest.raises(StoreForeign) as foreign:
        Authority.open(ours.directory)
    assert foreign.value.expected == fingerprint_of(ours.root_certificate)
    assert foreign.value.presented == fingerprint_of(theirs.root_certificate)
    check_told(foreign.value)


def test_a_missing_key_file_is_named(authority: Authority) -> None:
    (authority.directory / "issuing-key.pem").unlink()
    with pytest.raises(KeyFileMissing) as missing:
        authority.issue_client("orders", now=NOW)
    assert missing.value.path.endswith("issuing-key.pem")


def test_the_key_of_another_ca_is_told_by_its_hash(authority: Authority) -> None:
    os.replace(authority.directory / "root-key.pem", authority.directory / "issuing-key.pem")
    with pytest.raises(CaKeyMismatch) as mismatch:
        authority.issue_client("orders", now=NOW)
    assert mismatch.value.ca == "CN=Acme Issuing CA, O=Acme"
    assert mismatch.value.expected != mismatch.value.presented


def test_a_key_file_without_a_key_is_told_from_a_locked_one(authority: Authority) -> None:
    (authority.directory / "issuing-key.pem").write_text("not a key")
    with pytest.raises(StoreUnusable, match=r"no PKCS#8 private key"):
        authority.issue_client("orders", now=NOW)


def test_an_expired_issuing_ca_issues_nothing(make_authority: MakeAuthority) -> None:
    authority = make_authority(issuing_days=10)
    with pytest.raises(IssuerUnfit, match="expired on 2026-06-11"):
        authority.issue_client("orders", now=NOW + 10 * DAY)
    with pytest.raises(IssuerUnfit, match="is not valid before"):
        authority.issue_client("orders", now=NOW - DAY)
