"""Every code that a finding can have: its title, what it means, whose it usually is; and the maker of findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from twoway.doctor import codes_of_chains, codes_of_connections, codes_of_files
from twoway.doctor.finding import Blame, Finding, Severity

# "presenter" is the side whose certificate it is, "judge" the side that verifies it.
TypicalBlame = Literal["client", "server", "network", "config", "presenter", "judge"]


@dataclass(frozen=True, slots=True)
class Code:
    """One row: a stable code, and what people should know of it. docs/failures.md has a section for each."""

    code: str
    title: str
    meaning: str
    blame: TypicalBlame
    likelihood: float


CODES: dict[str, Code] = {
    code: Code(code, title, meaning, cast(TypicalBlame, blame), likelihood)
    for rows in (codes_of_files.ROWS, codes_of_chains.ROWS, codes_of_connections.ROWS)
    for code, title, meaning, blame, likelihood in rows
}


def found(
    code: str,
    severity: Severity,
    blame: Blame,
    summary: str,
    remedy: str,
    evidence: dict[str, object] | None = None,
    *,
    also: tuple[str, ...] = (),
    likelihood: float | None = None,
) -> Finding:
    """A finding of a code of the table, as likely as the table says; raises KeyError for any other code."""
    row = CODES[code]
    return Finding(
        code,
        severity,
        blame,
        summary,
        remedy,
        evidence or {},
        tuple(CODES[one].code for one in also),
        row.likelihood if likelihood is None else likelihood,
    )
