"""A server's own log of refusals, summed up: the same codes as everywhere, the most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from twoway.doctor.codes import CODES
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.refusal_lines import refusal_in
from twoway.doctor.remedies import REMEDIES

MAX_LINES = 1_000_000


def summed_up(lines: Iterable[str]) -> list[Finding]:
    """One finding for each code in a log of `twoway serve` or `twoway gateway`; other lines are passed over. Never raises.

    They are warnings: a server that refuses does what it is there for, and whether it should is the question.
    """
    counts: Counter[str] = Counter()
    last: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines):
        if number >= MAX_LINES:
            break
        record = refusal_in(line)
        if record is not None:
            code = str(record.get("code", ""))
            counts[code] += 1
            last[code] = record
    total = counts.total()
    return [_finding(code, count, total, last[code]) for code, count in counts.most_common(20)]


def refusal_of(lines: Iterable[str], wanted: str) -> Finding | None:
    """The finding of the one refusal with this id, in a log of `twoway serve` or `twoway gateway`; None without one."""
    for line in lines:
        if wanted in line and (record := refusal_in(line)) is not None and record.get("id") == wanted:
            return _one(record)
    return None


def _one(record: dict[str, Any]) -> Finding:
    code = str(record.get("code", ""))
    known = CODES.get(code)
    by_peer = record.get("by") == "peer"
    who = "the client ended the handshake" if by_peer else "refused"
    about = record.get("evidence")
    return Finding(
        code,
        "error",
        "config" if by_peer else _blame(code),
        f"{who} in step {record.get('step')}{_titled(record)}: {record.get('reason')}",
        str(record.get("remedy") or REMEDIES.get(code, "see the log")),
        {
            "meaning": known.meaning if known is not None else None,
            "at": record.get("at"),
            "address": record.get("address"),
            "server_name": record.get("server_name"),
            "alert": record.get("alert"),
            **(about if isinstance(about, dict) else {}),
            "presented": _subjects(record.get("presented")),
        },
    )


def _titled(record: dict[str, Any]) -> str:
    title = record.get("step_title")
    return f" ({title})" if title else ""


def _blame(code: str) -> Blame:
    known = CODES.get(code)
    return "client" if known is None or known.blame in ("presenter", "client") else "config"


def _subjects(presented: object) -> list[str]:
    """Whom the chain of a record is of, and who issued each."""
    if not isinstance(presented, list):
        return []
    told = [(one.get("subject"), one.get("issuer")) for one in presented if isinstance(one, dict)]
    return [f"{subject}, issued by {issuer}" if issuer else str(subject) for subject, issuer in told]


def _finding(code: str, count: int, total: int, record: dict[str, Any]) -> Finding:
    known = CODES.get(code)
    presented = record.get("presented")
    who = (
        presented[0].get("subject")
        if isinstance(presented, list) and presented and isinstance(presented[0], dict)
        else None
    )
    return Finding(
        code,
        "warning",
        _blame(code),
        f"{count} of {total} refusals: {known.title if known else code}; the last one: {record.get('reason')}",
        str(record.get("remedy") or REMEDIES.get(code, "")),
        {
            "count": count,
            "last_at": record.get("at"),
            "last_from": record.get("address"),
            "last_presented": who,
            "last_id": record.get("id"),
        },
        likelihood=count / total,
    )
