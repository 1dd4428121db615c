"""Two handshakes side by side, aligned by message."""

from __future__ import annotations

from datetime import datetime

from twoway.explainer.alignment import aligned
from twoway.explainer.page.frame import document
from twoway.explainer.page.ladder import LOCKS, WORDS
from twoway.explainer.page.markup import Html, join, tag
from twoway.explainer.page.sides import both
from twoway.explainer.page.whole import header
from twoway.explainer.transcript import Message, Transcript


def as_html_compared(left: Transcript, right: Transcript, *, now: datetime) -> str:
    """A page of two handshakes: what both have stands on one line, what only one has is marked."""
    rows = [
        tag("tr", _cell(one, other is None, "left"), _cell(other, one is None, "right"))
        for one, other in aligned(left, right)
    ]
    heads = (tag("th", "left", scope="col"), tag("th", "right", scope="col"))
    return document(
        f"{left.verdict} / {right.verdict} - twoway explain",
        tag("h1", "Two handshakes, side by side"),
        tag("div", header(left, level="h2"), header(right, level="h2"), class_="pair"),
        tag(
            "section",
            tag("h2", "What went over the wire"),
            tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="compared"),
        ),
        tag("div", both(left, now), both(right, now), class_="pair"),
    )


def _cell(message: Message | None, alone: bool, where: str) -> Html:
    if message is None:
        return tag("td", "not here", class_="gone")
    wire = message.wire
    epoch = str(wire.epoch)
    arrow = "→" if wire.sender == "client" else "←"
    return tag(
        "td",
        tag(
            "details",
            tag(
                "summary",
                join(
                    (
                        f"{arrow} {LOCKS[epoch]} ",
                        tag("b", message.label),
                        tag("small", f" {wire.wire_size}\u00a0B"),
                        tag("small", f" only {where}") if alone else None,
                    )
                ),
            ),
            tag("p", f"{message.sentence} ({WORDS[epoch]})"),
        ),
        class_="only" if alone else None,
    )
