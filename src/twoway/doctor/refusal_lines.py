"""One line of the log of `twoway serve` or `twoway gateway`, JSON or text, to the record of a refusal; pure."""

from __future__ import annotations

import json
import re
from typing import Any

# As server/journal.py writes it in text.
_TEXT = re.compile(
    r"(?P<verdict>refused by the client|refused) id=(?P<id>\S+) from=(?P<address>\S+) step=(?P<step>\d) "
    r"code=(?P<code>\w+) alert=(?P<alert>\S+) presented=(?P<presented>'[^']*'|\"[^\"]*\"): (?P<told>.*)"
)
_MAX_LINE = 65536


def refusal_in(line: str) -> dict[str, Any] | None:
    """The refusal that this line tells, with the names of its JSON form; None for any other line. Never raises.

    The text form has less: no evidence, no server name, and of the chain the subjects alone.
    """
    if "refused" not in line or len(line) > _MAX_LINE:
        return None
    start = line.find("{")
    if start >= 0 and '"refused"' in line:
        try:
            record = json.loads(line[start:])
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            return record if record.get("event") == "refused" else None
    found = _TEXT.search(line)  # it begins with a word, so that a long line costs no more than its length
    return _of_text(found, line[: found.start()]) if found is not None else None


def _of_text(found: re.Match[str], before: str) -> dict[str, Any]:
    reason, _, remedy = found["told"].strip().partition("; remedy: ")
    shown = found["presented"][1:-1]
    return {
        "event": "refused",
        "id": found["id"],
        "at": before.split()[-1] if before.split() else None,
        "by": "peer" if found["verdict"] != "refused" else "us",
        "address": found["address"] if found["address"] != "-" else None,
        "step": int(found["step"]),
        "code": found["code"],
        "reason": reason,
        "remedy": remedy,
        "alert": found["alert"] if found["alert"] != "-" else None,
        "presented": [] if shown == "no certificate" else [{"subject": one} for one in shown.split(" <- ")],
    }
