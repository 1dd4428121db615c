"""Whom a place of an application lets in, and what a refused caller reads."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys

import pytest

from tests.tls.conftest import Pki, pki
from twoway.errors import ConfigError, UsageError
from twoway.integrations.access import Access, NobodyProven
from twoway.integrations.problem import Problem
from twoway.trust import BadRule, NotAllowed, Peer, Policy, verify

__all__ = ["pki"]


@pytest.fixture
def orders(pki: Pki) -> Peer:
    return Peer.from_verified(verify(pki.client.chain, pki.trust, purpose="client"))


def test_a_condition_that_holds_lets_in_and_gives_the_peer(orders: Peer):
    assert Access.of(cn="orders").check(orders) is orders
    assert Access.of(cn=["reports", "orders"], dns="orders").check(orders) is orders


def test_all_conditions_must_hold(orders: Peer):
    with pytest.raises(NotAllowed):
        Access.of(cn="orders", o="Somebody else").check(orders)


def test_several_rules_are_alternatives(orders: Peer):
    assert Access.of("cn=reports", "cn=orders").check(orders) is orders


def test_without_a_certificate_nobody_is_let_in_even_where_anyone_proven_is():
    with pytest.raises(NobodyProven) as refused:
        Access.of(what="/order").check(None)
    assert refused.value.args == ("/order",)
    assert pickle.loads(pickle.dumps(refused.value)).what == "/order"
    assert "identity" in refused.value.remedy


def test_an_empty_policy_lets_in_nobody(orders: Peer):
    with pytest.raises(NotAllowed, match="there is no allow rule"):
        Access.of(policy=Policy()).check(orders)


def test_an_empty_list_of_patterns_is_refused_when_it_is_written():
    with pytest.raises(BadRule, match="cn has no pattern"):
        Access.of(cn=[])


def test_an_unknown_condition_is_refused_when_it_is_written_with_its_line():
    with pytest.raises(BadRule, match=r"test_access\.py:\d+: there is no key 'common_name'"):
        Access.of(common_name="orders")


def test_a_rule_about_requests_is_refused_because_nobody_would_apply_it():
    with pytest.raises(BadRule, match="nobody reads requests here"):
        Access.of(cn="orders", path="/order/**")


def test_a_policy_and_rules_together_are_refused():
    with pytest.raises(UsageError, match="a policy and single rules"):
        Access.of(policy=Policy.anyone_proven(), cn="orders")


def test_a_missing_policy_file_stops_the_start():
    with pytest.raises(ConfigError):
        Access.of(policy="nowhere.toml")


def test_the_deciding_rule_is_in_the_log(orders: Peer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "twoway.access")
    Access.of(cn="orders", what="/order").check(orders)
    with pytest.raises(NotAllowed):
        Access.of("cn=reports", what="/report").check(orders)
    let_in, refused = caplog.messages
    assert let_in.startswith("/order: let in orders: allowed by test_access.py:")
    assert let_in.endswith("(cn=orders)")
    assert refused.startswith("/report: refused orders: no allow rule matches, of 1 tried")


def test_the_deny_rule_that_decided_is_in_the_problem_document(orders: Peer):
    policy = Policy.from_rules(["anyone"], ["cn=orders"])
    with pytest.raises(NotAllowed) as refused:
        Access.of(policy=policy).check(orders)
    problem = Problem.of(refused.value)
    said = json.loads(problem.body)
    assert said["status"] == problem.status == 403
    assert said["code"] == "not_allowed"
    assert "denied by --deny #1 (cn=orders)" in said["detail"]
    assert "www-authenticate" not in dict(problem.headers)


def test_a_401_names_a_challenge():
    """RFC 9110 §11.6.1."""
    problem = Problem.of(NobodyProven("/order"))
    assert problem.status == 401
    assert dict(problem.headers)["www-authenticate"].startswith("ClientCertificate ")


def test_another_error_is_never_told_to_a_caller():
    with pytest.raises(UsageError):
        Problem.of(UsageError("a file is missing"))


def test_importing_twoway_imports_no_framework():
    code = (
        "import sys, twoway; twoway.peer; "
        "print([n for n in ('fastapi', 'flask', 'django', 'aiohttp', 'grpc', 'gunicorn', 'hypercorn', 'starlette')"
        " if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
