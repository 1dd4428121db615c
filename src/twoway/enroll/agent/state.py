"""What the agent did last for one identity, in a file beside it: for `twoway agent status`, and across restarts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twoway.credential.files import write_public

FILE = ".agent.json"


@dataclass(frozen=True, slots=True)
class State:
    """Times are UTC, None for never. `hooks_due`: what uses the identity has not been told of the newest one yet."""

    renewed_at: datetime | None = None
    tried_at: datetime | None = None
    next_try_at: datetime | None = None
    failures: int = 0
    error: str | None = None
    remedy: str | None = None
    hooks_due: bool = False

    def failed(self, now: datetime, again: datetime, error: str, remedy: str) -> State:
        return replace(
            self, tried_at=now, next_try_at=again, failures=self.failures + 1, error=error, remedy=remedy
        )

    def succeeded(self, now: datetime, *, renewed: bool) -> State:
        return State(now if renewed else self.renewed_at, now, None, 0, None, None, self.hooks_due or renewed)

    def as_dict(self) -> dict[str, Any]:
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }


def read_state(directory: Path) -> State:
    """The state beside an identity; an empty one where there is none, or none that can be read."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return State(
            renewed_at=_moment(found.get("renewed_at")),
            tried_at=_moment(found.get("tried_at")),
            next_try_at=_moment(found.get("next_try_at")),
            failures=int(found["failures"]),
            error=_text(found.get("error")),
            remedy=_text(found.get("remedy")),
            hooks_due=bool(found["hooks_due"]),
        )
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return State()


def write_state(directory: Path, state: State) -> None:
    """Replace the file. Raises FileUnwritable."""
    write_public(directory / FILE, json.dumps(state.as_dict(), indent=1).encode() + b"\n")


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)).astimezone(UTC) if value else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
