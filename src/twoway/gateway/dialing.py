"""The way of one connection to a target: tries them by health, and ends in one ready end."""

from __future__ import annotations

from collections.abc import Callable

from twoway.errors import TwowayError
from twoway.gateway.attempt import Attempt, is_ours, said
from twoway.gateway.backend import Backend, NoTarget, Target
from twoway.gateway.ends import PlainEnd, TlsEnd
from twoway.gateway.loop import Loop
from twoway.tls.socketed import SocketSession


class Dialing:
    """Calls `reached(end, mask)` or `failed(fault)` once, or neither after `leave`.

    A target that fails, in whatever step, is followed by the next one: nothing has been sent to it yet. `mask` is
    what the loop watches the end's socket for: 0 when it is not watched. While an end is in use it counts in
    `target.open`: whoever was given it says `release` when it has closed the socket.
    """

    __slots__ = ("_answered", "_attempt", "_failed", "_loop", "_reached", "_tried", "_troubles", "backend")

    def __init__(
        self,
        backend: Backend,
        loop: Loop,
        reached: Callable[[PlainEnd, int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.backend, self._loop = backend, loop
        self._reached, self._failed = reached, failed
        self._attempt: Attempt | None = None
        self._tried: list[Target] = []
        self._troubles: list[BaseException] = []
        self._answered = False

    @property
    def target(self) -> Target | None:
        """The one that is tried, or was reached."""
        return self._attempt.target if self._attempt is not None else None

    @property
    def session(self) -> SocketSession | None:
        """The TLS to the target, if any."""
        return self._attempt.session if self._attempt is not None else None

    def begin(self) -> bool:
        """Start with the next target; True when the answer has been given before this returns."""
        target = self.backend.choose(self._tried)
        if target is None:
            self._answered = True
            self._failed(self._trouble())
            return True
        self._tried.append(target)
        self._attempt = Attempt(target, self.backend.way, self._loop, self._ready, self._missed)
        self._attempt.begin()
        return self._answered

    def leave(self) -> None:
        """Give up what is under way."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.leave()

    def release(self) -> None:
        """The end that was reached is closed; its ticket is kept for the next one."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None and attempt.sock is not None:
            attempt.target.open -= 1
            if attempt.session is not None:
                attempt.target.keep(attempt.session.ticket())

    def refused(self, fault: BaseException) -> None:
        """The end that was reached has turned out not to want us; before `release`."""
        if self._attempt is not None:
            self.backend.failed(self._attempt.target, fault)

    def _ready(self, attempt: Attempt) -> None:
        self._answered = True
        self.backend.worked(attempt.target)
        assert attempt.sock is not None
        reached, self._reached, self._failed = (
            self._reached,
            _nobody,
            _nobody,
        )  # who asked may leave before us
        end = TlsEnd(attempt.sock, attempt.session) if attempt.session is not None else PlainEnd(attempt.sock)
        reached(end, attempt.mask)

    def _missed(self, attempt: Attempt, fault: BaseException) -> None:
        self._attempt = None
        self._troubles.append(fault)
        if not is_ours(fault):
            self.backend.failed(attempt.target, fault)
        self.begin()

    def _trouble(self) -> BaseException:
        """The fault of the only target, where it is one of ours; otherwise what each of them said."""
        if len(self._troubles) == 1 and isinstance(self._troubles[0], TwowayError):
            return self._troubles[0]
        pairs = zip(self._tried, self._troubles, strict=True)
        return NoTarget(tuple(f"{target.address}: {said(fault)}" for target, fault in pairs))


def _nobody(*_: object) -> None:
    """Who has had an answer is not called again."""
