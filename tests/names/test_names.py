"""How names are written and when one matches another."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twoway.names import (
    BadName,
    Names,
    compile_pattern,
    guess_kind,
    is_ip,
    matches_hostname,
    matches_pattern,
    parse_dns_name,
    parse_email,
    parse_ip,
    parse_uri,
    spiffe_id,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("API.Acme.Example", "api.acme.example"),
        ("api.acme.example.", "api.acme.example"),
        ("*.acme.example", "*.acme.example"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("_dns.acme.example", "_dns.acme.example"),
    ],
)
def test_a_dns_name_is_written_in_one_way(text: str, name: str):
    assert parse_dns_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a-.example",
        "*.example",
        "a.*.example",
        "f*.acme.example",
        "a b",
        "1.2.3.4",
        "a" * 64,
        "a." * 130,
        "a\0b",
        "a/b",
        "*",
    ],
)
def test_what_is_no_dns_name_is_refused_with_the_problem(text: str):
    with pytest.raises(BadName) as caught:
        parse_dns_name(text)
    assert caught.value.problem
    assert "api.acme.example" in caught.value.remedy


def test_addresses_are_written_in_their_shortest_form():
    assert parse_ip("[2001:DB8:0:0::1]") == "2001:db8::1"
    assert is_ip("127.0.0.1")
    assert not is_ip("localhost")
    for text in ("1.2.3", "1.2.3.4/24", "fe80::1%eth0", "", "١.1.1.1"):
        assert not is_ip(text)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("SPIFFE://acme.example/orders", "spiffe://acme.example/orders"),
        ("https://Acme.Example/A", "https://acme.example/A"),
        ("urn:acme:Orders", "urn:acme:Orders"),
    ],
)
def test_a_uri_keeps_its_path_and_lowers_its_host(text: str, uri: str):
    assert parse_uri(text) == uri


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://acme.example/",
        "spiffe://acme.example//orders",
        "spiffe://acme.example/orders/../admin",
        "spiffe://acme.example/orders/./x",
        "spiffe://acme.example/ord%65rs",
        "spiffe://user@acme.example/orders",
        "spiffe://acme.example:8443/orders",
        "spiffe:///orders",
        "spiffe:orders",
        "no-scheme",
        "https://a b",
        "https://ä.example/",
        "",
    ],
)
def test_what_is_no_uri_or_no_spiffe_id_is_refused(text: str):
    with pytest.raises(BadName):
        parse_uri(text)


def test_mail_addresses_keep_their_local_part():
    assert parse_email("Kim.Lee@Acme.Example") == "Kim.Lee@acme.example"
    for text in ("kim", "@acme.example", "kim@", "a b@acme.example", "kim@*.acme.example", "a@b@c.example"):
        with pytest.raises(BadName):
            parse_email(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("orders", "dns"),
        ("10.0.0.1", "ip"),
        ("spiffe://acme.example/x", "uri"),
        ("kim@acme.example", "email"),
        ("Kim Lee", "text"),
    ],
)
def test_the_kind_of_a_name_is_guessed(text: str, kind: str):
    assert guess_kind(text) == kind


def test_a_spiffe_id_is_the_only_uri_or_none():
    """X509-SVID §2: exactly one URI."""
    assert spiffe_id(("spiffe://acme.example/a",)) == "spiffe://acme.example/a"
    assert spiffe_id(("spiffe://acme.example/a", "spiffe://acme.example/b")) is None
    assert spiffe_id(("https://acme.example/a",)) is None
    assert spiffe_id(("spiffe://acme.example/a/",)) is None
    assert spiffe_id(()) is None


def test_names_tell_whether_there_are_any():
    assert not Names()
    assert Names(ip=("10.0.0.1",))
    assert str(Names(dns=("a",), uri=("b:c",))) == "dns:a, uri:b:c"


# RFC 9525 §6.3.
@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("api.acme.example", "API.acme.example", True),
        ("api.acme.example", "api.acme.example.", True),
        ("api.acme.example", "x.api.acme.example", False),
        ("*.acme.example", "api.acme.example", True),
        ("*.acme.example", "acme.example", False),
        ("*.acme.example", "a.b.acme.example", False),
        ("*.acme.example", ".acme.example", False),
        ("*.acme.example", "*.acme.example", False),
        ("a*.acme.example", "api.acme.example", False),
        ("*", "localhost", False),
        ("*.example", "acme.example", False),
        ("*.*.example", "a.b.example", False),
        ("api.acme.example\0.evil", "api.acme.example", False),
        ("", "", False),
    ],
)
def test_a_wildcard_stands_for_one_whole_left_label(pattern: str, host: str, matches: bool):
    assert matches_hostname(pattern, host) is matches


@pytest.mark.parametrize(
    ("kind", "pattern", "value", "matches"),
    [
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/orders/a", True),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/orders/a/b", True),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/orders", False),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/ordersx/a", False),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/orders/../admin", False),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/orders/%2e%2e/admin", False),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example/orders//a", False),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://acme.example.evil/orders/a", False),
        ("uri", "spiffe://acme.example/orders/**", "spiffe://evil@acme.example/orders/a", False),
        ("uri", "spiffe://acme.example/orders/*", "spiffe://acme.example/orders/a/b", False),
        ("uri", "spiffe://acme.example/*/db", "spiffe://acme.example/a/db", True),
        ("uri", "spiffe://*.example/a", "spiffe://acme.example/a", True),
        ("uri", "https://acme.example/a*", "https://acme.example/ab", True),
        ("uri", "https://acme.example/a*", "https://acme.example/a", False),
        ("uri", "https://acme.example/x/**", "https://acme.example/x/%2e%2e/y", False),
        ("uri", "https://acme.example/x/**", "https://acme.example/x/..", False),
        ("uri", "https://acme.example/x/**", "https://acme.example\\x/a", False),
        ("uri", "SPIFFE://Acme.example/a", "spiffe://acme.example/a", True),
        ("uri", "spiffe://acme.example/A", "spiffe://acme.example/a", False),
        ("dns", "*.acme.example", "api.acme.example", True),
        ("dns", "*.acme.example", "a.b.acme.example", False),
        ("dns", "**.acme.example", "a.b.acme.example", True),
        ("dns", "API.acme.example", "api.acme.example", True),
        ("dns", "api.acme.example", "*.acme.example", False),
        ("dns", "*.acme.example", "*.acme.example", False),
        ("dns", "api.acme.example", "api.acme.example.", False),
        ("email", "*@acme.example", "kim@ACME.example", True),
        ("email", "kim@acme.example", "Kim@acme.example", False),
        ("email", "*@acme.example", "kim@evil@acme.example", False),
        ("cn", "orders-*", "orders-7", True),
        ("cn", "orders", "Orders", False),
        ("cn", "orders", "orders\n", False),
        ("cn", "orders", "orders\0.evil", False),
        ("ip", "2001:db8::1", "2001:0db8:0::1", True),
        ("ip", "10.0.0.*", "10.0.0.7", True),
        ("fingerprint", "AB:CD" + "00" * 30, "abcd" + "00" * 30, True),
        ("o", "Acme*", "Acme, Inc.", True),
        ("issuer", "CN=Acme *", "CN=Acme Issuing CA", True),
    ],
)
def test_patterns_cover_what_they_say_and_no_more(kind: str, pattern: str, value: str, matches: bool):
    assert matches_pattern(kind, pattern, value) is matches


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("uri", "*://acme.example/a"),
        ("uri", "spiffe://acme.example/a**"),
        ("uri", "spiffe://acme.example/***"),
        ("uri", "spiffe://acme.example/*/../b"),
        ("uri", "spiffe://acme.example/a/"),
        ("dns", ""),
        ("dns", "a\nb"),
        ("ip", "not an address"),
        ("cn", "x" * 3000),
    ],
)
def test_a_pattern_that_can_never_match_is_refused(kind: str, pattern: str):
    with pytest.raises(BadName):
        compile_pattern(kind, pattern)


_SEGMENT = st.text("abcxyz019-", min_size=1, max_size=6)
_PATHS = st.lists(_SEGMENT, min_size=1, max_size=5)


@given(_PATHS, _PATHS)
def test_a_pattern_without_wildcard_matches_only_itself(one: list[str], other: list[str]):
    pattern = "spiffe://acme.example/" + "/".join(one)
    value = "spiffe://acme.example/" + "/".join(other)
    assert matches_pattern("uri", pattern, value) == (one == other)


@given(_PATHS)
def test_a_star_never_crosses_a_segment(path: list[str]):
    value = "spiffe://acme.example/" + "/".join(path)
    assert matches_pattern("uri", "spiffe://acme.example/*", value) == (len(path) == 1)
    assert matches_pattern("uri", "spiffe://acme.example/**", value)


@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.sampled_from(["dns", "uri", "email", "cn", "ip", "fingerprint"]),
)
def test_matching_ends_in_an_answer_or_a_typed_error(pattern: str, value: str, kind: str):
    refusal = None
    try:
        assert matches_pattern(kind, pattern, value) in (True, False)
    except BadName as error:
        refusal = error
    assert refusal is None or refusal.kind == kind


@given(st.text(max_size=60))
def test_parsers_end_in_a_name_or_a_typed_error(text: str):
    for parse in (parse_dns_name, parse_email, parse_ip, parse_uri):
        try:
            once = parse(text)
        except BadName:
            continue
        assert parse(once) == once


def test_a_pattern_of_many_stars_is_matched_in_bounded_steps():
    """Within a segment each piece is looked for once; across segments one `**` is remembered, of at most 256."""
    pattern = compile_pattern("cn", "*a" * 1000 + "b")
    assert not pattern.matches("a" * 2000)
    deep = compile_pattern("uri", "https://x/" + "**/a/" * 100 + "b")
    assert not deep.matches("https://x/" + "a/" * 250 + "c")
    with pytest.raises(BadName):
        compile_pattern("uri", "https://x/" + "**/a/" * 200 + "b")


@settings(max_examples=300)
@given(st.text("a*b", min_size=1, max_size=8).filter(lambda t: "**" not in t), st.text("ab", max_size=10))
def test_a_star_is_one_character_or_more(pattern: str, value: str):
    """The independent judge is a regular expression, which the matcher itself never uses."""
    expected = re.fullmatch("".join(".+" if c == "*" else c for c in pattern), value) is not None
    assert matches_pattern("cn", pattern, value) is expected


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=8),
)
def test_two_stars_are_one_segment_or_more(pattern: list[str], value: list[str]):
    pieces = {"*": "/[ab]", "**": "(?:/[ab])+"}
    expected = re.fullmatch("".join(pieces.get(one, "/" + one) for one in pattern), "/" + "/".join(value))
    found = matches_pattern("uri", "https://x/" + "/".join(pattern), "https://x/" + "/".join(value))
    assert found is (expected is not None)
