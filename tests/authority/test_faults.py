"""Every error says what, has its facts ready for JSON, offers a way out, and survives pickling."""

from __future__ import annotations

import datetime
import inspect

import pytest

from tests.authority.conftest import NOW, check_told
from twoway.authority import faults, refusals
from twoway.errors import TwowayError

FACTS: dict[str, object] = {
    "str": "orders",
    "bool": True,
    "int": 7,
    "float": 1.5,
    "tuple[str, ...]": ("a", "b"),
    "datetime.datetime": NOW,
    "datetime.timedelta": datetime.timedelta(days=40),
}

ERRORS = sorted(
    {
        error
        for module in (faults, refusals)
        for error in vars(module).values()
        if inspect.isclass(error) and issubclass(error, TwowayError) and "__init__" in vars(error)
    },
    key=lambda error: error.__name__,
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_tells_its_facts(error: type[TwowayError]) -> None:
    if not error.__module__.startswith("twoway.authority"):
        return
    parameters = inspect.signature(error).parameters.values()
    raised = error(*(FACTS[str(parameter.annotation)] for parameter in parameters))
    check_told(raised)
    assert raised.remedy
    assert not str(raised).endswith(".")
    assert not raised.remedy.endswith(".")
    assert set(raised.evidence) == {parameter.name for parameter in parameters}
    assert str(raised)[0] == str(raised)[0].lower()


def test_codes_are_stable_and_each_is_of_one_error() -> None:
    codes = [error.code for error in ERRORS if error.__module__.startswith("twoway.authority")]
    assert len(set(codes)) == len(codes) >= 35


def test_times_in_evidence_are_rfc_3339_in_utc() -> None:
    error = refusals.AlreadyRevoked("1", datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "superseded")
    assert error.evidence["at"] == "2026-01-02T00:00:00Z"
