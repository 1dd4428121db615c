"""Rules about requests: method and path beside who asks; a path that two servers read differently opens nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command
from tests.tls.conftest import Pki, pki
from twoway.names import comparable, problem_of
from twoway.tls import ClientSettings, ServerSettings
from twoway.trust import BadRule, Policy

__all__ = ["pki"]

ORDERS = {"cn": ("orders",), "uri": ("spiffe://acme.example/orders",)}
BILLING = {"cn": ("billing",)}


def _policy(*allow: str, deny: tuple[str, ...] = ()) -> Policy:
    return Policy.from_rules(allow, deny)


@pytest.mark.parametrize(
    ("rule", "method", "path", "allowed"),
    [
        ("cn=orders,method=GET", "GET", "/x", True),
        ("cn=orders,method=GET", "HEAD", "/x", False),
        ("cn=orders,method=GET", "get", "/x", False),
        ("cn=orders,method=GET,method=POST", "POST", "/x", False),  # a repeated key is another condition
        ("cn=orders,path=/orders/*", "GET", "/orders/12", True),
        ("cn=orders,path=/orders/*", "GET", "/orders/12/items", False),
        ("cn=orders,path=/orders/**", "GET", "/orders/12/items", True),
        ("cn=orders,path=/orders/**", "GET", "/orders", False),
        ("cn=orders,path=/orders/**", "GET", "/orders/", True),
        ("cn=orders,path=/orders/*/items", "GET", "/orders/12/items", True),
        ("cn=orders,path=/v*/x", "GET", "/v12/x", True),
        ("cn=orders,path=/a~b", "GET", "/a%7Eb", True),
        ("cn=orders,path=/orders/**", "GET", "/Orders/1", False),
        ("path=/**", "GET", "/", True),
        ("cn=billing,path=/**", "GET", "/", False),
    ],
)
def test_a_request_is_allowed_by_who_how_and_where(rule: str, method: str, path: str, allowed: bool):
    """Every condition of one rule must hold; the decision names the rule."""
    decision = _policy(rule).decide_request(ORDERS, method, path)
    assert decision.allowed is allowed
    assert ("--allow #1" in decision.because) is allowed


@pytest.mark.parametrize(
    "path",
    ["/admin/x", "/admin/", "/%61dmin/x", "/admin/%7Ex"],
)
def test_a_denied_path_is_denied_in_every_spelling_of_it(path: str):
    """Plain characters that were encoded are decoded, and a slash at the end makes no other path."""
    policy = _policy("cn=orders", deny=("path=/admin/**", "path=/admin"))
    decision = policy.decide_request(ORDERS, "GET", path)
    assert not decision
    assert "--deny" in decision.because


def test_a_slash_more_or_less_gets_around_no_deny_rule():
    policy = _policy("anyone", deny=("path=/keys", "path=/logs/"))
    assert not policy.decide_request(ORDERS, "GET", "/keys/")
    assert not policy.decide_request(ORDERS, "GET", "/logs")
    assert policy.decide_request(ORDERS, "GET", "/keys/1")


@pytest.mark.parametrize(
    "path",
    [
        "/a/../admin", "/a/./b", "/a//b", "//admin", "/a/%2e%2e/admin", "/a/%2E/b", "/a%2fb", "/a%5Cb", "/a\\b",
        "/a%00", "/a%0d", "/a%252e", "/a%", "/a%zz", "/a;x=1/b", "/a/%c0%ae%c0%ae/b", "/a%c0%afb", "/a%ff", "/..;/admin", "/a b", "/ä", "admin", "",
        "/" + "a" * 2048, "/a" * 300,
    ],
)  # fmt: skip
def test_a_path_that_can_be_read_in_two_ways_opens_nothing(path: str):
    """No allow rule holds for it, and every deny rule about paths does."""
    assert problem_of("path", path) is not None
    assert not _policy("path=/**").decide_request(ORDERS, "GET", path)
    assert not _policy("cn=orders", deny=("path=/admin/**",)).decide_request(ORDERS, "GET", path)


def test_a_method_in_small_letters_gets_around_no_deny_rule():
    assert not _policy("cn=orders", deny=("method=DELETE",)).decide_request(ORDERS, "delete", "/")


def test_who_shows_no_certificate_may_do_what_everybody_may():
    """An allow rule about the peer, and `anyone`, speak of proven peers only."""
    policy = _policy("anyone", "path=/public/**", "cn=orders,path=/orders/**")
    assert policy.decide_request(None, "GET", "/public/x")
    assert not policy.decide_request(None, "GET", "/orders/x")
    assert policy.decide_request(ORDERS, "GET", "/other")
    denied = _policy("path=/**", deny=("path=/admin/**",))
    assert not denied.decide_request(None, "GET", "/admin/x")


def test_a_connection_is_let_in_when_some_request_of_it_may_be():
    """Before a request is known a denial of requests says nothing, and conditions on requests are left out."""
    policy = _policy("cn=orders,path=/orders/**", deny=("cn=orders,method=DELETE", "cn=guest"))
    connections = policy.for_connections()
    assert connections.decide(ORDERS)
    assert not connections.decide(BILLING)
    assert not connections.decide({"cn": ("guest",)})
    assert not connections.judges_requests
    assert policy.judges_requests
    assert _policy("cn=x").for_connections().rules == _policy("cn=x").rules


def test_a_request_about_the_whole_server_has_no_path():
    """OPTIONS * fulfils no condition on a path."""
    assert not _policy("path=/**").decide_request(ORDERS, "OPTIONS", None)
    assert _policy("method=OPTIONS").decide_request(ORDERS, "OPTIONS", None)


@pytest.mark.parametrize(
    "rule", ["path=orders", "path=/a/../b", "path=/a;b", "method=get", "path=/a**", "path=/a?x"]
)
def test_a_pattern_that_nothing_can_match_is_a_bad_rule(rule: str):
    with pytest.raises(BadRule, match="--allow #1"):
        _policy(rule)


def test_nobody_who_reads_no_requests_takes_such_rules(pki: Pki, tmp_path: Path):
    """A listener that cannot see a request would never apply them: told with place and remedy."""
    file = tmp_path / "policy.toml"
    file.write_text('[[allow]]\ncn = "orders"\n[[deny]]\npath = "/admin/**"\n')
    policy = Policy.load(file)
    for refuse in (
        lambda: ServerSettings(pki.server, pki.trust, policy),
        lambda: ClientSettings(pki.client, pki.trust, policy),
    ):
        with pytest.raises(BadRule, match=r"policy.toml:3: the rule asks for method or path") as caught:
            refuse()
        assert "--http" in caught.value.remedy
    assert ServerSettings(pki.server, pki.trust, policy, judges_requests=True).policy is policy


def test_many_rules_of_one_method_are_told_apart_by_path():
    """The index files a rule under its path before its method, so that a thousand cost what one costs."""
    policy = Policy.from_rules([f"method=GET,path=/service/{n}/**" for n in range(1000)])
    assert policy.decide_request(ORDERS, "GET", "/service/999/x")
    candidates = list(policy._allow._candidates({"method": ("GET",), "path": ("/service/999/x",)}))
    assert len(candidates) == 1


def test_the_command_decides_about_a_request(run_twoway: Command):
    """`twoway policy test` with --method and --path."""
    rules = ("--allow", "cn=orders,path=/orders/**", "--deny", "method=DELETE")
    asked = ("policy", "test", *rules, "--cn", "orders")
    assert run_twoway(*asked, "--path", "/orders/1").returncode == 0
    denied = run_twoway(*asked, "--path", "/orders/1", "--method", "DELETE")
    assert denied.returncode == 1
    assert "denied by --deny #1 (method=DELETE)" in denied.stdout
    twisted = run_twoway(*asked, "--path", "/orders/../x")
    assert twisted.returncode == 1
    assert "ambiguous" in twisted.stdout
    assert run_twoway(*asked).returncode == 0  # whether it may connect
    assert run_twoway(*asked, "--method", "GET").returncode == 2


_SEGMENT = st.text("abcXYZ019-_.~!$&'()*+,=:@", min_size=1, max_size=8).filter(lambda s: s not in (".", ".."))


@given(st.lists(_SEGMENT, min_size=1, max_size=6))
def test_a_plain_path_is_its_own_spelling(segments: list[str]):
    path = "/" + "/".join(segments)
    found = comparable("path", path)
    assert found is not None
    assert found.text == path


@given(st.text(max_size=60))
def test_no_path_breaks_a_decision(path: str):
    """A decision, never an exception; and what is compared has no relative segment left."""
    _policy("path=/a/**", deny=("path=/b",)).decide_request(ORDERS, "GET", path)
    found = comparable("path", path)
    if found is not None:
        assert not {".", ".."} & set(found.text.split("/"))
        assert "//" not in found.text
