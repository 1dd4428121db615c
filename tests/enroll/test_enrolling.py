"""`/enroll` and `/sign`: one certificate for one token, with the token's names and no others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.authority.conftest import make_csr
from tests.enroll.conftest import Serve, Served
from twoway.authority.request import MAX_BYTES
from twoway.authority.tokens import Token
from twoway.credential import certificates_from_pem, common_name, names_of


def token(service: Served, name: str = "orders", profile: str = "client", **more: Any) -> Token:
    now = service.running.service.now()
    return service.authority.tokens.make(profile, name, actor="tester", now=now, **more)


def enroll(service: Served, text: str, csr: bytes | None = None, path: str = "/enroll") -> httpx2.Response:
    content = make_csr(None) if csr is None else csr
    return service.call("POST", path, content=content, headers={"authorization": f"Bearer {text}"})


def test_a_token_and_a_request_become_a_certificate(service: Served) -> None:
    """Names, profile and lifetime are the token's; the audit log says who and how."""
    made = token(service, uri=["spiffe://acme.example/orders"], days=3)
    answer = enroll(service, made.text)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/pem-certificate-chain")
    leaf, issuing = certificates_from_pem(answer.content)
    leaf.verify_directly_issued_by(issuing)
    assert (common_name(leaf.subject), names_of(leaf).uri) == ("orders", ("spiffe://acme.example/orders",))
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 3
    row = list(service.authority.audit())[-1]
    assert (row.act, row.actor) == ("sign", f"orders (token {made.id})")


def test_200_at_once_get_one_certificate(service: Served) -> None:
    made = token(service)
    with service.client() as client, ThreadPoolExecutor(24) as pool:

        def attempt(_: int) -> int:
            headers = {"authorization": f"Bearer {made.text}"}
            return client.post("/enroll", content=make_csr(None), headers=headers).status_code

        statuses = list(pool.map(attempt, range(200)))
    assert sorted(set(statuses)) == [201, 403]
    assert statuses.count(201) == 1
    assert len(service.authority.list("orders")) == 1


@pytest.mark.parametrize(
    "csr",
    [
        {"common_name": "admin"},
        {"common_name": None, "dns": ("orders", "api.acme.example")},
        {"common_name": "orders", "ip": ("192.0.2.1",)},
        {"common_name": None, "others": (x509.RFC822Name("ceo@acme.example"),)},
        {"common_name": None, "others": (x509.UniformResourceIdentifier("spiffe://acme.example/admin"),)},
        {"common_name": None, "others": (x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),)},
    ],
    ids=["common name", "dns", "ip", "email", "uri", "other name"],
)
def test_a_request_for_more_than_the_token_has_is_refused_and_the_token_stays_good(
    service: Served, csr: dict[str, Any]
) -> None:
    """Smuggling by the request: refused by name, not dropped in silence."""
    made = token(service)
    refused = enroll(service, made.text, make_csr(**csr))
    assert (refused.status_code, refused.json()["code"]) == (403, "request_name_refused")
    assert enroll(service, made.text, make_csr("orders")).status_code == 201


def test_what_else_a_request_asks_for_is_not_given(service: Served) -> None:
    """CA:TRUE, OCSPSigning and critical extensions of the request never reach the certificate."""
    wished = (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]),
    )
    answer = enroll(service, token(service).text, make_csr("orders", extensions=wished))
    leaf = certificates_from_pem(answer.content)[0]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_token_for_another_endpoint_is_refused(service: Served) -> None:
    """CVE-2025-44005."""
    refused = enroll(service, token(service, audience="est").text)
    assert (refused.status_code, refused.json()["code"]) == (401, "call_credential_refused")
    assert "made for est" in refused.json()["detail"]
    assert refused.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/sign?profile=client", "/renew", "/whoami"])
def test_a_token_is_nothing_at_an_endpoint_that_does_not_take_them(service: Served, path: str) -> None:
    answer = service.call(
        "GET" if path == "/whoami" else "POST",
        path,
        content=make_csr(),
        headers={"authorization": f"Bearer {token(service).text}"},
    )
    assert answer.status_code == 401 or answer.json()["standings"] == ["nobody"]
    assert service.authority.list("orders") == ()


@pytest.mark.parametrize("header", ["", "Bearer", "Basic b3JkZXJzOng=", "Bearer a.b.c", "bearer x"])
def test_without_a_token_nobody_is_enrolled(service: Served, header: str) -> None:
    refused = service.call("POST", "/enroll", content=make_csr(), headers={"authorization": header})
    assert refused.status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"not a request", b"\x30\x82\x01", b"-----BEGIN CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_told_as_that_and_leaves_the_token_good(service: Served, body: bytes) -> None:
    made = token(service)
    refused = enroll(service, made.text, body)
    assert (refused.status_code, refused.json()["code"]) == (400, "request_unreadable")
    assert enroll(service, made.text).status_code == 201


def test_a_request_that_would_cost_much_is_refused_by_its_size(service: Served) -> None:
    """Bounds come before any signature is looked at, and before the token is."""
    assert enroll(service, token(service).text, b"x" * (MAX_BYTES + 1)).status_code == 413


@pytest.mark.slow
def test_a_giant_key_is_refused_before_its_signature_is_checked(service: Served) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=5120)
    refused = enroll(service, token(service).text, make_csr("orders", key=key))
    assert (refused.status_code, refused.json()["code"]) == (400, "request_key_not_accepted")


def test_a_token_for_names_that_have_a_role_is_not_redeemed(service: Served) -> None:
    """Or whoever may hand out tokens could make himself an admin."""
    refused = enroll(service, token(service, "admin").text)
    assert (refused.status_code, refused.json()["code"]) == (403, "call_name_has_role")


@pytest.mark.parametrize(("role", "status"), [("requester", 201), ("operator", 201), ("auditor", 403)])
def test_who_may_ask_for_certificates_of_others(service: Served, role: str, status: int) -> None:
    who = service.authority.issue_client(role)
    csr = make_csr("api", dns=("api.acme.example",))
    answer = service.call("POST", "/sign?profile=server&days=5", who, content=csr)
    assert answer.status_code == status, answer.text
    if status == 201:
        row = list(service.authority.audit())[-1]
        assert row.actor == f"{role} (certificate {who.leaf.serial_number:x})"


def test_a_requester_cannot_ask_for_a_role_and_an_admin_can(service: Served) -> None:
    csr = make_csr("operator")
    requester, admin = (service.authority.issue_client(role) for role in ("requester", "admin"))
    refused = service.call("POST", "/sign?profile=client", requester, content=csr)
    assert (refused.status_code, refused.json()["code"]) == (403, "call_name_has_role")
    assert service.call("POST", "/sign?profile=client", admin, content=csr).status_code == 201


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?profile=nothing", 400), ("?profile=client&days=x", 400), ("?profile=../x", 400)],
)
def test_a_question_that_makes_no_sense_is_told_as_one(service: Served, query: str, status: int) -> None:
    who = service.authority.issue_client("operator")
    assert service.call("POST", f"/sign{query}", who, content=make_csr()).status_code == status


def test_a_token_whose_time_is_over_is_refused(serve: Serve) -> None:
    with serve() as service:
        made = token(service)
        service.running.service.now = lambda: made.not_after.replace(year=made.not_after.year + 1)  # type: ignore[method-assign]
        refused = enroll(service, made.text)
    assert refused.status_code == 401
    assert "time was over" in refused.json()["detail"]
