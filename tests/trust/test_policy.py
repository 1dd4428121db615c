"""Who may come in: deny wins, none denies, and every decision names its rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Command
from tests.pki import Issuer
from twoway.credential import CredentialError
from twoway.errors import TwowayError
from twoway.trust import BadRule, NotAllowed, Peer, Policy, Rule, Trust, verify
from twoway.trust.policy_file import parse_rules
from twoway.trust.rules import KEYS, facts_of

ORDERS = {
    "cn": ("orders",),
    "o": ("Acme",),
    "ou": (),
    "dns": ("orders.acme.example",),
    "ip": ("10.0.0.7",),
    "email": (),
    "uri": ("spiffe://acme.example/orders/blue",),
    "fingerprint": ("ab" * 32,),
    "issuer": ("CN=Acme Issuing, O=Acme", "Acme Issuing"),
}


@pytest.mark.parametrize(
    "rule",
    [
        "cn=orders",
        "cn=ord*",
        "o=Acme",
        "dns=*.acme.example",
        "ip=10.0.0.7",
        "uri=spiffe://acme.example/orders/**",
        f"fingerprint={'AB:' * 31}AB",
        "issuer=Acme Issuing",
        r"issuer=CN=Acme Issuing\, O=Acme",
        "cn=orders,o=Acme,uri=spiffe://acme.example/*/blue",
        "anyone",
    ],
)
def test_a_rule_lets_in_whom_it_describes(rule: str):
    decision = Policy.from_rules(allow=[rule]).decide(ORDERS)
    assert decision.allowed
    assert "--allow #1" in decision.because


@pytest.mark.parametrize(
    "rule",
    [
        "cn=Orders",
        "cn=order",
        "o=Acme*",
        "ou=*",
        "dns=acme.example",
        "uri=spiffe://acme.example/billing/**",
        "cn=orders,o=Other",
        "email=*@acme.example",
    ],
)
def test_a_rule_keeps_out_whom_it_does_not_describe(rule: str):
    """A key without a value on the peer never matches; all keys of a rule must."""
    decision = Policy.from_rules(allow=[rule]).decide(ORDERS)
    assert not decision.allowed
    assert decision.rule is None
    assert "cn=orders" in decision.because


def test_rules_are_or_and_deny_wins_in_any_order():
    policy = Policy.from_rules(allow=["cn=billing", "cn=orders"], deny=["ip=10.0.0.*"])
    decision = policy.decide(ORDERS)
    assert not decision.allowed
    assert decision.rule is not None
    assert decision.rule.where == "--deny #1"
    turned = Policy(tuple(reversed(policy.rules)))
    assert not turned.decide(ORDERS).allowed


def test_no_rule_lets_in_nobody():
    decision = Policy().decide(ORDERS)
    assert not decision.allowed
    assert "there is no allow rule" in decision.because


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected key=pattern"),
        ("orders", "expected key=pattern"),
        ("uri", "expected key=pattern"),
        ("dnss=a", "no key 'dnss'"),
        ("cn=", "1 to 2048"),
        ("cn=a,", "expected key=pattern"),
        ("uri=*://a/b", "scheme"),
        ("uri=spiffe://a/**b", "whole segments"),
        ("fingerprint=abc", "64 hexadecimal"),
        ("cn=a\x07b", "printable"),
    ],
)
def test_a_rule_that_cannot_be_used_says_why_and_where(text: str, problem: str):
    with pytest.raises(BadRule) as caught:
        Rule.parse(text, where="--allow #3")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("--allow #3: ")
    assert caught.value.remedy


def test_a_policy_file_has_names_lists_and_lines(tmp_path: Path):
    file = tmp_path / "policy.toml"
    file.write_text(
        """# who may come in
[[deny]]
name = "blue is retired"
uri = "spiffe://acme.example/orders/blue"

[[allow]]
o = "Acme"
dns = ["orders.acme.example", "*.billing.acme.example"]
"""
    )
    policy = Policy.load(file)
    assert [rule.where for rule in policy.rules] == [f"{file}:2", f"{file}:6"]
    decision = policy.decide(ORDERS)
    assert not decision.allowed
    assert "blue is retired" in decision.because
    assert policy.decide(ORDERS | {"uri": ()}).allowed


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[[allow]]\n", 1, "no condition"),
        ("[[alow]]\ncn = 'a'\n", 1, "there is no 'alow'"),
        ("[[allow]]\ncn = 'a'\nunit = 'b'\n", 3, "no key 'unit'"),
        ("\n\n[[deny]]\nuri = '*://x'\n", 4, "scheme"),
        ("[[allow]]\ncn = 5\n", 2, "expected text or a list"),
        ("[[allow]]\ncn = []\n", 2, "no pattern"),
        ("[[allow]]\nanyone = true\ncn = 'a'\n", 1, "contradict"),
        ("[allow]\ncn = 'a'\n", 1, "expected tables"),
        ("allow = 3\n", 1, "expected tables"),
    ],
)
def test_a_policy_file_is_refused_with_the_line(text: str, line: int, problem: str):
    with pytest.raises(BadRule) as caught:
        parse_rules(text.encode(), where="policy.toml")
    assert caught.value.where == f"policy.toml:{line}"
    assert problem in str(caught.value)


def test_an_empty_policy_file_denies(tmp_path: Path):
    (tmp_path / "p.toml").write_text("# nobody yet\n")
    assert not Policy.load(tmp_path / "p.toml").decide(ORDERS).allowed
    with pytest.raises(CredentialError):
        Policy.load(tmp_path / "absent.toml")


@given(st.binary(max_size=200))
def test_any_bytes_end_in_rules_or_a_typed_error(data: bytes):
    try:
        parse_rules(data)
    except TwowayError as error:
        assert error.remedy is not None


_VALUES = st.sampled_from(
    [
        "a",
        "b",
        "a.b",
        "x.a.b",
        "spiffe://t/a",
        "spiffe://t/a/b",
        "spiffe://t/b/a/b",
        "spiffe://t",
        "spiffe://x.t/a",
        "https://t:8/a",
        "urn:a:b",
        "urn:a/b",
        "k@a.b",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "a..b",
        "https://t/../a",
    ]
)
_PATTERNS = {
    "cn": st.sampled_from(["a", "*", "a*", "b"]),
    "dns": st.sampled_from(["a.b", "*.b", "**.b", "x.*.b", "*"]),
    "uri": st.sampled_from(
        [
            "spiffe://t/a",
            "spiffe://t/*",
            "spiffe://t/**",
            "spiffe://t/*/b",
            "spiffe://*/a",
            "spiffe://t/**/b",
            "spiffe://**.t/a",
            "https://t:*/a",
            "https://*:8/**",
            "urn:a:*",
            "urn:**",
            "urn:*/b",
        ]
    ),
    "email": st.sampled_from(["k@a.b", "*@a.b", "k@*.b"]),
    "ip": st.sampled_from(["10.0.0.1", "10.0.**", "10.*.0.1", "10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"]),
}
_RULES = st.lists(
    st.tuples(
        st.sampled_from(["allow", "deny"]),
        st.lists(
            st.sampled_from(sorted(_PATTERNS)).flatmap(
                lambda key: _PATTERNS[key].map(lambda p: f"{key}={p}")
            ),
            min_size=1,
            max_size=3,
        ),
    ),
    max_size=8,
)
_FACTS = st.dictionaries(st.sampled_from(KEYS), st.lists(_VALUES, max_size=3).map(tuple))


@settings(max_examples=300)
@given(_RULES, _FACTS)
def test_looking_up_rules_agrees_with_trying_them_all(
    texts: list[tuple[str, list[str]]], facts: dict[str, Any]
):
    rules = tuple(
        Rule.parse(",".join(parts), kind=kind, where=f"#{n}") for n, (kind, parts) in enumerate(texts)
    )  # type: ignore[arg-type]
    denied = [rule for rule in rules if rule.kind == "deny" and rule.matches(facts)]
    allowed = [rule for rule in rules if rule.kind == "allow" and rule.matches(facts)]
    expected = denied[0] if denied else allowed[0] if allowed else None
    decision = Policy(rules).decide(facts)
    assert decision.rule == expected
    assert decision.allowed == (not denied and bool(allowed))


def test_a_peer_is_judged_by_what_its_certificate_says():
    credential = (
        Issuer.root("Acme Root")
        .below("Acme Issuing")
        .leaf(
            "orders", dns=("orders.acme.example",), uri=("spiffe://acme.example/orders",), organization="Acme"
        )
    )
    peer = Peer.from_verified(verify(credential.chain, Trust(credential.anchors), purpose="client"))
    facts = facts_of(peer)
    assert facts["cn"] == ("orders",)
    assert facts["issuer"] == ("CN=Acme Issuing", "Acme Issuing")
    assert Policy.from_rules(allow=["uri=spiffe://acme.example/*"]).decide(peer).allowed
    denied = NotAllowed(peer.describe(), Policy().decide(peer))
    assert "spiffe://acme.example/orders" in str(denied)
    assert "policy test" in denied.remedy


# -- the command line ---------------------------------------------------------------------------------


def test_policy_test_answers_without_a_connection(run_twoway: Command):
    done = run_twoway(
        "policy", "test", "--allow", "uri=spiffe://acme.example/**", "--uri", "spiffe://acme.example/a"
    )
    assert (done.returncode, done.stdout) == (0, "allowed by --allow #1 (uri=spiffe://acme.example/**)\n")
    done = run_twoway("policy", "test", "--allow", "cn=a", "--cn", "b", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["allowed"] is False


def test_policy_test_reads_certificates_and_files(run_twoway: Command, tmp_path: Path):
    credential = Issuer.root("Acme Root").leaf("orders")
    credential.save(tmp_path / "orders")
    (tmp_path / "p.toml").write_text("[[allow]]\ncn = 'orders'\n")
    for caller in (["--identity", tmp_path / "orders"], ["--cert", tmp_path / "orders" / "cert.pem"]):
        done = run_twoway("policy", "test", "--policy", tmp_path / "p.toml", *caller)
        assert done.returncode == 0
        assert f"{tmp_path}/p.toml:1" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["policy", "test", "--cn", "a"],
        ["policy", "test", "--allow", "cn=a"],
        ["policy", "test", "--allow", "cn=a", "--cn", "a", "--cert", "x.pem"],
        ["policy", "test", "--allow", "nonsense", "--cn", "a"],
        ["policy", "test", "--policy", "absent.toml", "--cn", "a"],
        ["policy", "check", "absent.toml"],
    ],
)
def test_policy_asked_wrongly_says_what_to_do(run_twoway: Command, arguments: list[str]):
    done = run_twoway(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("twoway: error: ")
    assert "twoway: hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_policy_check_lists_the_rules(run_twoway: Command, tmp_path: Path):
    (tmp_path / "p.toml").write_text("[[deny]]\ncn = 'old'\n[[allow]]\nanyone = true\n")
    done = run_twoway("policy", "check", tmp_path / "p.toml")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("deny ")
    assert "anyone the trust proves" in done.stdout
