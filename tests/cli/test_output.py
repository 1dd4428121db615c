"""Results as prose or JSON; complaints on one line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.cli._output import console, emit, printable


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Row:
    name: str
    until: datetime
    names: tuple[str, ...] = ()


NOON = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))


def test_a_result_is_one_json_document_with_plain_values(capsys):
    value = {
        "rows": [Row("orders", NOON, ("a", "b"))],
        "key": b"\x01\xff",
        "path": Path("pki"),
        "of": Colour.RED,
    }
    emit(value, json=True)
    assert json.loads(capsys.readouterr().out) == {
        "rows": [{"name": "orders", "until": "2026-03-01T12:00:00Z", "names": ["a", "b"]}],
        "key": "01ff",
        "path": "pki",
        "of": "red",
    }


def test_a_value_that_knows_its_own_form_is_asked_for_it(capsys):
    class Peer:
        def as_dict(self) -> dict[str, object]:
            return {"subject": "CN=orders", "seen": {3}}

    emit(Peer(), json=True)
    assert json.loads(capsys.readouterr().out) == {"subject": "CN=orders", "seen": [3]}


def test_a_value_without_a_json_form_is_our_mistake_and_named():
    with pytest.raises(TypeError, match="object has no JSON form"):
        emit(object(), json=True)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("one line", "one line\n"),
        ({"name": "orders", "dns": ("a", "b"), "not after": NOON}, None),
        (["a", "b"], "a\nb\n"),
        (3, "3\n"),
        ({}, "\n"),
    ],
)
def test_prose_is_what_a_person_reads(value, printed, capsys):
    emit(value)
    assert capsys.readouterr().out == (
        printed or "name       orders\ndns        a, b\nnot after  2026-03-01T12:00:00Z\n"
    )


@given(st.text())
def test_what_strangers_wrote_never_reaches_a_terminal_raw(text):
    """Whatever the text, the result is one line of visible characters, and visible text is unchanged."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_tables_have_no_colours_away_from_a_terminal(capsys):
    console().print("[red]refused[/red]")
    assert capsys.readouterr().out == "refused\n"
