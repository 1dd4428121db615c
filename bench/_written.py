"""Writes what a benchmark measured below docs/bench: a table, JSON and a plot, each with the versions it was measured with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

PLACE = Path(__file__).parent.parent / "docs" / "bench"

Table = Mapping[str, Mapping[str, float]]


def write(
    name: str,
    title: str,
    table: Table,
    columns: Mapping[str, str],
    *,
    notes: Sequence[str],
    more: Mapping[str, float],
) -> None:
    """`docs/bench/NAME.md`, `.json` and `.svg`. `columns` maps a figure's key to its heading; less is better in all."""
    PLACE.mkdir(exist_ok=True)
    document = {"title": title, "table": table, "notes": list(notes), **more}
    (PLACE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (PLACE / f"{name}.md").write_text(_markdown(name, title, table, columns, notes, more), encoding="utf-8")
    (PLACE / f"{name}.svg").write_text(_plot(title, table, columns), encoding="utf-8")


def _markdown(
    name: str,
    title: str,
    table: Table,
    columns: Mapping[str, str],
    notes: Sequence[str],
    more: Mapping[str, float],
) -> str:
    lines = [f"# {title}", f"![{title}]({name}.svg)", ""]
    lines += ["| | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns)]
    for program, row in table.items():
        lines.append(f"| {program} | " + " | ".join(f"{row[key]:.3g}" for key in columns) + " |")
    lines += ["", *(f"- {note}" for note in notes), *(f"- {key}: {value:.3g}" for key, value in more.items())]
    return "\n".join(lines) + "\n"


def _plot(title: str, table: Table, columns: Mapping[str, str]) -> str:
    """One group of bars a figure, each bar a program, as a share of the largest in its group."""
    bar, gap, left, wide = 16, 26, 110, 420
    parts, y = [f'<text x="10" y="22" class="t">{escape(title)}</text>'], 40
    for key, heading in columns.items():
        largest = max(row[key] for row in table.values()) or 1.0
        parts.append(f'<text x="10" y="{y + 12}" class="h">{escape(heading)}</text>')
        y += 20
        for program, row in table.items():
            width = max(1.0, row[key] / largest * wide)
            kind = "us" if program == "twoway" else "they"
            parts.append(f'<text x="{left - 8}" y="{y + 12}" class="n">{escape(program)}</text>')
            parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{bar - 3}" class="{kind}"/>')
            parts.append(f'<text x="{left + width + 6:.1f}" y="{y + 11}">{row[key]:.3g}</text>')
            y += bar
        y += gap - bar + 6
    style = (
        "text{font:12px sans-serif;fill:#223}.t{font-size:15px;font-weight:bold}.h{font-weight:bold}"
        ".n{text-anchor:end}.us{fill:#0a6b45}.they{fill:#9aa7b4}"
        "@media(prefers-color-scheme:dark){svg{background:#14181d}text{fill:#dde3ea}.us{fill:#46c08c}.they{fill:#5b6875}}"
    )
    size = f'viewBox="0 0 620 {y}" width="620" height="{y}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>'
        f"<style>{style}</style>{''.join(parts)}</svg>\n"
    )
