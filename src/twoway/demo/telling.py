"""The story as text for a terminal: verdict first, the five steps below it, never wider than asked."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

from twoway.demo.story import Act, Handshake

Paint = Callable[[str, str], str]

_MARKS = {"yes": ("✓", "green"), "no": ("✗", "red"), "": ("·", "cyan")}


class Teller:
    """Writes acts as lines of at most `width` columns; `paint(text, style)` adds colour or does not."""

    def __init__(self, width: int, paint: Paint) -> None:
        self.width, self.paint = max(40, width), paint
        self._told: dict[int, tuple[str, ...]] = {}

    def opening(self, place: str, target: str) -> Iterator[str]:
        yield self.paint("2-way TLS: both sides prove who they are, and only then they talk.", "bold")
        yield from self._wrapped(
            f"An authority (Acme) has given identities to a server, orders.localhost, and to a client, shop. "
            f"A stranger, mallory, has one of another authority. The order service listens at {target}; "
            f"all files are in {place}.",
            "",
        )

    def act(self, number: int, act: Act) -> Iterator[str]:
        yield ""
        yield self.paint(f"{number}  {act.title}", "bold")
        mark, colour = ("✓", "green") if act.as_expected else ("✗", "red")
        yield from self._wrapped(act.outcome, f"   {self.paint(mark, colour)} ", plain=5)
        if not act.as_expected:
            yield from self._wrapped(f"expected: {act.expected}", "     ")
        for note in act.notes:
            yield from self._wrapped(note, "     ")
        for told in act.steps:
            mark, colour = _MARKS[told.verdict]
            again = self._told.get(int(told.step)) == told.lines
            title = f"{int(told.step)} {told.step.title}{': as before' if again else ''}"
            yield f"   {self.paint(mark, colour)} {self.paint(title, colour)}"
            self._told[int(told.step)] = told.lines
            for line in () if again else told.lines:
                yield from self._wrapped(line, "       ")
        if act.client_told:
            yield f"     {self.paint('the client is told', 'yellow')}"
            yield from self._wrapped(str(act.client_told["sentence"]), "       ")
            yield from self._wrapped(f"remedy: {act.client_told['remedy']}", "       ")
        if act.server_logged:
            yield f"     {self.paint('the server logs', 'yellow')}"
            logged = act.server_logged
            yield from self._wrapped(
                f"id={logged['id']} code={logged['code']} alert={logged['alert']}: {logged['reason']}",
                "       ",
            )
            yield from self._wrapped(f"remedy: {logged['remedy']}", "       ")

    def ladders(self, one: Handshake, two: Handshake) -> Iterator[str]:
        """Two handshakes as two columns, aligned by message; what only the second has is marked."""
        left, right = one.names_until_finished(), two.names_until_finished()
        sizes: dict[tuple[str, str], int] = {(m.by, m.name): m.size for m in reversed(two.messages)}
        half = max(24, min(38, self.width - 46))
        yield f"     {self.paint('one way'.ljust(half), 'bold')}  {self.paint('two ways', 'bold')}"
        for entry in right:
            text = _message(*entry, sizes[entry])
            if entry in left:
                yield f"     {_message(*entry, None).ljust(half)}  {text}".rstrip()
            else:
                yield f"     {''.ljust(half)}  {self.paint(f'{text}  + added', 'green')}"

    def closing(self, fine: bool, seconds: float) -> Iterator[str]:
        yield ""
        verdict = "all of it happened as it should" if fine else "something did not happen as it should"
        yield self.paint(f"{'✓' if fine else '✗'} {verdict}, in {seconds:.1f} s", "green" if fine else "red")

    def _wrapped(self, text: str, indent: str, plain: int | None = None) -> list[str]:
        hang = " " * (plain if plain is not None else len(indent))
        lines = textwrap.wrap(
            text, self.width - len(hang), break_long_words=False, break_on_hyphens=False
        ) or [""]
        return [indent + lines[0], *(hang + line for line in lines[1:])]


def _message(by: str, name: str, size: int | None) -> str:
    arrow = "->" if by == "client" else "<-"
    return f"{arrow} {name}" + (f" ({size} B)" if size is not None else "")
