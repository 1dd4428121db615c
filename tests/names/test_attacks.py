"""What an attacker would present as a name, and what it must not match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.names import (
    BadName,
    comparable,
    compile_pattern,
    matches_hostname,
    matches_pattern,
    problem_of,
)


def test_a_letter_that_becomes_ascii_in_lower_case_is_no_ascii_letter():
    """U+212A (KELVIN SIGN) lowers to k: a certificate for ban\u212a.example is none for bank.example."""
    assert not matches_hostname("ban\u212a.example", "bank.example")
    assert not matches_hostname("bank.example", "ban\u212a.example")
    for kind, value in (
        ("dns", "ban\u212a.example"),
        ("email", "kim@ban\u212a.example"),
        ("uri", "https://ban\u212a.example/a"),
    ):
        assert not matches_pattern(kind, value.replace("\u212a", "k"), value)
        with pytest.raises(BadName):
            compile_pattern(kind, value)
        with pytest.raises(BadName):
            compile_pattern(kind, value + "*" if kind == "uri" else "*." + value)


def test_a_wildcard_covers_no_address():
    assert not matches_hostname("*.0.0.1", "127.0.0.1")


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("https://*.acme.example/a", "https://evil.com?.acme.example/a"),
        ("https://*.acme.example/a", "https://evil.com#.acme.example/a"),
        ("https://*.acme.example/a", "https://evil.com:80.acme.example/a"),
        ("https://*.acme.example/a", "https://evil.com:80@x.acme.example/a"),
        ("https://*.acme.example/a", "https://x.y.acme.example/a"),
        ("https://*.acme.example/a", "https://.acme.example/a"),
        ("https://*.acme.example/a", "https://x.acme.example./a"),
        ("https://**/a", "https://x.example/b/a"),
        ("https://acme.example/*/a", "https://acme.example/x?/a"),
        ("https://acme.example/**", "https://acme.example/x#y"),
        ("https://acme.example/**", "https://acme.example/..;x/y"),
        ("https://acme.example/**", "https://acme.example/a%00b"),
        ("https://acme.example/**", "https://acme.example/a%2fb"),
        ("https://acme.example/**", "https://acme.example/%252e%252e/b"),
        ("https://acme.example/**", "https://acme.example/%6a"),
        ("https://acme.example/**", "https://acme.example/%zz"),
        ("https://acme.example/**", "https://acme.example"),
        ("https://acme.example/**", "https://acme.example:8443/a"),
        ("https://acme.example:*/**", "https://acme.example/a"),
        ("https://acme.example/a*", "https://acme.example/a/b"),
        ("https://x/**", "https://x/" + "a/" * 300),
        ("urn:acme:*", "urn:acme:a/../b"),
        ("spiffe://acme.example/**", "spiffe:/acme.example/a"),
        ("spiffe://acme.example/**", "spiffe://acme.example:1/a"),
        ("spiffe://acme.example/**", "spiffe://acme.example/a%41"),
    ],
)
def test_a_uri_that_could_be_read_in_two_ways_matches_nothing(pattern: str, value: str):
    assert not matches_pattern("uri", pattern, value)


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        ("dns", "*.acme.example", "wildcard"),
        ("dns", "a..b", "labels"),
        ("dns", "acme.example.", "labels"),
        ("dns", "a b.example", "labels"),
        ("email", "a@b@acme.example", "plain local part"),
        ("email", "kim@acme.example.", "labels"),
        ("ip", "fe80::1%eth0", "zone"),
        ("ip", "10.0.0.1.evil.example", "neither"),
        ("ip", "::ffff:10.0.0.1", "written as IPv4 (10.0.0.1)"),
        ("uri", "https://kim@acme.example/", "host"),
        ("uri", "https://acme.example/a?b", "query"),
        ("uri", "https://acme.example/a//b", "empty segment"),
        ("uri", "//acme.example/a", "no scheme"),
        ("uri", "https://acme.example/a b", "encodes"),
        ("cn", "orders\u200b", "cannot be seen"),
        ("cn", "orders\u202eevil", "cannot be seen"),
        ("cn", "orders\0", "cannot be seen"),
        ("cn", "", "empty"),
        ("fingerprint", ":", "64 hexadecimal digits"),
        ("o", "x" * 3000, "longer"),
    ],
)
def test_a_name_that_cannot_be_compared_says_why(kind: str, value: str, problem: str):
    assert comparable(kind, value) is None
    assert problem in (problem_of(kind, value) or "")


@pytest.mark.parametrize(
    ("kind", "pattern", "value"),
    [
        ("uri", "urn:acme:orders", "URN:acme:orders"),
        ("uri", "https://acme.example/%C3%A9", "https://acme.example/%c3%a9"),
        ("uri", "https://[2001:DB8::1]:8443/*", "https://[2001:db8:0::1]:8443/a"),
        ("ip", "10.0.0.0/8", "10.9.8.7"),
        ("ip", "2001:db8::/32", "2001:db8::7"),
        ("ip", "10.0.**", "10.0.1.2"),
        ("o", "Caf\u00e9", "Cafe\u0301"),
        ("fingerprint", "sha256=" + "AB" * 32, "ab" * 32),
    ],
)
def test_two_spellings_of_one_name_are_one_name(kind: str, pattern: str, value: str):
    assert matches_pattern(kind, pattern, value)


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("ip", "10.*"),
        ("ip", "10.0.0.1*"),
        ("ip", "2001:db8::*"),
        ("ip", "10.0.0.1/8"),
        ("ip", "::ffff:10.0.0.0/104"),
        ("email", "acme.example"),
        ("email", "**"),
        ("dns", "*..example"),
        ("uri", "spiffe://acme.example/*/"),
        ("uri", "spiffe://acme.example:*/a"),
        ("uri", "https://acme.example/a?*"),
        ("uri", "https://*@acme.example/a"),
        ("uri", "https://[::*]/a"),
        ("uri", "https://acme.example/%4*"),
        ("uri", "https://acme.example/%c*"),
        ("fingerprint", "ab*"),
        ("cn", "a\u200b*"),
    ],
)
def test_a_wildcard_where_it_can_never_match_is_refused(kind: str, pattern: str):
    with pytest.raises(BadName):
        compile_pattern(kind, pattern)


@given(st.text(max_size=60), st.sampled_from(["dns", "uri", "email", "cn", "ip", "fingerprint"]))
def test_comparing_is_settled_after_once(value: str, kind: str):
    name = comparable(kind, value)
    if name is not None:
        assert comparable(kind, name.text) == name
