"""A Transcript as text for a terminal: the verdict first, then a ladder of two lifelines in the five steps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from twoway.explainer.alignment import aligned
from twoway.explainer.glyphs import Glyphs
from twoway.explainer.passages import Passage, passages
from twoway.explainer.transcript import Ghost, Link, Mark, Message, Side, Transcript
from twoway.wire.fields import Field

Paint = Callable[[str, str], str]

_COLOURS: dict[Mark, str] = {"ok": "green", "bad": "red", "unknown": "yellow"}
_EPOCH_COLOURS = {"plain": "", "early": "magenta", "handshake": "cyan", "application": "green"}
_OUTCOME_COLOURS = {
    "mutual": "green",
    "one_way": "yellow",
    "refused": "red",
    "failed": "red",
    "unfinished": "yellow",
}


def _plainly(text: str, style: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Terminal:
    """Draws transcripts at most `width` columns wide.

    `detail` 0 draws the ladder, 1 adds the fields of each message, 2 their bytes. `paint(text, style)` colours
    or does not; the epoch of a message is also told by its lock.
    """

    width: int = 80
    detail: int = 0
    glyphs: Glyphs = field(default_factory=Glyphs)
    paint: Paint = _plainly

    def draw(self, transcript: Transcript) -> str:
        return "\n".join(line.rstrip() for line in self.lines(transcript))

    def lines(self, transcript: Transcript) -> Iterator[str]:
        yield from self._verdict(transcript)
        yield ""
        yield self._heads(transcript)
        for passage in passages(transcript):
            yield from self._passage(passage, transcript)
        yield ""
        yield self._legend(transcript)
        for side in transcript.sides:
            yield from self._side(side)
        if transcript.request is not None:
            yield from self._request(transcript)
        yield from self._notes(transcript)

    def draw_pair(self, left: Transcript, right: Transcript) -> str:
        """Two handshakes, aligned by message: what only one has stands alone on its line."""
        half = (self.width - 3) // 2
        rows = [*self._verdict(left), "", *self._verdict(right), ""]
        rows.append(self.paint(f"{'the first'.ljust(half)}   the second", "bold"))
        for one, other in aligned(left, right):
            line = f"{self._cell(one).ljust(half)[:half]}   {self._cell(other)[:half]}".rstrip()
            rows.append(line if one and other else self.paint(line, "green"))
        return "\n".join(rows)

    def _cell(self, message: Message | None) -> str:
        if message is None:
            return ""
        wire = message.wire
        arrow = (
            self.glyphs.line + self.glyphs.right
            if wire.sender == "client"
            else self.glyphs.left + self.glyphs.line
        )
        return f"{arrow} {self.glyphs.lock(str(wire.epoch))} {message.label} {wire.wire_size} B"

    # -- the verdict ---------------------------------------------------------------------------------

    def _verdict(self, transcript: Transcript) -> Iterator[str]:
        good = transcript.outcome in ("mutual", "one_way")
        mark = self.glyphs.mark("ok" if good else "unknown" if transcript.outcome == "unfinished" else "bad")
        colour = _OUTCOME_COLOURS[transcript.outcome]
        first, *rest = self._wrapped(transcript.verdict, 2)
        yield self.paint(f"{mark} {first.lstrip()}", colour)
        for line in rest:
            yield self.paint(line, colour)
        failure = transcript.failure
        if failure is None:
            return
        yield from self._wrapped(f"to blame: {failure.blame} ({failure.code})", 2)
        yield from self._wrapped(f"what to change: {failure.remedy}", 2)
        for other in failure.also_possible[:4]:
            yield from self._wrapped(f"could also be: {other}", 2)

    # -- the ladder ----------------------------------------------------------------------------------

    def _heads(self, transcript: Transcript) -> str:
        client, server = f"client {transcript.client}", f"server {transcript.server}"
        gap = max(2, self.width - len(client) - len(server))
        return self.paint(f"{client}{' ' * gap}{server}"[: self.width], "bold")

    def _passage(self, passage: Passage, transcript: Transcript) -> Iterator[str]:
        head = f"{self.glyphs.rule} {int(passage.step)} {passage.title} "
        yield self.paint(head.ljust(self.width, self.glyphs.rule), "dim")
        for side in passage.checks:
            yield from self._checked(side)
        for index, message in passage.messages:
            yield from self._message(message)
            if index == transcript.client_done_after:
                yield self._note("the client thinks it is done here", "yellow")
            if index == transcript.ended_at:
                yield self._note("it ended here", "red")
        for ghost in passage.ghosts:
            yield self._ghost(ghost)

    def _message(self, message: Message) -> Iterator[str]:
        wire = message.wire
        lock = self.glyphs.lock(str(wire.epoch))
        label = f" {lock} {message.label} {wire.wire_size} B "
        time = f"{wire.at_us / 1000:8.1f} ms "
        arrow = self._arrow(wire.sender, label, self.width - len(time))
        yield f"{time}{self.paint(arrow, 'red' if wire.kind == 'alert' else _EPOCH_COLOURS[str(wire.epoch)])}"
        yield from self._wrapped(message.sentence, 12)
        if self.detail:
            for depth, one in wire.tree.walk():
                if depth:
                    yield from self._field(depth, one)
        if self.detail > 1:
            yield from self._bytes(wire.data)

    def _arrow(self, sender: str, label: str, width: int) -> str:
        line = self.glyphs.line
        if sender == "client":
            return (
                self.glyphs.life
                + line
                + label
                + line * (width - len(label) - 4)
                + self.glyphs.right
                + self.glyphs.life
            )
        return (
            self.glyphs.life
            + self.glyphs.left
            + line * (width - len(label) - 4)
            + label
            + line
            + self.glyphs.life
        )

    def _ghost(self, ghost: Ghost) -> str:
        label = f" ({ghost.name}) "
        width = self.width - 12
        dots = self.glyphs.dots * (width - len(label) - 3)
        body = (
            f"{label}{dots}{self.glyphs.right}"
            if ghost.sender == "client"
            else f"{self.glyphs.left}{dots}{label}"
        )
        return self.paint(f"{' ' * 12}{self.glyphs.life}{body}{self.glyphs.life}", "dim")

    def _checked(self, side: Side) -> Iterator[str]:
        other = "client" if side.role == "server" else "server"
        said = "believes" if side.mark == "ok" else "refuses"
        yield self._note(
            f"{self.glyphs.mark(side.mark)} the {other} {said} the {side.role}", _COLOURS[side.mark]
        )

    def _note(self, text: str, style: str) -> str:
        return " " * 12 + self.paint(text, style)

    def _field(self, depth: int, one: Field) -> Iterator[str]:
        indent = 12 + 2 * (depth - 1)
        text = one.text or (self._short(one) if not one.children else "")
        place = f"[{one.start}:{one.end}]"
        yield from self._wrapped(f"{one.name} {place} {text}".rstrip(), indent)

    def _short(self, one: Field) -> str:
        value = one.value
        if isinstance(value, bytes):
            text = value.hex()
            return text if len(text) <= 64 else f"{text[:60]}{self.glyphs.ellipsis} ({len(value)} bytes)"
        return "" if value is None else str(value)

    def _bytes(self, data: bytes) -> Iterator[str]:
        step = 16 if self.width >= 80 else 8
        for offset in range(0, len(data), step):
            row = data[offset : offset + step]
            text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
            yield f"      {offset:06x}  {row.hex(' '):<{step * 3 - 1}}  {text}".rstrip()

    def _legend(self, transcript: Transcript) -> str:
        used = [e for e in _EPOCH_COLOURS if any(str(m.wire.epoch) == e for m in transcript.messages)]
        words = {
            "plain": "in clear",
            "early": "early keys",
            "handshake": "handshake keys",
            "application": "application keys",
        }
        return "   ".join(self.paint(f"{self.glyphs.lock(e)} {words[e]}", _EPOCH_COLOURS[e]) for e in used)

    # -- the sides ------------------------------------------------------------------------------------

    def _side(self, side: Side) -> Iterator[str]:
        yield ""
        colour = _COLOURS[side.mark]
        first, *rest = self._wrapped(f"the {side.role}: {side.because}", 2)
        yield self.paint(f"{self.glyphs.mark(side.mark)} {first.lstrip()}", colour)
        yield from rest
        for link in side.chain:
            yield from self._link(link)

    def _link(self, link: Link) -> Iterator[str]:
        head = f"{self.glyphs.mark(link.mark)} {link.role}: {link.subject} ({link.key_type})"
        first, *rest = self._wrapped(head, 4)
        yield self.paint(first, _COLOURS[link.mark])
        yield from rest
        dates = f"valid {link.not_before:%Y-%m-%d} to {link.not_after:%Y-%m-%d %H:%M} UTC"
        names = f"; {', '.join(link.names[:4])}" if link.names else ""
        yield from self._wrapped(f"{link.because}; {dates}{names}" if link.because else f"{dates}{names}", 6)

    def _request(self, transcript: Transcript) -> Iterator[str]:
        yield ""
        for line in self._wrapped("what the server asks of the client's certificate, and what was shown", 2):
            yield self.paint(line, "bold")
        for wish in transcript.request or ():
            first, *rest = self._wrapped(f"{self.glyphs.mark(wish.mark)} asked: {wish.asked}", 4, hanging=2)
            yield self.paint(first, _COLOURS[wish.mark])
            yield from rest
            yield from self._wrapped(f"shown: {wish.shown}", 6)

    def _notes(self, transcript: Transcript) -> Iterator[str]:
        for note in transcript.notes:
            yield from self._wrapped(f"note: {note}", 2)

    def _wrapped(self, text: str, indent: int, hanging: int = 0) -> list[str]:
        text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in self.glyphs.fit(text))
        lead = " " * indent
        return textwrap.wrap(
            text,
            self.width,
            initial_indent=lead,
            subsequent_indent=lead + " " * hanging,
            break_on_hyphens=False,
        ) or [lead]
