"""Who may call what: every kind of credential at every endpoint, and nothing that the table does not say."""

from __future__ import annotations

import pickle

import pytest
from sqlalchemy import delete

from tests.enroll.conftest import ROLES, Serve, Served
from twoway.authority import schema
from twoway.enroll import access, routes
from twoway.enroll.access import ACCESS, Standing, decide
from twoway.enroll.call import Endpoint
from twoway.enroll.faults import CredentialNeeded, NotPermitted

ENDPOINTS = [endpoint for endpoint in routes.ENDPOINTS if "tls" in endpoint.ports]


def test_every_endpoint_is_in_the_table_and_every_row_is_an_endpoint() -> None:
    """A row without an endpoint would be a permission that waits for somebody to give it a meaning."""
    assert {endpoint.name for endpoint in routes.ENDPOINTS} == set(ACCESS)


def test_an_endpoint_that_the_table_does_not_know_stops_the_start(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_: object) -> None: ...

    stray = Endpoint("stray", ("GET",), "/stray", answer)  # type: ignore[arg-type]
    monkeypatch.setattr(routes, "ENDPOINTS", (*routes.ENDPOINTS, stray))
    with pytest.raises(LookupError, match="stray"):
        routes.application(service.running.service, "tls")


def test_what_is_not_in_the_table_nobody_may_call() -> None:
    with pytest.raises(NotPermitted) as refused:
        decide("stray", frozenset(Standing))
    assert refused.value.wanted == ()


def test_nobody_is_asked_for_a_credential_and_somebody_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "ACCESS", {"revoke": frozenset({Standing.OPERATOR, Standing.ADMIN})})
    with pytest.raises(CredentialNeeded) as needed:
        decide("revoke", frozenset({Standing.NOBODY}))
    assert needed.value.args == ("revoke", ("admin", "operator"))
    with pytest.raises(NotPermitted) as refused:
        decide("revoke", frozenset({Standing.NOBODY, Standing.IDENTITY}))
    assert refused.value.args == ("revoke", ("identity",), ("admin", "operator"))
    assert decide("revoke", frozenset({Standing.IDENTITY, Standing.OPERATOR})) is Standing.OPERATOR
    for error in (needed.value, refused.value):
        assert pickle.loads(pickle.dumps(error)).args == error.args
        assert error.remedy


def expected(endpoint: Endpoint, standings: set[str]) -> set[int]:
    """The statuses that say the table's answer."""
    if ACCESS[endpoint.name] & {*standings, "nobody"}:
        return set(range(200, 600)) - {401, 403}
    return {401} if not standings else {403}


@pytest.mark.parametrize("who", ["nobody", "plain", *ROLES])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_certificate_at_every_endpoint(endpoint: Endpoint, who: str, service: Served) -> None:
    """The answer is 401 or 403 exactly where the table does not let such a caller in."""
    identity = None if who == "nobody" else service.authority.issue_client(who)
    standings = set() if who == "nobody" else {"identity"} | ({who} & set(ROLES))
    path = endpoint.path.replace("{name}", "issuing.crl")
    response = service.call(endpoint.methods[0], path, identity)
    assert response.status_code in expected(endpoint, standings), response.text


def test_a_revoked_certificate_is_refused_at_once(serve: Serve) -> None:
    """The store is asked, not a CRL that may be days old; and the log names whom it turned away."""
    with serve() as service:
        orders = service.authority.issue_client("orders")
        with service.client(orders) as client:
            assert client.get("/whoami").json()["standings"] == ["identity"]
            service.authority.revoke(orders.leaf, "keyCompromise")
            refused = client.get("/whoami")
        assert (refused.status_code, refused.json()["code"]) == (401, "call_credential_refused")
        (line,) = service.lines("refused-call")
        assert f"{orders.leaf.serial_number:x}" in line["sentence"]
        assert "revoked" in line["sentence"]


def test_a_certificate_of_the_authority_that_the_store_does_not_know_is_refused(serve: Serve) -> None:
    """Signed by the issuing CA and not remembered: stolen keys make such ones. Trust alone would let it in."""
    with serve() as service:
        orders = service.authority.issue_client("orders")
        service.authority.store.write(
            lambda transaction: transaction.execute(delete(schema.certificates)) and None
        )
        refused = service.call("GET", "/whoami", orders)
        assert refused.status_code == 401
        assert "did not issue" in refused.json()["detail"]
