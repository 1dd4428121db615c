"""Names that can be read in several ways: they let nobody in, and they do not get around a deny rule."""

from __future__ import annotations

import pytest

from twoway.trust import Policy


def decide(facts: dict[str, tuple[str, ...]], *, allow: str = "o=Acme", deny: str | None = None):
    return Policy.from_rules(allow=[allow], deny=[deny] if deny else []).decide({"o": ("Acme",), **facts})


@pytest.mark.parametrize(
    ("deny", "key", "value"),
    [
        ("uri=https://acme.example/old/**", "uri", "https://acme.example/old/a?b"),
        ("uri=https://acme.example/old/**", "uri", "https://acme.example/x/%2e%2e/old/a"),
        ("uri=https://acme.example/old/**", "uri", "https://[acme.example/old/a"),
        ("uri=spiffe://acme.example/old/*", "uri", "spiffe://acme.example/old/a/"),
        ("dns=old.acme.example", "dns", "old.acme.example."),
        ("dns=old.acme.example", "dns", "*.acme.example"),
        ("dns=**.acme.example", "dns", "*.acme.example"),
        ("dns=old.acme.example", "dns", "o*.acme.example"),
        ("dns=ban*.example", "dns", "ban\u212a.example"),
        ("ip=10.0.0.0/8", "ip", "::ffff:10.0.0.1"),
        ("email=kim@acme.example", "email", '"kim"@acme.example'),
        ("cn=old", "cn", "old\u200b"),
        ("cn=old", "cn", "old\0"),
    ],
)
def test_a_name_that_cannot_be_compared_does_not_get_around_a_deny_rule(deny: str, key: str, value: str):
    assert decide({key: (value,)}, deny=None)
    decision = decide({key: (value,)}, deny=deny)
    assert not decision.allowed
    assert decision.rule is not None
    assert decision.because.startswith("denied by --deny #1")
    assert decision.because.isprintable()


def test_a_denial_out_of_doubt_says_which_name_and_why():
    decision = decide({"uri": ("https://acme.example/a?b",)}, deny="uri=https://other.example/**")
    assert "nobody can compare uri=https://acme.example/a?b (a query" in decision.because


def test_a_presented_wildcard_is_denied_only_where_it_could_be_the_denied_name():
    assert decide({"dns": ("*.acme.example",)}, deny="dns=old.other.example")
    assert decide({"dns": ("*.acme.example",)}, deny="dns=a.old.acme.example")


def test_the_other_conditions_of_a_deny_rule_still_count():
    assert decide({"uri": ("https://a.example/?",)}, deny="uri=https://b.example/**,ou=Old")
    assert not decide(
        {"uri": ("https://a.example/?",), "ou": ("Old",)}, deny="uri=https://b.example/**,ou=Old"
    )


def test_of_several_common_names_any_denies_and_only_all_of_them_allow():
    assert not decide({"cn": ("old", "orders")}, deny="cn=old")
    assert not decide({"cn": ("orders", "old")}, deny="cn=old")
    assert not decide({"cn": ("stranger", "orders")}, allow="cn=orders")
    assert not decide({"cn": ("orders", "stranger")}, allow="cn=orders")
    assert decide({"cn": ("orders-1", "orders-2")}, allow="cn=orders-*")


def test_a_spiffe_id_beside_another_uri_lets_nobody_in_and_still_denies():
    """X509-SVID §2: a certificate with more than one URI is no SVID."""
    for other in ("spiffe://acme.example/b", "urn:acme:b", "SPIFFE://other.example/x"):
        uris = ("spiffe://acme.example/a", other)
        assert not decide({"uri": uris}, allow="uri=spiffe://acme.example/a")
        assert not decide({"uri": uris}, deny="uri=spiffe://acme.example/a")
    assert decide({"uri": ("spiffe://acme.example/a",)}, allow="uri=spiffe://acme.example/a")
    assert decide({"uri": ("urn:acme:b", "urn:acme:a")}, allow="uri=urn:acme:a")


def test_ipv4_within_ipv6_is_let_in_by_no_rule_about_ipv4():
    """Name constraints about IPv4 do not see it, so no rule about IPv4 may either."""
    assert not decide({"ip": ("::ffff:10.0.0.1",)}, allow="ip=10.0.0.0/8")
    assert not decide({"ip": ("::ffff:10.0.0.1",)}, allow="ip=10.0.0.1")
