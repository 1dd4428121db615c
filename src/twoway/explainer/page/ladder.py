"""The ladder: two lifelines, real time at the left, trust in the middle, the five steps one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from twoway.explainer.page.details import opened
from twoway.explainer.page.markup import Html, join, tag
from twoway.explainer.page.sides import SIGNS
from twoway.explainer.passages import Passage, passages
from twoway.explainer.transcript import Ghost, Message, Side, Transcript

LOCKS = {"plain": "○", "early": "◔", "handshake": "◐", "application": "●"}
WORDS = {
    "plain": "in clear",
    "early": "early keys",
    "handshake": "handshake keys",
    "application": "application keys",
}


def ladder(transcript: Transcript, *, redact: bool) -> Html:
    return tag(
        "section",
        tag("h2", "What went over the wire"),
        _legend(transcript),
        tag(
            "div",
            tag("span", "", class_="time"),
            tag("span", tag("b", "client"), " ", tag("small", transcript.client)),
            tag("span", "trust", class_="lane-head"),
            tag("span", tag("b", "server"), " ", tag("small", transcript.server)),
            class_="heads",
        ),
        *_steps(transcript, redact),
        class_="ladder",
    )


def _legend(transcript: Transcript) -> Html:
    used = [epoch for epoch in LOCKS if any(str(m.wire.epoch) == epoch for m in transcript.messages)]
    return tag(
        "p",
        *(
            tag("span", tag("i", ""), f" {LOCKS[epoch]} {WORDS[epoch]}", class_=f"key {epoch}")
            for epoch in used
        ),
        class_="legend",
    )


def _steps(transcript: Transcript, redact: bool) -> Iterator[Html]:
    drawing = _Drawing(transcript, redact)
    for passage in passages(transcript):
        yield tag(
            "div",
            tag("h3", tag("span", int(passage.step), class_="number"), f" {passage.title}"),
            *drawing.rows(passage),
            class_="step",
        )


class _Drawing:
    """Draws the rows in order, and knows whom anybody has believed so far: the lane is lit by it."""

    def __init__(self, transcript: Transcript, redact: bool) -> None:
        self.transcript, self.redact = transcript, redact
        self.proven: dict[str, str] = {}

    def rows(self, passage: Passage) -> Iterator[Html]:
        told = self.transcript
        for side in passage.checks:
            yield self._checked(side)
        for index, message in passage.messages:
            yield self._message(index, message)
            if index == told.client_done_after:
                yield tag("p", "the client thinks it is done here", class_="note done")
            if index == told.ended_at:
                yield tag("p", "it ended here", class_="note ended")
        for ghost in passage.ghosts:
            yield self._ghost(ghost)

    def _lane(self) -> Html:
        return tag(
            "span",
            tag("i", "", class_=self.proven.get("client", "")),
            tag("i", "", class_=self.proven.get("server", "")),
            class_="lane",
        )

    def _message(self, index: int, message: Message) -> Html:
        wire = message.wire
        side = next((s for s in self.transcript.sides if s.role == wire.sender), None)
        proves = wire.name in ("certificate_verify", "server_key_exchange")
        epoch = str(wire.epoch)
        label = join((tag("b", message.label), tag("small", f" {wire.wire_size}\u00a0B")))
        summary = tag(
            "summary",
            tag("span", _time(wire.at_us), class_="time"),
            tag(
                "span",
                self._lane(),
                tag(
                    "span",
                    tag("span", LOCKS[epoch], class_="lock", title=WORDS[epoch]),
                    " ",
                    label,
                    class_="label",
                ),
                tag("span", "", class_="arrow"),
                class_="way",
            ),
            tag("span", f"sent by the {wire.sender}, {WORDS[epoch]}", class_="heard"),
        )
        body = opened(message, index, side if proves else None, redact=self.redact)
        kind = " fatal" if index == self.transcript.ended_at and wire.kind == "alert" else ""
        return tag("details", summary, body, class_=f"message {wire.sender} {epoch}{kind}", id=f"m{index}")

    def _checked(self, side: Side) -> Html:
        other = "client" if side.role == "server" else "server"
        self.proven[side.role] = side.mark
        said = "believes" if side.mark == "ok" else "refuses"
        both = len(self.proven) == 2 and set(self.proven.values()) == {"ok"}
        return tag(
            "p",
            tag("span", f"{SIGNS[side.mark]} the {other} {said} the {side.role}", class_="pill"),
            tag("span", "both are proven: this is 2-way", class_="mutual") if both else None,
            class_=f"checked {side.mark}",
        )

    def _ghost(self, ghost: Ghost) -> Html:
        return tag(
            "div",
            tag("span", "", class_="time"),
            tag(
                "span",
                self._lane(),
                tag("span", ghost.name, tag("small", " never came"), class_="label"),
                tag("span", "", class_="arrow"),
                class_="way",
            ),
            class_=f"ghost {ghost.sender}",
        )


def _time(at_us: int) -> str:
    return f"{at_us / 1000:.1f} ms" if at_us < 1_000_000 else f"{at_us / 1_000_000:.2f} s"
