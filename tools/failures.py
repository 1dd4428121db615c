"""Writes docs/failures.md from the doctor's own tables, so that it is never behind: python -m tools.failures."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from twoway.doctor import codes_of_chains, codes_of_connections, codes_of_files
from twoway.doctor.codes import CODES
from twoway.doctor.remedies import REMEDIES
from twoway.doctor.wordings.table import ALERTS, ROWS, VERIFY

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "docs" / "failures.md"
HEAD = """# Failures

Every code that `twoway doctor`, `twoway explain` and the refusal log use, with how other programs word it. The codes
are stable. To have the right one found: `twoway doctor HOST:PORT --identity DIR`, or, with nothing but a text at
hand, `twoway doctor --error "TEXT"`. The texts are shortened to the words that matter; one text has several causes,
so most stand under more than one code. A code `refused_ALERT` says that nothing but the alert is known.

This page is written by `python -m tools.failures` from the tables that the doctor works with.
"""
GROUPS = (
    ("Files", "What is wrong with a file before anybody is asked.", codes_of_files.ROWS),
    (
        "Chains, names and revocation",
        "What one side presents, judged by what the other side trusts.",
        codes_of_chains.ROWS,
    ),
    ("Connections", "What only a connection shows.", codes_of_connections.ROWS),
)
BLAME = {
    "presenter": "the side whose certificate it is",
    "judge": "the side that verifies",
    "client": "the client",
    "server": "the server",
    "network": "the network between",
    "config": "the configuration of the side where it is found",
}
_MOST = 6


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, about, rows in GROUPS:
        parts.append(f"\n## {title}\n\n{about}\n")
        parts += [_section(row[0]) for row in rows]
    return "".join(parts)


def _section(code: str) -> str:
    known = CODES[code]
    lines = [f"\n### {code}\n", f"{known.title[0].upper()}{known.title[1:]}. {known.meaning}\n"]
    if said := _said(code):
        lines.append("- **How programs word it:** " + "; ".join(said))
    lines.append(f"- **Whose it usually is:** {BLAME[known.blame]}.")
    lines.append(f"- **How to reproduce:** {_reproduced(code)}.")
    lines.append(f"- **What to do:** {REMEDIES[code]}")
    return "\n".join(lines[:2]) + "\n" + "\n".join(lines[2:]) + "\n"


def _said(code: str) -> list[str]:
    found: dict[str, str] = {}
    for row in ROWS:
        if code in row.codes[:2] and row.program not in ("any",):
            found.setdefault(row.program, _words(row.pattern))
    for pattern, codes in VERIFY:
        if code in codes[:2]:
            found.setdefault("OpenSSL, Python, curl", _words(pattern))
    for pattern, codes in ALERTS:
        if code in codes[:2]:
            found.setdefault("the alert", _words(pattern))
    return [f"{program}: `{words}`" for program, words in list(found.items())[:_MOST]]


def _words(pattern: str) -> str:
    """The first thing that a pattern matches, as a person would read it."""
    text = re.sub(r"\(([^()|]*)\|[^()]*\)\??", r"\1", pattern)
    text = re.sub(r"\(([^()|]*)\)\?", r"\1", text).split("|")[0]
    text = text.replace("[- ]", "-").replace("[ _]?", " ").replace("\\b", "").replace(".*", " … ")
    text = re.sub(r"\\d\+", "N", text)
    return re.sub(r"\\(.)", r"\1", text).replace("?", "").strip()


def _reproduced(code: str) -> str:
    """The tests that make it happen, by file: they are the recipe."""
    quoted = f'"{code}"'
    places = sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if quoted in path.read_text("utf-8")
        and path.name not in ("test_wordings.py", "test_codes.py")
        and path.parent.name != "acme"  # ACME's error types are words of its own
    )
    if places:
        return ", ".join(f"`{place}`" for place in places[:3])
    return "no test makes it happen; it is told where it is met"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            PLACE.read_text("utf-8") != page() and "docs/failures.md is behind: python -m tools.failures"
        )
    PLACE.write_text(page(), "utf-8")
