"""JSON from strangers: no name twice, no numbers that are none, no depth without end."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from twoway.enroll.acme.faults import Malformed


def load_object(data: bytes, what: str) -> dict[str, Any]:
    """The object in it; `what` names the place in the error. Raises Malformed."""
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as failure:
        raise Malformed(f"{what} is not JSON") from failure
    if not isinstance(found, dict):
        raise Malformed(f"{what} is not a JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
