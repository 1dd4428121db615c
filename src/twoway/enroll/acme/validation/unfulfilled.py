"""Why a proof was not found: the standard's error types for challenges (RFC 8555 §8.2)."""

from __future__ import annotations

from twoway.enroll.acme.problem import document
from twoway.errors import NetworkError


class Unfulfilled(NetworkError):
    """The proof is not there. `type` is `connection`, `dns`, `tls`, `unauthorized` or `incorrectResponse`.

    What a host answered is never part of it: nobody shall read through this authority what he cannot read himself.
    """

    code = "acme_unfulfilled"

    def __init__(self, type: str, why: str) -> None:  # noqa: A002 - the standard's word
        super().__init__(type, why)
        self.type, self.why = type, why

    def __str__(self) -> str:
        return self.why

    @property
    def remedy(self) -> str:
        return "put the proof where the standard says, reachable from the authority, and order anew"

    @property
    def evidence(self) -> dict[str, object]:
        return {"type": self.type, "why": self.why}

    def as_problem(self) -> dict[str, object]:
        return document(self.type, self.why)
