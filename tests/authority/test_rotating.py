"""Changing the issuing CA and the root: in steps, each of which is refused while it would cut somebody off."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.authority.conftest import DAY, NOW, MakeAuthority, check_told
from tests.conftest import judge
from twoway.authority import Authority
from twoway.authority.faults import KeyFileMissing, RootKeyOffline, StoreForeign
from twoway.authority.in_use import note_fetch
from twoway.authority.rotation_faults import (
    NoRotation,
    RotationUnderWay,
    TooLateToAbort,
    TooSoon,
    WouldCutOff,
)
from twoway.authority.succession import Lives
from twoway.credential import Credential, certificate_pem, chain_pem
from twoway.errors import TwowayError
from twoway.trust import Trust, verify

STORES = ("sqlite", "postgresql")
HOUR = timedelta(hours=1)


def fetched(authority: Authority, *identities: Credential, at=NOW) -> None:
    """As the service does when somebody who shows that identity asks for `/roots.pem`."""
    rotation = authority.cas.bundle.rotation
    assert rotation is not None
    for identity in identities:
        note_fetch(authority.store, rotation, format(identity.leaf.serial_number, "x"), at)


def to_issue(authority: Authority, *identities: Credential) -> None:
    authority.rotating.advance("root", now=NOW)
    fetched(authority, *identities)
    authority.rotating.advance("root", now=NOW + HOUR)


def test_a_root_is_changed_in_three_steps(authority: Authority) -> None:
    old_root, orders = authority.root_certificate, authority.issue_client("orders", now=NOW)
    assert authority.rotating.advance("root", now=NOW).step == "distribute"
    assert len(authority.cas.bundle.certificates) == 2
    assert authority.cas.bundle.certificates[0] == old_root
    fetched(authority, orders)

    assert authority.rotating.advance("root", now=NOW + HOUR).step == "issue"
    assert authority.root_certificate != old_root
    assert authority.trust_bundle_pem() == chain_pem((authority.root_certificate, old_root))
    renewed = authority.renew(orders, now=NOW + HOUR)
    assert len(renewed.anchors) == 2

    assert authority.rotating.advance("root", now=NOW + 2 * HOUR).step == "retired"
    assert authority.trust_bundle_pem() == certificate_pem(authority.root_certificate)
    assert (authority.directory / "root.pem").read_bytes() == certificate_pem(authority.root_certificate)
    assert authority.verify_audit().certificates == 2
    with Authority.open(authority.directory) as again:
        assert again.issue_client("new", now=NOW + DAY).anchors == (authority.root_certificate,)


def test_whoever_believes_one_root_accepts_what_is_issued_while_both_are_believed(
    authority: Authority,
) -> None:
    old_root, before = authority.root_certificate, authority.issue_client("before", now=NOW)
    to_issue(authority, before)
    after, new_root = authority.issue_client("after", now=NOW + HOUR), authority.root_certificate
    for anchors in ((old_root,), (new_root,), (old_root, new_root), (new_root, old_root)):
        verify(after.chain, Trust(anchors), purpose="client", now=NOW + HOUR)
    for anchors in ((old_root,), (old_root, new_root), (new_root, old_root)):
        verify(before.chain, Trust(anchors), purpose="client", now=NOW + HOUR)
    with_lists = authority.trust(now=NOW + HOUR)
    verify(before.chain, with_lists, purpose="client", now=NOW + HOUR)
    verify(after.chain, with_lists, purpose="client", now=NOW + HOUR)


@pytest.mark.judge
def test_openssl_accepts_it_by_either_root(authority: Authority, tmp_path: Path) -> None:
    openssl, old_root = judge("openssl"), authority.root_certificate
    to_issue(authority)
    after = authority.issue_client("after", now=NOW + HOUR)
    (tmp_path / "leaf.pem").write_bytes(certificate_pem(after.leaf))
    (tmp_path / "between.pem").write_bytes(chain_pem(after.chain[1:]))
    at = str(int((NOW + HOUR).timestamp()))
    for root in (old_root, authority.root_certificate):
        (tmp_path / "root.pem").write_bytes(certificate_pem(root))
        subprocess.run(
            f"{openssl} verify -x509_strict -purpose sslclient -attime {at} "
            "-CAfile root.pem -untrusted between.pem leaf.pem".split(),
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )


def test_nothing_is_issued_by_the_new_one_until_everybody_has_been_given_the_bundle(
    authority: Authority,
) -> None:
    orders, shop = (authority.issue_client(name, now=NOW) for name in ("orders", "shop"))
    authority.rotating.advance("root", now=NOW)
    fetched(authority, orders)
    with pytest.raises(WouldCutOff, match="shop") as refused:
        authority.rotating.advance("root", now=NOW + HOUR)
    check_told(refused.value)
    assert (refused.value.act, refused.value.count) == ("issue", 1)
    assert "orders" not in str(refused.value)
    assert "--force" in refused.value.remedy
    fetched(authority, shop, at=NOW + HOUR)
    with pytest.raises(WouldCutOff, match="shop"):
        authority.rotating.advance("root", now=NOW + HOUR)  # it has it, and not yet in force
    assert authority.rotating.advance("root", now=NOW + 2 * HOUR).step == "issue"


def test_a_successor_has_the_bundle_that_was_fetched_with_what_it_renews(authority: Authority) -> None:
    orders = authority.issue_client("orders", now=NOW)
    authority.rotating.advance("root", now=NOW)
    fetched(authority, orders)
    second = authority.renew(orders, now=NOW + HOUR)
    authority.renew(second, now=NOW + 2 * HOUR)
    assert authority.rotating.advance("root", now=NOW + 3 * HOUR).step == "issue"


def test_what_is_written_where_the_authority_is_has_the_bundle_in_it(authority: Authority) -> None:
    """A server's certificate proves nothing to the service: it is renewed by hand, and has both roots then."""
    server = authority.issue_server("api.acme.example", now=NOW)
    authority.rotating.advance("root", now=NOW)
    with pytest.raises(WouldCutOff, match="api"):
        authority.rotating.advance("root", now=NOW + HOUR)
    assert len(authority.renew(server, now=NOW + HOUR).anchors) == 2
    authority.issue_client("new", now=NOW + HOUR)
    assert authority.rotating.advance("root", now=NOW + 2 * HOUR).step == "issue"


def test_the_old_root_is_not_given_up_while_something_in_use_is_from_it(authority: Authority) -> None:
    orders, shop, held = (authority.issue_client(name, now=NOW) for name in ("orders", "shop", "held"))
    gone = authority.issue_client("gone", now=NOW)
    to_issue(authority, orders, shop, held, gone)
    authority.renew(orders, now=NOW + HOUR)
    authority.revoke(gone, now=NOW + HOUR)
    authority.revoke(held, "certificateHold", now=NOW + HOUR)
    with pytest.raises(WouldCutOff) as refused:
        authority.rotating.advance("root", now=NOW + 2 * HOUR)
    assert [name.split()[0] for name in refused.value.identities] == ["shop", "held"]
    assert authority.rotating.status("root", NOW + 2 * HOUR).waits_for.count == 2
    assert authority.rotating.advance("root", now=NOW + 400 * DAY).step == "retired"


def test_force_goes_on_and_the_audit_log_has_how_many_were_cut_off(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    authority.rotating.advance("root", now=NOW)
    authority.rotating.advance("root", force=True, now=NOW + HOUR)
    authority.rotating.advance("root", force=True, now=NOW + HOUR)
    told = {row.act: row.as_dict()["detail"] for row in authority.audit()}
    assert told["rotate-issue"]["cut_off"] == told["rotate-retire"]["cut_off"] == 1
    authority.verify_audit()


def test_lists_and_answers_of_the_old_ca_go_on(authority: Authority) -> None:
    orders = authority.issue_client("orders", now=NOW)
    old_issuing = authority.issuing_certificate
    to_issue(authority, orders)
    authority.rotating.advance("root", force=True, now=NOW + HOUR)
    authority.revoke(orders, now=NOW + DAY)
    lists = [x509.load_der_x509_crl(each) for each in authority.crls(now=NOW + 300 * DAY)]
    ours = [each for each in lists if each.is_signature_valid(old_issuing.public_key())]
    assert orders.leaf.serial_number in {entry.serial_number for entry in ours[0]}
    assert len(lists) == 4


def test_it_is_taken_back_until_the_new_one_issues(authority: Authority) -> None:
    old_root = authority.root_certificate
    authority.rotating.advance("root", now=NOW)
    authority.rotating.abort("root", now=NOW)
    assert authority.cas.bundle.certificates == (old_root,)
    assert sorted(path.name for path in authority.directory.glob("*key*")) == [
        "issuing-key.pem",
        "root-key.pem",
    ]
    assert len(authority.crls(now=NOW)) == 2
    with pytest.raises(NoRotation):
        authority.rotating.abort("root")
    to_issue(authority)
    with pytest.raises(TooLateToAbort):
        authority.rotating.abort("root")
    authority.verify_audit()


def test_one_change_at_a_time(authority: Authority) -> None:
    authority.rotating.advance("root", now=NOW)
    with pytest.raises(RotationUnderWay, match="root"):
        authority.rotating.advance("issuing", now=NOW)
    with pytest.raises(RotationUnderWay, match="renew the issuing CA"):
        authority.root_key.renew_issuing(now=NOW)
    assert authority.rotating.status("issuing").step == "none"


def test_the_issuing_ca_is_changed_under_the_same_root(authority: Authority) -> None:
    root, orders = authority.root_certificate, authority.issue_client("orders", now=NOW)
    authority.rotating.advance("issuing", now=NOW)
    assert authority.cas.bundle.certificates == (root,)
    assert len(authority.crls(now=NOW)) == 3  # the new CA's list is there before its first certificate
    with pytest.raises(TooSoon, match="list") as early:
        authority.rotating.advance("issuing", now=NOW + HOUR)
    check_told(early.value)
    authority.rotating.advance("issuing", now=NOW + 3 * HOUR)
    with pytest.raises(WouldCutOff, match="orders"):
        authority.rotating.advance("issuing", now=NOW + 3 * HOUR)
    renewed = authority.renew(orders, now=NOW + 3 * HOUR)
    assert len(renewed.chain) == 2
    verify(renewed.chain, authority.trust(now=NOW + 3 * HOUR), purpose="client", now=NOW + 3 * HOUR)
    assert authority.rotating.advance("issuing", now=NOW + 4 * HOUR).step == "retired"
    authority.verify_audit()


def test_only_the_first_step_needs_the_root_key(make_authority: MakeAuthority, tmp_path: Path) -> None:
    authority = make_authority(no_passphrase=False, passphrase="opens")
    safe = authority.root_key.export(tmp_path / "safe.pem", now=NOW)
    authority.root_key.remove(safe, now=NOW)
    with Authority.open(authority.directory, passphrase="opens") as daily, pytest.raises(RootKeyOffline):
        daily.rotating.advance("root", now=NOW)
    with Authority.open(authority.directory, passphrase="opens", root_key=safe) as back:
        back.rotating.advance("root", now=NOW)
    with Authority.open(authority.directory, passphrase="opens") as daily:
        daily.rotating.advance("root", now=NOW + HOUR)
        new = daily.root_key.export(tmp_path / "new.pem", now=NOW + HOUR)
        daily.root_key.remove(new, now=NOW + HOUR)
        daily.rotating.advance("root", now=NOW + HOUR)
        daily.issue_client("orders", now=NOW + HOUR)
    assert b"ENCRYPTED" in new.read_bytes()


def test_a_step_whose_key_is_not_here_is_not_taken(authority: Authority) -> None:
    authority.rotating.advance("root", now=NOW)
    key = authority.directory / authority.cas.all[-1].key_file
    kept = key.read_bytes()
    key.unlink()
    with Authority.open(authority.directory) as other:
        with pytest.raises(KeyFileMissing):
            other.rotating.advance("root", now=NOW + HOUR)
        key.write_bytes(kept)
        assert other.rotating.status("root").step == "distribute"
        assert other.rotating.advance("root", now=NOW + HOUR).step == "issue"


def test_a_step_that_was_interrupted_is_taken_again(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are there and the store was not told: the authority opens as before, and goes on."""
    authority.rotating.advance("root", now=NOW)
    with monkeypatch.context() as broken:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr(authority.store, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            authority.rotating.advance("root", now=NOW + HOUR)
    with Authority.open(authority.directory) as again:
        assert again.rotating.status("root").step == "distribute"
        assert again.issue_client("orders", now=NOW).chain[1] == authority.issuing_certificate
        assert again.rotating.advance("root", force=True, now=NOW + HOUR).step == "issue"


def test_a_copy_with_the_old_root_file_goes_on_and_a_stranger_does_not(
    authority: Authority, make_authority: MakeAuthority
) -> None:
    old = (authority.directory / "root.pem").read_bytes()
    to_issue(authority)
    (authority.directory / "root.pem").write_bytes(old)
    Authority.open(authority.directory).close()
    stranger = make_authority("other")
    (authority.directory / "root.pem").write_bytes(certificate_pem(stranger.root_certificate))
    with pytest.raises(StoreForeign):
        Authority.open(authority.directory)


def test_tokens_are_redeemed_across_the_change(authority: Authority) -> None:
    token = authority.tokens.make("client", "orders", actor="somebody", now=NOW, lifetime=3 * HOUR)
    to_issue(authority)
    assert authority.tokens.read(token.text, audience="enroll", now=NOW + HOUR).id == token.id


def test_the_new_keys_are_of_the_kind_and_for_the_time_asked(authority: Authority) -> None:
    authority.rotating.advance("root", lives=Lives(100, 50, "p384"), now=NOW)
    root = authority.cas.believed[1]
    assert root.not_after == NOW + 100 * DAY
    assert root.certificate.public_key().key_size == 384  # type: ignore[union-attr]


def test_two_that_take_the_same_step_take_it_once(authority: Authority) -> None:
    authority.rotating.advance("root", now=NOW)
    with Authority.open(authority.directory) as other:
        rotation = other.cas.bundle.rotation
        authority.rotating.advance("root", now=NOW + HOUR)
        assert rotation is not None
        with pytest.raises(RotationUnderWay):
            other.rotating._issue(rotation, 0, NOW + HOUR)


@pytest.mark.parametrize(
    "error",
    [
        RotationUnderWay("root", "issue"),
        NoRotation("root"),
        TooLateToAbort("root"),
        TooSoon("issuing", "issue", 7, "a list is needed"),
        WouldCutOff("root", "retire", "who are old", 12, tuple("abcdefghijkl")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_have_their_facts(error: TwowayError) -> None:
    check_told(error)
    assert error.remedy
