"""The ladder alone, as a drawing: two lifelines, the five steps, who was believed; for a README or a slide."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from twoway.explainer.page.ladder import LOCKS, WORDS
from twoway.explainer.page.markup import Html, tag
from twoway.explainer.passages import Passage, passages
from twoway.explainer.transcript import Ghost, Message, Side, Transcript
from twoway.wire.events import Sender

WIDTH, _LEFT, _RIGHT, _ROW, _HEAD = 760, 96, 720, 34, 34
_DASHES = {"plain": "2 4", "early": "2 4", "handshake": "7 4", "application": None}
# Its own ground, because a drawing in a README lies on a page of unknown colour.
_STYLE = """
svg{--ground:#fff;--ink:#16202c;--soft:#51606f;--line:#d5dbe2;--plain:#5b6877;--early:#96520a;--handshake:#1f5fbf;
--application:#6b3fb3;--ok:#0b6b46;--okg:#e3f4ec;--bad:#b3261e;--badg:#fdecea}
@media(prefers-color-scheme:dark){svg{--ground:#10151b;--ink:#e6ebf1;--soft:#a5b2c0;--line:#35414e;--plain:#a5b2c0;
--early:#ecb065;--handshake:#7db4ff;--application:#c3a5ff;--ok:#63d2a1;--okg:#12352a;--bad:#ff9d95;--badg:#40191a}}
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
.b{font-weight:650}.s{font-size:12px;fill:var(--soft)}.e{text-anchor:end}.m{text-anchor:middle}
.ground{fill:var(--ground);stroke:var(--line)}.life{stroke:var(--line);stroke-width:2}.rule{stroke:var(--line)}
.plain{--c:var(--plain)}.early{--c:var(--early)}.handshake{--c:var(--handshake)}.application{--c:var(--application)}
.fatal{--c:var(--bad)}.ghost{--c:var(--soft)}.a{stroke:var(--c);stroke-width:2;fill:none}.h{fill:var(--c)}.k{fill:var(--c)}
.ghost text{font-style:italic;fill:var(--soft)}.lane{fill:var(--line);opacity:.45}.lane.ok{fill:var(--ok);opacity:.4}
.lane.bad{fill:var(--bad);opacity:.4}.pill.ok{fill:var(--okg);stroke:var(--ok)}.pill.bad{fill:var(--badg);stroke:var(--bad)}
.mask{fill:var(--ground)}.word.ok{fill:var(--ok)}.word.bad{fill:var(--bad)}.note{fill:var(--bad)}
"""


def as_svg(transcript: Transcript) -> str:
    """A self-contained SVG, readable on light and on dark ground, with its story as text for those who listen."""
    drawing = _Drawing(transcript)
    return drawing.whole()


@dataclass(slots=True)
class _Drawing:
    transcript: Transcript
    parts: list[Html] = field(default_factory=list)
    y: int = 0
    proven: dict[str, str] = field(default_factory=dict)

    def whole(self) -> str:
        told = self.transcript
        self._heads()
        for passage in passages(told):
            self._passage(passage)
        self._legend()
        height = self.y + 14
        frame = tag("rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=10, class_="ground")
        drawn = tag(
            "svg",
            tag("title", told.verdict),
            tag("desc", "; ".join(m.sentence for m in told.messages)),
            tag("style", Html(_STYLE)),
            frame,
            *self.parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH} {height}",
            width=WIDTH,
            height=height,
            role="img",
        )
        return f"{drawn}\n"

    def _heads(self) -> None:
        for number, line in enumerate(_folded(self.transcript.verdict, 88)):
            self._say(20, 28 + 18 * number, line, "b")
            self.y = 28 + 18 * number
        self.y += 30
        self._say(_LEFT, self.y, "client", "b")
        self._say((_LEFT + _RIGHT) // 2, self.y, "trust", "s m")
        self._say(_RIGHT, self.y, "server", "b e")
        self.y += 8

    def _passage(self, passage: Passage) -> None:
        told = self.transcript
        self.parts.append(tag("line", x1=12, x2=WIDTH - 12, y1=self.y, y2=self.y, class_="rule"))
        self._say(20, self.y + 21, f"{int(passage.step)}  {passage.title}", "s b")
        self.y += _HEAD
        for side in passage.checks:
            self._checked(side)
        for index, message in passage.messages:
            self._message(index, message)
            if index == told.client_done_after:
                self._note("the client thinks it is done here", "s m")
            if index == told.ended_at:
                self._note("it ended here", "s m note")
        for ghost in passage.ghosts:
            self._ghost(ghost)

    def _lifelines(self, height: int) -> None:
        for x in (_LEFT, _RIGHT):
            self.parts.append(tag("line", x1=x, x2=x, y1=self.y + 4, y2=self.y + height + 4, class_="life"))
        middle = (_LEFT + _RIGHT) // 2
        for role, x in (("client", middle - 11), ("server", middle + 1)):
            mark = self.proven.get(role, "")
            self.parts.append(
                tag("rect", x=x, y=self.y + 4, width=10, height=height, class_=f"lane {mark}".strip())
            )

    def _message(self, index: int, message: Message) -> None:
        wire = message.wire
        epoch = str(wire.epoch)
        self._lifelines(_ROW)
        kind = "fatal" if index == self.transcript.ended_at and wire.kind == "alert" else epoch
        label = f"{LOCKS[epoch]} {message.label}  {wire.wire_size} B"
        self._arrow(wire.sender, label, kind, _DASHES[epoch])
        self._say(_LEFT - 12, self.y + 22, f"{wire.at_us / 1000:.1f} ms", "s e")
        self.y += _ROW

    def _ghost(self, ghost: Ghost) -> None:
        self._lifelines(_ROW)
        self._arrow(ghost.sender, f"{ghost.name} never came", "ghost", "3 6")
        self.y += _ROW

    def _arrow(self, sender: Sender, label: str, kind: str, dashes: str | None) -> None:
        y = self.y + 26
        forth = sender == "client"
        tip, back = (_RIGHT - 3, _RIGHT - 13) if forth else (_LEFT + 3, _LEFT + 13)
        begin = _LEFT + 4 if forth else _RIGHT - 4
        words = tag(
            "text", label, x=_LEFT + 14 if forth else _RIGHT - 14, y=y - 8, class_=None if forth else "e"
        )
        line = tag("path", d=f"M{begin} {y}H{back}", class_="a", stroke_dasharray=dashes)
        head = tag("path", d=f"M{tip} {y}L{back} {y - 5}V{y + 5}Z", class_="h")
        self.parts.append(tag("g", words, line, head, class_=kind))

    def _checked(self, side: Side) -> None:
        other = "client" if side.role == "server" else "server"
        said = "✓ the {} believes the {}" if side.mark == "ok" else "✗ the {} refuses the {}"
        self._lifelines(_ROW)
        self.proven[side.role] = side.mark
        middle = (_LEFT + _RIGHT) // 2
        self.parts.append(
            tag("rect", x=middle - 140, y=self.y + 5, width=280, height=24, rx=12, class_=f"pill {side.mark}")
        )
        self._say(middle, self.y + 22, said.format(other, side.role), f"m b word {side.mark}")
        self.y += _ROW

    def _note(self, words: str, kind: str) -> None:
        self._lifelines(22)
        middle, half = (_LEFT + _RIGHT) // 2, 4 * len(words)
        ground = tag("rect", x=middle - half, y=self.y + 5, width=2 * half, height=19, rx=4, class_="mask")
        self.parts.append(ground)
        self._say(middle, self.y + 18, words, kind)
        self.y += 22

    def _legend(self) -> None:
        self.y += 24
        x = _LEFT
        for epoch in LOCKS:
            if any(str(m.wire.epoch) == epoch for m in self.transcript.messages):
                dashes = _DASHES[epoch]
                line = tag("path", d=f"M{x} {self.y - 4}h34", class_="a", stroke_dasharray=dashes)
                self.parts.append(tag("g", line, class_=epoch))
                self._say(x + 42, self.y, f"{LOCKS[epoch]} {WORDS[epoch]}", "s")
                x += 190

    def _say(self, x: int, y: int, words: str, kind: str) -> None:
        self.parts.append(tag("text", words, x=x, y=y, class_=kind))


def _folded(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, width)[:3]
