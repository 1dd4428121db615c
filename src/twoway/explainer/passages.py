"""The order in which a ladder is drawn: the five steps, and again from where a certificate was asked for later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from twoway.explainer.transcript import Ghost, Message, Side, Transcript
from twoway.steps import Step
from twoway.wire.events import Sender

# In which step each side is checked by the other.
_CHECKS: dict[Sender, Step] = {"server": Step.CLIENT_CHECKS, "client": Step.SERVER_CHECKS}
_LATER = {
    Step.SERVER_SHOWS: "the server asks afterwards who the client is",
    Step.CLIENT_CHECKS: "the client shows itself",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """What is drawn under one heading; messages with their index in the transcript."""

    step: Step
    title: str
    checks: tuple[Side, ...]
    messages: tuple[tuple[int, Message], ...]
    ghosts: tuple[Ghost, ...]


def passages(transcript: Transcript) -> Iterator[Passage]:
    """Every message and every missing one exactly once; headings with nothing under them are left out."""
    edges = [0, *transcript.asked_later, len(transcript.messages)]
    last = len(edges) - 2
    for number in range(len(edges) - 1):
        begin, end = edges[number], edges[number + 1]
        within = list(enumerate(transcript.messages))[begin:end]
        for step in Step:
            found = Passage(
                step,
                _LATER.get(step, step.title) if number else step.title,
                tuple(
                    side
                    for side in transcript.sides
                    if _CHECKS[side.role] is step
                    and side.checked_after is not None
                    and begin <= side.checked_after < end
                ),
                tuple((index, message) for index, message in within if message.step is step),
                tuple(ghost for ghost in transcript.ghosts if ghost.step is step and number == last),
            )
            if found.checks or found.messages or found.ghosts:
                yield found
