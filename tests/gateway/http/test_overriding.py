"""What a client says beside its request line, to make the target see another one, or somebody else."""

from __future__ import annotations

import pytest

from tests.gateway.http.conftest import Caller, HttpBackend, Ledger, Pki, context_of, http_gateway, running
from twoway.gateway.http.fields import BAD, request_kinds
from twoway.gateway.http.heads import MAX_HEAD

OVERRIDES = [
    "X-Original-URL",
    "x_original_url",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X_Method_Override",
]


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_field_that_names_another_path_or_method_is_refused_where_rules_judge_them(
    pki: Pki, http_backend: HttpBackend, name: str
):
    """Some frameworks route by these fields: the target would do what the policy has never been asked about."""
    ledger = Ledger()
    rules = {"allow": ["cn=orders,method=GET,path=/orders/**"], "deny": ["path=/orders/admin/**"]}
    with running(http_gateway(pki, http_backend, ledger=ledger, **rules)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            asked = f"GET /orders/1 HTTP/1.1\r\nHost: localhost\r\n{name}: /orders/admin/1\r\n\r\n".encode()
            assert caller.ask(b"GET /orders/1 HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
            assert caller.ask(asked).status == 400
            assert caller.ask(b"GET /orders/2 HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
    assert [one.code for one in ledger.refusals] == ["overridden_request"]
    assert name in str(ledger.refusals[0].reason)
    assert len(http_backend.requests) == 2


def test_without_rules_about_requests_such_a_field_is_the_targets_own_affair(
    pki: Pki, http_backend: HttpBackend
):
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        caller.ask(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: PATCH\r\n\r\n")
    assert http_backend.requests[0].values("x-http-method-override") == ["PATCH"]


@pytest.mark.parametrize("target", ["/orders/1", "localhost:80", "http://localhost/", "*"])
def test_connect_is_refused_whatever_its_target(pki: Pki, http_backend: HttpBackend, target: str):
    """RFC 9110 §9.3.6: a target that says yes to CONNECT takes what follows for a tunnel, and nobody would judge it."""
    with running(http_gateway(pki, http_backend)) as gateway, Caller(gateway, context_of(pki)) as caller:
        asked = f"CONNECT {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        assert caller.ask(asked).status == 501
        assert caller.ended()
    assert not http_backend.accepted


def test_a_name_that_is_none_is_not_remembered():
    """Clients choose names, and a faulty one may be as long as a head: thousands of them would fill the memory."""
    kinds = request_kinds(())
    for number in range(100):
        assert kinds[b"%d" % number + b"a" * (MAX_HEAD // 2)] == BAD
    assert not kinds
