"""Plays the whole demo and says whether all of it happened."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twoway.demo.acts import theatre
from twoway.demo.stage import gather
from twoway.demo.story import Act
from twoway.demo.telling import Teller


@dataclass(frozen=True)
class Played:
    """The acts, in order, and whether each ended as it should."""

    acts: tuple[Act, ...]
    seconds: float

    @property
    def fine(self) -> bool:
        return bool(self.acts) and all(act.as_expected for act in self.acts)

    def as_dict(self) -> dict[str, Any]:
        return {
            "fine": self.fine,
            "seconds": round(self.seconds, 2),
            "acts": [act.as_dict() for act in self.acts],
        }


def play(
    place: Path | None, teller: Teller, say: Callable[[str], None], *, record: Path | None = None
) -> Played:
    """Play every act, telling each as soon as it is over; in `place`, or in a directory that is removed.

    `record` is where the connections to the service are recorded, with their secrets.
    """
    began = time.monotonic()
    kept = place is not None
    stage = place or Path(tempfile.mkdtemp(prefix="twoway-demo-")) / "demo"
    acts: list[Act] = []
    try:
        cast = gather(stage)
        with theatre(cast, kept=kept, record=record) as running:
            where = str(stage) if kept else "a directory that is removed at the end (--out DIR keeps them)"
            for line in teller.opening(where, running.target):
                say(line)
            for number, act in enumerate(running.acts(), 1):
                acts.append(act)
                for line in teller.act(number, act):
                    say(line)
                if (
                    running.one_way is not None
                    and running.two_way is not None
                    and act.title.startswith("one way and")
                ):
                    for line in teller.ladders(running.one_way, running.two_way):
                        say(line)
        cast.authority.close()
    finally:
        if not kept:
            shutil.rmtree(stage.parent, ignore_errors=True)
    played = Played(tuple(acts), time.monotonic() - began)
    for line in teller.closing(played.fine, played.seconds):
        say(line)
    return played
