"""What an examination found: one cause each, the side to blame, the evidence, and what to change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]
Blame = Literal["client", "server", "network", "config"]
Verdict = Literal["healthy", "broken", "undecided"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing; frozen.

    `code` is stable and has a section in docs/failures.md. `likelihood` (0 to 1) orders findings of one severity;
    `also_possible` are the codes that the same evidence does not rule out.
    """

    code: str
    severity: Severity
    blame: Blame
    summary: str
    remedy: str
    evidence: dict[str, object] = field(default_factory=dict)
    also_possible: tuple[str, ...] = ()
    likelihood: float = 1.0

    def as_dict(self) -> dict[str, object]:
        """As `twoway doctor --json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "blame": self.blame,
            "summary": self.summary,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "also_possible": list(self.also_possible),
        }


_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Report:
    """The findings about one target, errors first, the likeliest first."""

    target: str
    verdict: Verdict
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, target: str, verdict: Verdict, findings: list[Finding]) -> Report:
        ordered = sorted(findings, key=lambda finding: (_ORDER[finding.severity], -finding.likelihood))
        return cls(target, verdict, tuple(ordered))

    def as_dict(self) -> dict[str, object]:
        """As `twoway doctor --json` prints it."""
        return {
            "target": self.target,
            "verdict": self.verdict,
            "findings": [finding.as_dict() for finding in self.findings],
        }
