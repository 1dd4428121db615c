"""The few signs that a ladder is drawn with, in Unicode or in ASCII."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Signs of one column each; `ascii_only` also keeps text within ASCII."""

    ascii_only: bool = False

    def mark(self, mark: str) -> str:
        signs = (
            {"ok": "+", "bad": "x", "unknown": "?"}
            if self.ascii_only
            else {"ok": "✓", "bad": "✗", "unknown": "?"}
        )
        return signs[mark]

    def lock(self, epoch: str) -> str:
        """How protected: in clear, under early keys, under handshake keys, under application keys."""
        plain = {"plain": " ", "early": "e", "handshake": "h", "application": "a"}
        drawn = {"plain": "○", "early": "◔", "handshake": "◐", "application": "●"}
        return (plain if self.ascii_only else drawn)[epoch]

    @property
    def line(self) -> str:
        return "-" if self.ascii_only else "─"

    @property
    def rule(self) -> str:
        return "=" if self.ascii_only else "━"

    @property
    def dots(self) -> str:
        return "." if self.ascii_only else "┄"

    @property
    def life(self) -> str:
        return "|" if self.ascii_only else "│"

    @property
    def right(self) -> str:
        return ">" if self.ascii_only else "▶"

    @property
    def left(self) -> str:
        return "<" if self.ascii_only else "◀"

    @property
    def ellipsis(self) -> str:
        return "..." if self.ascii_only else "…"

    def fit(self, text: str) -> str:
        """Text as it may be printed."""
        return text.encode("ascii", "backslashreplace").decode("ascii") if self.ascii_only else text
