"""Who may call what: every kind of credential at every endpoint, and nothing that the table does not say."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from tests.enroll.acme.client import Acme
from tests.enroll.conftest import ROLES, Serve, Served, served
from twoway.authority import Authority, schema
from twoway.enroll import access, routes
from twoway.enroll.access import ACCESS, Standing, decide
from twoway.enroll.call import Endpoint
from twoway.enroll.caller import by_certificate
from twoway.enroll.est_accounts import EstAccounts
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


KINDS = {
    # What is presented, and what the caller is by it where the endpoint looks for such a credential.
    "nothing": set(),
    "certificate": {"identity"},
    **{f"certificate of {role}": {"identity", role} for role in ROLES},
    "token for enroll": {"token"},
    "token for est": {"token"},
    "basic": {"est-basic"},
    "acme account": {"acme-account"},
    "acme key": {"acme-key"},
}
ACME = {name for name in ACCESS if name.startswith("acme-")} - {
    "acme-directory",
    "acme-new-nonce",
    "acme-renewal-info",
}
TAKES = {
    # Where a credential other than a certificate counts at all.
    "token for enroll": {"enroll"},
    "token for est": {"est-enroll"},
    "basic": {"est-enroll"},
    "acme account": ACME - {"acme-new-account"},
    "acme key": {"acme-new-account", "acme-revoke"},
}


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("access") / "pki"
    with Authority.create(directory, name="Acme", no_passphrase=True) as made, served(made) as service:
        yield service


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_credential_at_every_endpoint(endpoint: Endpoint, kind: str, everywhere: Served) -> None:
    """The answer is 401 or 403 exactly where the table does not let such a caller in (CVE-2025-44005)."""
    standings, identity, headers, content = KINDS[kind], None, {}, b""
    path = endpoint.path.replace("{name}", "issuing.crl").replace("{label}", "client")
    if kind.startswith("certificate"):
        identity = everywhere.authority.issue_client(kind.removeprefix("certificate of "))
    elif kind.startswith("token"):
        audience = kind.removeprefix("token for ")
        made = everywhere.authority.tokens.make(
            "client", "orders", audience=audience, actor="tester", now=everywhere.running.service.now()
        )
        headers["authorization"] = f"Bearer {made.text}"
    elif kind == "basic":
        password = EstAccounts(everywhere.authority.directory).add("orders", "client")
        headers["authorization"] = "Basic " + base64.b64encode(f"orders:{password}".encode()).decode()
    elif kind.startswith("acme"):
        with everywhere.client() as http:
            acme = Acme(everywhere, http)
            if kind == "acme account":
                acme.register()
                path = path.replace("{account}", str(acme.kid).rpartition("/")[2])
            headers["content-type"] = "application/jose+json"
            content = json.dumps(acme.body(path.replace("{", "%7B").replace("}", "%7D"), {})).encode()
    looked_for = by_certificate in endpoint.authenticate if identity else endpoint.name in TAKES.get(kind, ())
    if not looked_for:
        standings = set()
    response = everywhere.call(endpoint.methods[0], path, identity, headers=headers, content=content)
    if ACCESS[endpoint.name] & {*standings, "nobody"}:
        assert response.status_code not in (401, 403), response.text
    elif kind.startswith("acme") and endpoint.name in ACME:
        # Signed by the one where the other is asked for: told as what it is, before the table is asked.
        assert (response.status_code, response.json()["code"]) == (400, "acme_malformed")
    elif standings:
        assert (response.status_code, response.json()["code"]) == (403, "call_not_permitted")
    else:
        assert response.status_code == 401
        assert response.json()["code"] in ("call_credential_needed", "call_credential_refused")


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
