"""The whole page of one handshake: the verdict, the ladder, who both are."""

from __future__ import annotations

from datetime import datetime

from twoway.explainer.page.frame import document
from twoway.explainer.page.ladder import ladder
from twoway.explainer.page.markup import Html, tag
from twoway.explainer.page.sides import both
from twoway.explainer.transcript import Failure, Transcript

_BADGES = {
    "mutual": ("2-way", "ok"),
    "one_way": ("one-way", "unknown"),
    "refused": ("refused", "bad"),
    "failed": ("failed", "bad"),
    "unfinished": ("unfinished", "unknown"),
}


def as_html(transcript: Transcript, *, redact: bool = False, now: datetime) -> str:
    """One self-contained file: no network, no JavaScript needed, light and dark, printable.

    `now` places the needle on the validity bars. `redact` hides application data, tickets and key material; the
    page never holds the connection's secrets.
    """
    return document(
        f"{transcript.verdict} - twoway explain",
        header(transcript),
        ladder(transcript, redact=redact),
        both(transcript, now),
        _notes(transcript),
    )


def header(transcript: Transcript, *, level: str = "h1") -> Html:
    word, mark = _BADGES[transcript.outcome]
    began = f"{transcript.began:%Y-%m-%d %H:%M:%S} UTC" if transcript.began else None
    facts = [
        ("client", transcript.client),
        ("server", transcript.server),
        ("asked for", transcript.server_name),
        ("version", transcript.version),
        ("cipher suite", transcript.cipher_suite),
        ("key exchange", transcript.group),
        ("application protocol", transcript.alpn),
        ("session", "resumed" if transcript.resumed else None),
        ("when", began),
    ]
    rows: list[Html] = []
    for name, value in facts:
        if value:
            rows += [tag("div", tag("dt", name), tag("dd", value))]
    return tag(
        "header",
        tag("p", word, class_=f"badge {mark}"),
        tag(level, transcript.verdict),
        _failure(transcript.failure) if transcript.failure is not None else None,
        tag("dl", *rows, class_="facts"),
        class_="verdict",
    )


def _failure(failure: Failure) -> Html:
    others = [tag("li", one) for one in failure.also_possible]
    evidence = [
        tag("div", tag("dt", name.replace("_", " ")), tag("dd", _plain(value)))
        for name, value in failure.evidence.items()
        if value not in (None, [], "")
    ]
    return tag(
        "div",
        tag("p", tag("b", "to blame: "), failure.blame, " ", tag("code", failure.code)),
        tag("p", tag("b", "what to change: "), failure.remedy, class_="remedy"),
        tag("dl", *evidence, class_="facts") if evidence else None,
        tag("details", tag("summary", f"could also be ({len(others)})"), tag("ul", *others))
        if others
        else None,
        class_="failure",
    )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(one) for one in value)
    return str(value)


def _notes(transcript: Transcript) -> Html | None:
    if not transcript.notes:
        return None
    return tag(
        "section",
        tag("h2", "Notes"),
        tag("ul", *(tag("li", note) for note in transcript.notes)),
        class_="notes",
    )
