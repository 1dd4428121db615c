"""Both chains as stacks with a verdict on each link, and the server's request as a checklist."""

from __future__ import annotations

from datetime import datetime

from twoway.explainer.page.markup import Html, tag
from twoway.explainer.transcript import Link, Mark, Side, Transcript

SIGNS: dict[Mark, str] = {"ok": "✓", "bad": "✗", "unknown": "?"}
_WORDS: dict[Mark, str] = {"ok": "believed", "bad": "not believed", "unknown": "not decided"}


def both(transcript: Transcript, now: datetime) -> Html:
    server, client = transcript.sides
    return tag(
        "section",
        tag("h2", "Who they are"),
        tag("div", _stack(client, now), _stack(server, now), class_="stacks"),
        _request(transcript),
        class_="who",
    )


def _stack(side: Side, now: datetime) -> Html:
    empty = tag("p", side.because, class_="nothing") if not side.chain else None
    return tag(
        "div",
        tag(
            "h3",
            f"the {side.role} ",
            tag("span", f"{SIGNS[side.mark]} {_WORDS[side.mark]}", class_=f"mark {side.mark}"),
        ),
        tag("p", side.because, class_="because") if side.chain else None,
        tag("ol", *(_card(link, now) for link in reversed(side.chain)), class_="stack")
        if side.chain
        else None,
        empty,
        class_="side",
    )


def _card(link: Link, now: datetime) -> Html:
    return tag(
        "li",
        tag(
            "p",
            tag("span", SIGNS[link.mark], class_=f"sign {link.mark}"),
            " ",
            tag("b", link.subject),
            class_="subject",
        ),
        tag("p", f"{link.role}, {link.key_type}. {link.because}", class_=f"why {link.mark}"),
        tag("p", ", ".join(link.names), class_="names") if link.names else None,
        _validity(link, now),
        tag(
            "details",
            tag("summary", "more"),
            tag(
                "dl",
                *_rows(
                    ("issuer", link.issuer),
                    ("serial", link.serial),
                    ("sha256", link.fingerprint),
                    ("usage", ", ".join(link.usages) or "everything"),
                    ("signature", link.signature),
                ),
            ),
        ),
        class_=f"link {link.mark}",
    )


def _rows(*rows: tuple[str, str]) -> list[Html]:
    found = []
    for name, value in rows:
        found += [tag("dt", name), tag("dd", value)]
    return found


def _validity(link: Link, now: datetime) -> Html:
    """The life of a certificate as a bar, and where in it we are."""
    whole = (link.not_after - link.not_before).total_seconds() or 1.0
    part = (now - link.not_before).total_seconds() / whole
    at = max(0.0, min(1.0, part)) * 196 + 2
    words = f"valid from {link.not_before:%Y-%m-%d} to {link.not_after:%Y-%m-%d %H:%M} UTC"
    state = "now" if 0 <= part <= 1 else ("expired" if part > 1 else "not yet")
    return tag(
        "div",
        tag(
            "svg",
            tag("rect", x=2, y=7, width=196, height=6, rx=3, class_="life"),
            tag(
                "rect", x=2, y=7, width=f"{max(0.0, at - 2):.1f}", height=6, rx=3, class_=f"spent {link.mark}"
            ),
            tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=2, y2=18, class_="needle"),
            viewBox="0 0 200 20",
            role="img",
            aria_label=f"{words}; {state}",
            preserveAspectRatio="none",
        ),
        tag("p", f"{words} ({state})"),
        class_="validity",
    )


def _request(transcript: Transcript) -> Html | None:
    if transcript.request is None:
        return None
    rows = [
        tag(
            "tr",
            tag("td", SIGNS[wish.mark], class_=f"sign {wish.mark}"),
            tag("td", wish.asked),
            tag("td", wish.shown),
        )
        for wish in transcript.request
    ]
    return tag(
        "div",
        tag("h3", "What the server asks of the client's certificate"),
        tag(
            "div",
            tag(
                "table",
                tag(
                    "thead", tag("tr", *(tag("th", head, scope="col") for head in ("fits", "asked", "shown")))
                ),
                tag("tbody", *rows),
            ),
            class_="wide",
            tabindex="0",
            role="region",
            aria_label="the server's request, line by line",
        ),
        class_="request",
    )
