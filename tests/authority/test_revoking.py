"""Revocation: its reasons, what may follow what, and that it never gets slow."""

from __future__ import annotations

import pytest
from cryptography import x509

from tests.authority.conftest import DAY, NOW
from twoway.authority import Authority
from twoway.authority.crl import REASONS
from twoway.authority.refusals import (
    AlreadyRevoked,
    NoSuchCertificate,
    NotOnHold,
    ReasonUnknown,
    SelectorAmbiguous,
)

STORES = ("sqlite", "postgresql")


def entries(authority: Authority) -> dict[int, x509.RevokedCertificate]:
    issuing = x509.load_der_x509_crl(authority.crls(now=NOW)[0])
    return {entry.serial_number: entry for entry in issuing}


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason != "removeFromCRL"])
def test_every_reason_of_rfc_5280_reaches_the_crl(authority: Authority, reason: str) -> None:
    leaf = authority.issue_client("orders", now=NOW).leaf
    authority.revoke("orders", reason, now=NOW)
    record = authority.show(leaf)
    assert record.state == ("held" if reason == "certificateHold" else "revoked")
    assert (record.reason, record.revoked_at) == (reason, NOW)
    entry = entries(authority)[leaf.serial_number]
    assert entry.revocation_date_utc == NOW
    if reason == "unspecified":
        assert len(entry.extensions) == 0  # RFC 5280 §5.3.1: SHOULD be absent instead of unspecified
    else:
        assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value == reason


def test_an_unknown_reason_lists_the_known(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    with pytest.raises(ReasonUnknown) as unknown:
        authority.revoke("orders", "stolen", now=NOW)
    assert "keyCompromise" in unknown.value.known
    assert authority.show("orders", now=NOW).state == "valid"


def test_a_revocation_is_final(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    authority.revoke("orders", "superseded", now=NOW)
    for reason in ("keyCompromise", "certificateHold", "superseded"):
        with pytest.raises(AlreadyRevoked) as already:
            authority.revoke("orders", reason, now=NOW + DAY)
        assert (already.value.at, already.value.reason) == (NOW, "superseded")
    with pytest.raises(AlreadyRevoked):
        authority.revoke("orders", "removeFromCRL", now=NOW)


def test_a_hold_can_be_lifted(authority: Authority) -> None:
    leaf = authority.issue_client("orders", now=NOW).leaf
    authority.revoke("orders", "certificateHold", now=NOW)
    assert leaf.serial_number in entries(authority)
    authority.revoke("orders", "removeFromCRL", now=NOW)
    assert authority.show("orders", now=NOW).state == "valid"
    assert leaf.serial_number not in entries(authority)


def test_a_hold_can_become_a_revocation(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    authority.revoke("orders", "certificateHold", now=NOW)
    with pytest.raises(AlreadyRevoked):
        authority.revoke("orders", "certificateHold", now=NOW)
    authority.revoke("orders", "keyCompromise", now=NOW)
    assert authority.show("orders").reason == "keyCompromise"


def test_what_is_not_on_hold_cannot_be_lifted(authority: Authority) -> None:
    authority.issue_client("orders", now=NOW)
    with pytest.raises(NotOnHold):
        authority.revoke("orders", "removeFromCRL", now=NOW)


def test_a_name_of_several_certificates_means_none_of_them_unless_all(authority: Authority) -> None:
    for _ in range(3):
        authority.issue_client("orders", now=NOW)
    with pytest.raises(SelectorAmbiguous) as ambiguous:
        authority.revoke("orders", now=NOW)
    assert len(ambiguous.value.serials) == 3
    assert len(authority.revoke("orders", every=True, now=NOW)) == 3
    assert {record.state for record in authority.find("orders")} == {"revoked"}


def test_an_identity_is_revoked_by_itself_its_serial_or_its_fingerprint(authority: Authority) -> None:
    first, second, third, fourth = (authority.issue_client("orders", now=NOW) for _ in range(4))
    authority.revoke(first, now=NOW)
    authority.revoke(second.leaf, now=NOW)
    authority.revoke(third.leaf.serial_number, now=NOW)
    authority.revoke(fourth.fingerprint.upper(), now=NOW)
    assert len(authority.list(state="revoked", now=NOW)) == 4


def test_nothing_to_revoke_says_so(authority: Authority) -> None:
    with pytest.raises(NoSuchCertificate):
        authority.revoke("orders", now=NOW)


def test_a_revocation_is_in_the_audit_log(authority: Authority) -> None:
    identity = authority.issue_client("orders", now=NOW)
    authority.revoke("orders", "keyCompromise", now=NOW, requested_by="kim")
    row = list(authority.audit())[-1]
    assert (row.act, row.actor, row.as_dict()["detail"]) == ("revoke", "kim", {"reason": "keyCompromise"})
    assert row.subject == format(identity.leaf.serial_number, "x")
