"""The parts of HTTP signatures: structured fields, components, the memory of nonces, and laws of the whole."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.message.conftest import Pki
from tests.message.test_http_signatures import REQUEST
from tests.pki import NOW
from twoway.errors import TwowayError
from twoway.message.http import faults
from twoway.message.http.base import signature_base
from twoway.message.http.exchange import ClientSide, ServerSide
from twoway.message.http.fields import FieldMalformed, InnerList, Item, parse_dictionary, write_dictionary
from twoway.message.http.replay import ReplayCache
from twoway.message.http.verifying import Verifier


def test_the_cache_of_nonces_is_bounded_and_forgets_only_what_is_late():
    cache = ReplayCache(capacity=2)
    until = NOW + timedelta(minutes=5)
    cache.check("a", "1", until=until, now=NOW)
    cache.check("b", "1", until=until, now=NOW)
    with pytest.raises(faults.TooManyRequests, match="2 signed requests are in time"):
        cache.check("a", "2", until=until, now=NOW)
    late = until + timedelta(seconds=2)
    cache.check("a", "2", until=late, now=late)


@pytest.mark.parametrize(
    "text",
    [
        "a=",
        "a=1,",
        "a=1 b=2",
        "a=1, a=2",
        'a="x',
        "a=:x:",
        "a=(1 2",
        "a=(1)2",
        "A=1",
        "a;",
        "a=1;b;b",
        "a=1.5",
        "=1",
    ],
)
def test_a_field_that_is_not_structured_is_refused(text: str):
    with pytest.raises(FieldMalformed):
        parse_dictionary(text)


bare = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1), st.binary(max_size=20), st.booleans(),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)  # fmt: skip
keys = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True)
items = st.builds(Item, bare, st.dictionaries(keys, bare, max_size=3))


@given(st.dictionaries(keys, items, max_size=5))
def test_what_is_written_reads_the_same(members: dict[str, Item]):
    """RFC 9651 §4: decode and encode are inverse."""
    assert parse_dictionary(write_dictionary(members)) == members


@given(st.text(max_size=60))
def test_any_field_is_read_or_refused(text: str):
    with contextlib.suppress(FieldMalformed):
        parse_dictionary(text)


@settings(max_examples=200)
@given(data=st.data())
def test_a_mutated_request_is_an_error_of_ours_or_the_same_request(data: st.DataObject):
    pki = PKI
    sent = SENT
    at = data.draw(st.integers(0, len(sent.headers) - 1))
    name, value = sent.headers[at]
    place = data.draw(st.integers(0, max(len(value) - 1, 0)))
    other = data.draw(st.characters(min_codepoint=9, max_codepoint=255))
    changed = value[:place] + other + value[place + data.draw(st.integers(0, 3)) :]
    headers = (*sent.headers[:at], (name, changed), *sent.headers[at + 1 :])
    side = ServerSide(pki.identity("p256", "api"), Verifier(pki.trust))
    try:
        judged = side.incoming(replace(sent, headers=headers), now=NOW)
    except TwowayError as error:
        assert str(error)
    else:
        assert judged.request.body == REQUEST.body
        assert judged.signer.common_name == "orders"


PKI = Pki()
SENT = ClientSide(PKI.identity(), Verifier(PKI.trust)).outgoing(REQUEST, now=NOW)


@pytest.mark.parametrize(
    ("component", "problem"),
    [
        (Item("@request-target"), "not known here"),
        (Item("@status"), "not known here"),
        (Item("@method", {"req": True}), "request of a request"),
        (Item("Content-Type"), "signed and not there"),
        (Item("x-missing"), "signed and not there"),
        (Item("x-broken"), "line break"),
        (Item("content-type", {"sf": True}), "parameter sf"),
        (Item("content-type", {"key": "a"}), "content-type"),
        (Item("x-members", {"key": "b"}), "no member b"),
        (Item("@query-param", {"name": "missing"}), "0 parameters missing"),
        (Item("@query-param", {"name": "twice"}), "2 parameters twice"),
        (Item(7), "no name"),
    ],
)
def test_components_that_cannot_be_signed_are_told(component: Item, problem: str):
    headers = (*REQUEST.headers, ("X-Broken", "a\nb"), ("X-Members", "a=1"))
    request = replace(REQUEST, url=REQUEST.url + "&twice=1&twice=2", headers=headers)
    with pytest.raises(faults.SignatureMalformed, match=problem):
        signature_base(request, InnerList((component,)))


def test_a_component_that_is_signed_twice_is_told():
    with pytest.raises(faults.SignatureMalformed, match="comes twice"):
        signature_base(REQUEST, InnerList((Item("@method"), Item("@method"))))


def test_one_member_of_a_dictionary_is_signed_as_it_is_written():
    request = replace(REQUEST, headers=(("X-Members", "a=1, b=2;x"),))
    assert b'"x-members";key="b": 2;x\n' in signature_base(
        request, InnerList((Item("x-members", {"key": "b"}),))
    )
