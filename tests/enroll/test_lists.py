"""CRLs of the service: made ahead of time and after revocations, by nobody's request, and never stale."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from tests.enroll.conftest import Serve, Served
from twoway.authority import Authority
from twoway.authority.faults import CrlStuck
from twoway.enroll.lists import Lists

STORES = ("sqlite", "postgresql")
DAY = datetime.timedelta(days=1)


@pytest.fixture
def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture
def lists(authority: Authority, now: datetime.datetime) -> Lists:
    lists = Lists(authority)
    refresh(lists, now)
    return lists


def refresh(lists: Lists, now: datetime.datetime) -> list[tuple[str, int]]:
    """One turn; which lists are new, and their numbers."""
    heard: list[tuple[str, int]] = []
    lists.refresh(now, lambda ca, edition: heard.append((ca, edition.number)))
    return heard


def entries(lists: Lists, now: datetime.datetime) -> set[int]:
    found = lists.current("issuing", now)
    assert found is not None
    return {entry.serial_number for entry in x509.load_der_x509_crl(found)}


def test_a_revocation_is_in_the_list_after_the_next_turn_and_costs_no_request(
    authority: Authority, lists: Lists, now: datetime.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = authority.issue_client("orders")
    authority.revoke(orders.leaf, "keyCompromise")
    with monkeypatch.context() as patched:
        patched.setattr(authority.publishing, "publish", lambda *_: pytest.fail("a request made a list"))
        assert entries(lists, now) == set()
    assert [number for _, number in refresh(lists, now)] == [2]
    assert entries(lists, now) == {orders.leaf.serial_number}
    assert refresh(lists, now) == []


def test_a_list_is_made_anew_at_half_its_time(lists: Lists, now: datetime.datetime) -> None:
    assert refresh(lists, now + 3 * DAY) == []
    assert [number for _, number in refresh(lists, now + 4 * DAY)] == [2]


def test_a_list_that_has_run_out_is_not_handed_out(lists: Lists, now: datetime.datetime) -> None:
    """An expired list takes everything down that checks it: better none, and an error that says why."""
    assert lists.current("issuing", now + 6 * DAY)
    with pytest.raises(CrlStuck) as stuck:
        lists.current("issuing", now + 8 * DAY)
    assert "Issuing CA" in stuck.value.ca
    with pytest.raises(CrlStuck):
        lists.check(now + 8 * DAY)


def test_a_root_key_that_is_away_stops_no_other_list(
    authority: Authority, now: datetime.datetime, tmp_path: Any
) -> None:
    authority.root_key.export(tmp_path / "root-key.pem")
    authority.root_key.remove(tmp_path / "root-key.pem")
    with Authority.open(authority.directory) as without:
        lists = Lists(without)
        with pytest.raises(CrlStuck):
            refresh(lists, now + 400 * DAY)
        assert lists.current("issuing", now + 400 * DAY)
        with pytest.raises(CrlStuck):
            lists.current("root", now + 400 * DAY)


def test_while_another_copy_is_at_it_this_one_waits_and_then_takes_over_what_it_made(
    authority: Authority, lists: Lists, now: datetime.datetime
) -> None:
    authority.revoke(authority.issue_client("orders").leaf)
    with authority.store.alone("crl") as alone:
        assert alone
        assert refresh(lists, now) == []
    other = Lists(authority)
    assert refresh(other, now)
    assert [number for _, number in refresh(lists, now)] == [2]
    assert entries(lists, now) == entries(other, now) != set()


def test_names_of_lists(authority: Authority, lists: Lists, now: datetime.datetime) -> None:
    issuing = authority.cas.issuing.key_identifier
    assert lists.current("issuing", now) == lists.current(issuing, now)
    assert lists.current("root", now) == lists.current(authority.cas.root.key_identifier, now)
    assert lists.current("../root", now) is None


def test_both_ports_hand_them_out(serve: Serve) -> None:
    with serve() as service:
        for answer in (service.plain("/crl/issuing.crl"), service.call("GET", "/crl/issuing.crl")):
            assert answer.headers["content-type"] == "application/pkix-crl"
            crl = x509.load_der_x509_crl(answer.content)
            assert crl.is_signature_valid(service.authority.issuing_certificate.public_key())  # type: ignore[arg-type]
        assert service.plain("/crl/nothing.crl").status_code == 404


def test_a_stale_list_is_an_error_and_the_service_is_not_ready(serve: Serve) -> None:
    with serve() as service:
        later = service.running.service.now() + 8 * DAY
        service.running.service.now = lambda: later  # type: ignore[method-assign]
        service.running.service.lists._make = lambda *_: None  # type: ignore[method-assign]
        answer = service.plain("/crl/issuing.crl")
        assert (answer.status_code, answer.json()["code"]) == (503, "authority_crl_stuck")
        assert service.plain("/ready").json() == {"ready": False, "because": ["authority_crl_stuck"]}


@pytest.fixture
def service(serve: Serve) -> Iterator[Served]:
    with serve() as served:
        yield served


def test_an_identity_revokes_itself_and_nobody_else(service: Served) -> None:
    orders, billing = (service.authority.issue_client(name) for name in ("orders", "billing"))
    refused = service.call("POST", "/revoke", orders, json={"certificate": "billing"})
    assert (refused.status_code, refused.json()["code"]) == (403, "call_not_permitted")
    missing = service.call("POST", "/revoke", orders, json={"certificate": "nobody"})
    assert missing.json()["detail"] == refused.json()["detail"]
    done = service.call("POST", "/revoke", orders, json={"reason": "keyCompromise"})
    assert (done.status_code, done.json()["revoked"]) == (200, [f"{orders.leaf.serial_number:x}"])
    assert service.authority.show(billing.leaf).state == "valid"
    assert service.authority.show(orders.leaf).reason == "keyCompromise"


def test_an_operator_revokes_anybody_and_an_auditor_nobody_else(service: Served) -> None:
    operator, auditor = (service.authority.issue_client(name) for name in ("operator", "auditor"))
    service.authority.issue_client("orders")
    asked = {"certificate": "orders", "reason": "superseded"}
    assert service.call("POST", "/revoke", auditor, json=asked).status_code == 403
    assert service.call("POST", "/revoke", operator, json=asked).status_code == 200
    assert service.call("POST", "/revoke", operator, json=asked).status_code == 409
    assert service.call("POST", "/revoke", operator, json={"certificate": "none"}).status_code == 404
    row = list(service.authority.audit())[-1]
    assert (row.act, row.actor) == ("revoke", f"operator (certificate {operator.leaf.serial_number:x})")


@pytest.mark.parametrize(
    "body", [b"[", b"[]", b'{"x": 1}', b'{"reason": 1}', b'{"certificate": ""}', b"[" * 4000]
)
def test_a_body_that_makes_no_sense_revokes_nothing(service: Served, body: bytes) -> None:
    orders = service.authority.issue_client("orders")
    assert service.call("POST", "/revoke", orders, content=body).status_code == 400
    assert service.authority.show(orders.leaf).state == "valid"
