"""Every error about messages: a stable code of its own, facts that survive pickling, a sentence and a remedy."""

from __future__ import annotations

import inspect
import json
import pickle
from typing import Any

import pytest

import twoway.message.faults as of_messages
import twoway.message.http.faults as of_exchanges
from tests.pki import NOW
from twoway.errors import TwowayError

_FACTS: dict[str, Any] = {
    "allowed": ("ES256",), "usable": ("p256",), "has": ("digitalSignature",), "recipients": ("a", "b"),
    "limit": 9, "capacity": 9, "not_after": NOW, "now": NOW,
}  # fmt: skip


def faults() -> list[type[TwowayError]]:
    found = {
        each
        for module in (of_messages, of_exchanges)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, TwowayError)
        and each.__module__ == module.__name__
        and not each.__name__.startswith("_")
    }
    return sorted(
        found - {of_messages.MessageError, of_exchanges.ExchangeRefused}, key=lambda each: each.__name__
    )


@pytest.mark.parametrize("kind", faults(), ids=lambda kind: kind.__name__)
def test_an_error_pickles_with_its_facts_and_says_what_to_do(kind: type[TwowayError]):
    names = list(inspect.signature(kind).parameters)
    error = kind(*(_FACTS.get(name, f"the {name}") for name in names))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, str(again), again.remedy) == (kind, error.args, str(error), error.remedy)
    assert str(error)
    assert not str(error).endswith(".")
    assert error.remedy
    assert set(names) <= set(error.evidence) | {"problem"}
    assert json.dumps(error.evidence)


def test_codes_are_told_apart():
    codes = [kind.code for kind in faults()]
    assert len(set(codes)) == len(codes)
