"""Finding certificates: by name, alternative name, serial, fingerprint, state and end."""

from __future__ import annotations

import json

import pytest

from tests.authority.conftest import DAY, NOW
from twoway.authority import Authority
from twoway.authority.refusals import NoSuchCertificate, SelectorAmbiguous

STORES = ("sqlite", "postgresql")


@pytest.fixture
def stocked(authority: Authority) -> Authority:
    authority.issue_server("api.acme.example", ip=["192.0.2.7"], days=10, now=NOW)
    authority.issue_client("orders", uri=["spiffe://acme.example/orders"], days=20, now=NOW)
    authority.issue_client("billing", email=["billing@acme.example"], days=30, now=NOW)
    authority.issue_peer("gateway.acme.example", days=90, now=NOW)
    authority.revoke("billing", "superseded", now=NOW)
    return authority


def names(authority: Authority, *match: str, **only: object) -> list[str | None]:
    return [record.common_name for record in authority.list(*match, **({"now": NOW} | only))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("orders", ["orders"]),
        ("api.acme.example", ["api.acme.example"]),
        ("API.ACME.EXAMPLE", ["api.acme.example"]),
        ("192.0.2.7", ["api.acme.example"]),
        ("spiffe://acme.example/orders", ["orders"]),
        ("billing@acme.example", ["billing"]),
        ("*acme.example*", ["api.acme.example", "orders", "billing", "gateway.acme.example"]),
        ("gate*", ["gateway.acme.example"]),
        ("order", []),
        ("", []),
        ("' OR 1=1 --", []),
        ("[a-z]*", []),
    ],
)
def test_a_name_finds_what_has_it(stocked: Authority, match: str, found: list[str]) -> None:
    assert names(stocked, match) == found


def test_serials_and_fingerprints_are_read_as_other_programs_print_them(stocked: Authority) -> None:
    record = stocked.show("orders", now=NOW)
    pairs = ":".join(record.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    for written in (
        record.serial,
        "0x" + record.serial.upper(),
        "00" + record.serial,
        record.fingerprint,
        pairs,
    ):
        assert names(stocked, written) == ["orders"]
    assert stocked.find(int(record.serial, 16), now=NOW)[0] == record


def test_states_are_as_of_the_moment_asked_about(stocked: Authority) -> None:
    assert names(stocked, state="valid") == ["api.acme.example", "orders", "gateway.acme.example"]
    assert names(stocked, state="valid", now=NOW + 15 * DAY) == ["orders", "gateway.acme.example"]
    assert names(stocked, state="expired", now=NOW + 15 * DAY) == ["api.acme.example"]
    assert names(stocked, state="revoked", now=NOW + 500 * DAY) == ["billing"]
    stocked.revoke("orders", "certificateHold", now=NOW)
    assert names(stocked, state="held") == ["orders"]
    assert names(stocked, state="revoked") == ["billing"]


def test_those_that_end_soon_are_found(stocked: Authority) -> None:
    assert names(stocked, expires_before=NOW + 25 * DAY) == ["api.acme.example", "orders"]
    assert names(stocked, expires_before=NOW + 25 * DAY, now=NOW + 15 * DAY) == ["orders"]


def test_lists_are_narrowed_by_profile_and_number(stocked: Authority) -> None:
    assert names(stocked, profile="client") == ["orders", "billing"]
    assert names(stocked, limit=2) == ["api.acme.example", "orders"]
    assert names(stocked, profile="client", state="valid") == ["orders"]


def test_a_pattern_may_begin_with_a_star(stocked: Authority) -> None:
    assert names(stocked, "*.acme.example") == ["api.acme.example", "gateway.acme.example"]


def test_a_wildcard_certificate_is_meant_before_the_pattern_that_its_name_is(stocked: Authority) -> None:
    """Revoking `*.shop.example` takes back the wildcard certificate, never all hosts below shop.example."""
    stocked.issue_server("*.shop.example", now=NOW)
    stocked.issue_server("a.shop.example", now=NOW)
    assert names(stocked, "*.shop.example") == ["*.shop.example", "a.shop.example"]
    revoked = stocked.revoke("*.shop.example", every=True, now=NOW)
    assert [record.common_name for record in revoked] == ["*.shop.example"]


def test_show_means_the_one_in_use(stocked: Authority) -> None:
    stocked.issue_client("billing", now=NOW)
    assert stocked.show("billing", now=NOW).state == "valid"
    stocked.issue_client("billing", now=NOW)
    with pytest.raises(SelectorAmbiguous):
        stocked.show("billing", now=NOW)
    with pytest.raises(NoSuchCertificate) as unknown:
        stocked.show("nobody", now=NOW)
    assert unknown.value.args == ("nobody",)


def test_after_a_renewal_the_new_one_is_shown_and_renewed_and_both_are_revoked(stocked: Authority) -> None:
    """The old one is still good: who revokes a name must not leave it behind unseen."""
    first = stocked.show("orders", now=NOW)
    stocked.renew("orders", now=NOW)
    second = stocked.show("orders", now=NOW)
    assert second.renews == first.serial
    stocked.renew("orders", now=NOW)
    assert stocked.show("orders", now=NOW).renews == second.serial
    with pytest.raises(SelectorAmbiguous) as several:
        stocked.revoke("orders", now=NOW)
    assert len(several.value.serials) == 3


def test_show_still_finds_what_is_no_longer_in_use(stocked: Authority) -> None:
    assert stocked.show("billing", now=NOW).state == "revoked"


def test_a_record_is_ready_for_json(stocked: Authority) -> None:
    told = json.loads(json.dumps(stocked.show("billing", now=NOW).as_dict()))
    assert told["state"] == "revoked"
    assert told["names"] == {"dns": ["billing"], "ip": [], "uri": [], "email": ["billing@acme.example"]}
    assert told["revoked_at"] == "2026-06-01T12:00:00Z"


def test_looking_up_by_name_uses_the_indexes(stocked: Authority) -> None:
    """Otherwise 100,000 certificates make every revocation slow."""
    from twoway.authority import records

    with stocked.store.read() as connection:
        dialect = connection.dialect.name
        query = records._QUERY.where(records._matching("orders", dialect))
        text = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        if dialect == "sqlite":
            plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        else:
            # A small table is read whole unless that is forbidden; then it shows whether an index would do.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = [str(row[0]) for row in connection.exec_driver_sql(f"EXPLAIN {text}")]
    assert not any("Seq Scan" in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan), plan
