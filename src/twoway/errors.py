"""What can go wrong, split by who is to blame: you, the other side, or the network between.

Every error carries its facts as arguments (so that it pickles and compares), says what happened in
`str()`, and what to do about it in `remedy`. Subclasses live beside the code that raises them.
"""

from __future__ import annotations

from typing import ClassVar

from twoway.steps import Step


class TwowayError(Exception):
    """Every error that twoway raises on purpose.

    `code` is a stable identifier for logs and programs; `spec` cites the standard that was broken,
    where there is one; `step` says in which of the five steps it happened, where that is known.
    """

    code: ClassVar[str] = "error"
    spec: ClassVar[str | None] = None
    step: Step | None = None

    def __str__(self) -> str:
        return " ".join(str(argument) for argument in self.args) or self.code

    @property
    def remedy(self) -> str:
        """What to change so that this does not happen again; empty when nothing is known."""
        return ""

    @property
    def evidence(self) -> dict[str, object]:
        """The facts behind the sentence, ready for JSON."""
        return {}


class ConfigError(TwowayError):
    """Something that was given to twoway cannot be used: a file, an option, a rule."""

    code = "config"


class UsageError(ConfigError):
    """A request that makes no sense as asked, with the remedy as its second argument."""

    code = "usage"

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.sentence, self._remedy = sentence, remedy

    def __str__(self) -> str:
        return self.sentence

    @property
    def remedy(self) -> str:
        return self._remedy


class PeerError(TwowayError):
    """The other side is to blame, or says that we are."""

    code = "peer"


class PeerUntrusted(PeerError):
    """We refuse the other side: what it presented does not prove who it is."""

    code = "peer_untrusted"


class PeerDenied(PeerError):
    """The other side proved who it is, and the policy does not let it in."""

    code = "peer_denied"


class PeerRefused(PeerError):
    """The other side refuses us."""

    code = "peer_refused"


class NetworkError(TwowayError):
    """The connection did not come about, broke, or took too long."""

    code = "network"
