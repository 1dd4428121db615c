"""The little DER that we write is DER."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from twoway.authority import der


@given(st.integers(0, 2**200))
def test_integers_are_positive_and_as_short_as_can_be(value: int) -> None:
    """X.690 §8.3.2: the first nine bits are never all the same."""
    encoded = der.integer(value)
    content = encoded[2:]
    assert int.from_bytes(content, "big", signed=True) == value
    assert len(content) == 1 or content[0] or content[1] & 0x80


@given(st.integers(0, 70000))
def test_lengths_are_definite_and_as_short_as_can_be(size: int) -> None:
    encoded = der.tlv(4, bytes(size))
    head = len(encoded) - size
    assert head == (2 if size < 128 else 3 if size < 256 else 4 if size < 65536 else 5)


@given(st.lists(st.integers(0, 2**40), max_size=8))
def test_object_identifiers_are_what_cryptography_reads(arcs: list[int]) -> None:
    dotted = ".".join(map(str, (1, 3, *arcs)))
    name = der.sequence(der.tlv(0x31, der.sequence(der.oid(dotted), der.tlv(0x0C, b"x"))))
    extension = der.sequence(der.oid(dotted), der.tlv(4, name))
    assert der.oid(dotted) in extension
    if arcs and max(arcs) < 2**32:
        assert x509.ObjectIdentifier(dotted).dotted_string == dotted


@pytest.mark.parametrize(
    ("moment", "encoded"),
    [
        (datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=datetime.UTC), b"\x17\x0d491231235959Z"),
        (datetime.datetime(2050, 1, 1, tzinfo=datetime.UTC), b"\x18\x0f20500101000000Z"),
        (
            datetime.datetime(2026, 6, 1, 14, 0, 0, 7, datetime.timezone(2 * datetime.timedelta(hours=1))),
            b"\x17\x0d260601120000Z",
        ),
    ],
)
def test_times_change_their_form_in_2050(moment: datetime.datetime, encoded: bytes) -> None:
    """RFC 5280 §4.1.2.5."""
    assert der.time(moment) == encoded
