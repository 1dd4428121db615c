"""Certificate-bound access tokens: a token counts only from whom it was issued to (RFC 8705)."""

import base64
import hashlib
from typing import Annotated, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import Depends, FastAPI, Header

from tests.integrations.conftest import Callers, serving
from tests.tls.conftest import Pki
from twoway.integrations.fastapi import bound, install
from twoway.integrations.oauth import TokenNotBound, check_bound, thumbprint
from twoway.trust import Peer, verify


@pytest.fixture
def orders(pki: Pki) -> Peer:
    return Peer.from_verified(verify(pki.client.chain, pki.trust, purpose="client"))


def test_the_thumbprint_is_the_sha_256_of_the_der_in_base64url(orders: Peer):
    """RFC 8705 §3.1."""
    digest = hashlib.sha256(orders.leaf.public_bytes(Encoding.DER)).digest()
    assert thumbprint(orders) == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert len(thumbprint(orders)) == 43


def test_a_token_that_is_bound_to_the_peer_counts(orders: Peer):
    check_bound({"cnf": {"x5t#S256": thumbprint(orders)}}, orders)


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({}, "bound to no certificate"),
        ({"cnf": None}, "bound to no certificate"),
        ({"cnf": "x5t#S256"}, "bound to no certificate"),
        ({"cnf": {"jkt": "a"}}, "bound to no certificate"),
        ({"cnf": {"x5t#S256": ["a"]}}, "bound to no certificate"),
        ({"cnf": {"x5t#S256": ""}}, "bound to another certificate"),
        ({"cnf": {"x5t#S256": "\ud800é"}}, "bound to another certificate"),
    ],
)
def test_any_other_token_is_refused_with_the_reason(orders: Peer, claims: Any, problem: str):
    with pytest.raises(TokenNotBound, match=problem):
        check_bound(claims, orders)


def test_a_bound_token_without_a_certificate_is_refused(orders: Peer):
    with pytest.raises(TokenNotBound, match="the caller has shown none"):
        check_bound({"cnf": {"x5t#S256": thumbprint(orders)}}, None)


def test_the_fastapi_dependency_refuses_a_stolen_token(callers: Callers, orders: Peer):
    """RFC 8705 §3: 401 and invalid_token."""

    def claims(authorization: Annotated[str, Header()]) -> dict[str, Any]:
        return {"sub": "orders", "cnf": {"x5t#S256": authorization.removeprefix("Bearer ")}}

    app = FastAPI()
    install(app)

    @app.get("/who")
    def who(token: Annotated[dict[str, Any], Depends(bound(claims))]) -> dict[str, str]:
        return {"by": token["sub"]}

    header = {"authorization": f"Bearer {thumbprint(orders)}"}
    with serving(callers.pki, app) as port:
        assert callers.ask(port, headers=header).json == {"by": "orders"}
        stolen = callers.ask(port, who="reports", headers=header)
        assert (stolen.status, stolen.json["code"]) == (401, "token_not_bound")
        assert stolen.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert callers.ask(port, who=None, headers=header).status == 401
