"""Certificates are recognised once, and asked about each time."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from twoway.authority import Authority
from twoway.authority.refusals import NotIssuedHere
from twoway.credential import Credential
from twoway.enroll import known
from twoway.enroll.known import Known
from twoway.trust import Peer, Trust, verify

STORES = ("sqlite", "postgresql")
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def proven(authority: Authority) -> Callable[[Credential], Peer]:
    def prove(credential: Credential) -> Peer:
        return Peer.from_verified(verify(credential.chain, Trust(credential.anchors), purpose="client"))

    return prove


def test_each_state_is_that_of_the_moment(authority: Authority, proven: Any) -> None:
    """Also after the certificate was recognised: a revocation, a hold and its end count at the next call."""
    now = datetime.datetime.now(datetime.UTC)
    kept, orders = Known(authority), authority.issue_client("orders", days=5)
    who = proven(orders)

    def state(later: int = 0) -> str:
        return kept.look_up(who, now + datetime.timedelta(days=later))[1]

    assert (state(), state(), state(6)) == ("valid", "valid", "expired")
    authority.revoke(orders.leaf, "certificateHold")
    assert state() == "held"
    authority.revoke(orders.leaf, "removeFromCRL")
    assert state() == "valid"
    authority.revoke(orders.leaf, "keyCompromise")
    assert (state(), state(6)) == ("revoked", "revoked")


def test_a_file_is_asked_at_once_and_a_server_never_is(authority: Authority, proven: Any) -> None:
    """In the event loop a server that does not answer would hold up everybody; a file answers, with the state of now."""
    now, kept = datetime.datetime.now(datetime.UTC), Known(authority)
    who = proven(authority.issue_client("orders"))
    assert kept.at_hand(who, now) is None  # not recognised yet: that is a search, and decodes a certificate
    record, _ = kept.look_up(who, now)
    is_file = authority.store.at_hand
    assert is_file is not authority.store.where.startswith("postgresql")
    assert kept.at_hand(who, now) == ((record, "valid") if is_file else None)
    authority.revoke(record, "keyCompromise")
    assert kept.at_hand(who, now) == ((record, "revoked") if is_file else None)


def test_who_is_not_in_the_store_is_asked_about_again_and_again(
    authority: Authority, proven: Any, tmp_path: Any
) -> None:
    with Authority.create(tmp_path / "other", name="Other", no_passphrase=True) as other:
        stranger = proven(other.issue_client("orders"))
    kept = Known(authority)
    for _ in range(2):
        with pytest.raises(NotIssuedHere):
            kept.look_up(stranger, NOW)
    assert not kept._records


def test_only_so_many_are_kept(authority: Authority, proven: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_KNOWN", 2)
    kept = Known(authority)
    for name in ("a", "b", "c"):
        kept.look_up(proven(authority.issue_client(name)), datetime.datetime.now(datetime.UTC))
    assert [record.common_name for record in kept._records.values()] == ["b", "c"]
