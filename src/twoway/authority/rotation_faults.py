"""Why a change of CA does not go on."""

from __future__ import annotations

from twoway.authority.faults import AuthorityError
from twoway.authority.refusals import RequestRefused

_SHOWN = 10


class RotationUnderWay(AuthorityError):
    """One change of CA at a time."""

    code = "authority_rotation_under_way"

    def __init__(self, kind: str, act: str) -> None:
        super().__init__(kind, act)
        self.kind, self.act = kind, act

    def __str__(self) -> str:
        return f"the {self.kind} CA is being changed, and to {self.act} has to wait until that has ended"

    @property
    def remedy(self) -> str:
        return f"see how far it is: twoway ca rotate {self.kind} --status"


class NoRotation(AuthorityError):
    """There is no change of that CA to stop."""

    code = "authority_no_rotation"

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return f"no change of the {self.kind} CA is under way"

    @property
    def remedy(self) -> str:
        return f"begin one: twoway ca rotate {self.kind}"


class TooLateToAbort(AuthorityError):
    """The new CA has begun to issue: its certificates are out, and to take it back would cut them off."""

    code = "authority_rotation_past_abort"

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return f"the change of the {self.kind} CA is past the step at which it can be taken back: the new one issues"

    @property
    def remedy(self) -> str:
        return f"go on to its end (twoway ca rotate {self.kind}), then change again if need be"


class WouldCutOff(RequestRefused):
    """A step of a rotation would leave somebody who cannot be verified, or cannot verify others, any more."""

    code = "rotation_would_cut_off"

    def __init__(self, kind: str, act: str, why: str, count: int, identities: tuple[str, ...]) -> None:
        super().__init__(kind, act, why, count, identities)
        self.kind, self.act, self.why = kind, act, why
        self.count, self.identities = count, identities

    def __str__(self) -> str:
        shown = "; ".join(self.identities[:_SHOWN])
        more = f"; and {self.count - _SHOWN} more" if self.count > _SHOWN else ""
        return f"to {self.act} now would cut off {self.count}, {self.why}: {shown}{more}"

    @property
    def remedy(self) -> str:
        return (
            "wait for their agents (each asks within the hour), bring them up to date by hand, or revoke what is out of "
            f"use; twoway ca rotate {self.kind} --force goes on without them"
        )


class TooSoon(RequestRefused):
    """A step was asked for before what the step before it gave out can have arrived."""

    code = "rotation_too_soon"

    def __init__(self, kind: str, act: str, minutes: int, why: str) -> None:
        super().__init__(kind, act, minutes, why)
        self.kind, self.act, self.minutes, self.why = kind, act, minutes, why

    def __str__(self) -> str:
        return f"to {self.act} is {self.minutes} minutes too early: {self.why}"

    @property
    def remedy(self) -> str:
        return f"wait so long; twoway ca rotate {self.kind} --force goes on at once"
