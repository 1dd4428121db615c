"""What one listener spends on others at most: seconds and counts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from twoway.errors import UsageError

LONGEST_SECONDS = 10 * 366 * 86400.0  # beyond this a limit is none
MOST = 10_000_000
_MAY_BE_NONE = ("lifetime_seconds", "connections_per_peer", "handshakes_per_second", "health_seconds")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Seconds and counts; 0 sets no bound where `_MAY_BE_NONE` says so. Raises UsageError."""

    handshake_seconds: float = 10.0
    connect_seconds: float = 5.0
    idle_seconds: float = 3600.0
    lifetime_seconds: float = 0.0
    drain_seconds: float = 1.0
    connections: int = 10_000
    connections_per_peer: int = 0
    handshakes_per_second: float = 0.0
    health_seconds: float = 0.0
    header_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    body_seconds: float = 60.0
    response_seconds: float = 60.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name.startswith("connections") and value != int(value if value < MOST else 0):
                raise UsageError(
                    f"expected a whole number of {name}, got {value:g}", "connections are counted"
                )
            if name in _MAY_BE_NONE and not value >= 0:
                raise UsageError(f"expected {name} of 0 or more, got {value:g}", "0 sets no bound")
            if name not in _MAY_BE_NONE and not value > 0:
                raise UsageError(f"expected {name} above 0, got {value:g}", "give a positive number")
            if value > (LONGEST_SECONDS if name.endswith("_seconds") else MOST):
                raise UsageError(f"{name} of {value:g} is no limit", "every wait and every count has one")
