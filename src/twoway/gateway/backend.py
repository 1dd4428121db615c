"""The targets of a listener: who is called next, who is given a rest, and who is back."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable

from twoway.errors import NetworkError
from twoway.gateway.addresses import Address, CannotResolve, Place
from twoway.gateway.attempt import Attempt, Way, is_ours, said
from twoway.gateway.loop import Loop, Timer
from twoway.tls import Ticket
from twoway.tls.library import ffi

HEALTH_SECONDS = 1.0
_LONGEST_REST = 30.0
_STEADY_SECONDS = 10.0  # a target that fails again sooner is flapping, and rests longer each time
_ALERT_SECONDS = 0.25  # in TLS 1.3 a target judges our certificate after we think that all is done
_TICKETS = 8


class NoTarget(NetworkError):
    """None of the targets takes a connection."""

    code = "no_target"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return "no target takes a connection: " + "; ".join(self.reasons)

    @property
    def remedy(self) -> str:
        return "start the service behind the gateway, or check its address"


class Target:
    """One address, with what is known about it. With a proxy in between, the proxy is what is connected to.

    Its name may lead to several `places`: the first is called until it fails, then the next.
    """

    def __init__(self, address: Address, through: Address | None = None) -> None:
        self.address, self.called = address, through or address
        self.places = self.called.resolve_all()
        self.open = 0
        self.failures = 0
        self.pause = HEALTH_SECONDS
        self.up_since = float("-inf")
        self.reason = ""
        self.tickets: list[Ticket] = []
        self.rest: Timer | None = None

    @property
    def is_up(self) -> bool:
        return not self.failures

    def look_up(self) -> tuple[Place, ...]:
        """Where the name leads now, for a thread that may wait; when nobody answers, what is known."""
        try:
            found = self.called.resolve_all()
        except CannotResolve:
            return self.places
        return self.places if set(found) == set(self.places) else found

    def turn(self) -> None:
        """Call the next place of the name from now on."""
        self.places = (*self.places[1:], self.places[0])

    def connect(self) -> tuple[socket.socket, bool]:
        """A non-blocking socket, and whether it is connected already; raises OSError."""
        family, place = self.places[0]
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(place)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code).lower())
            if code == 0:
                return sock, True
            # On the loopback the other side has often answered by now.
            with contextlib.suppress(OSError):
                sock.getpeername()
                return sock, True
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, os.strerror(failed).lower())
        except BaseException:
            sock.close()
            raise
        return sock, False

    def keep(self, ticket: Ticket | None) -> None:
        if ticket is not None:
            self.tickets.append(ticket)
            del self.tickets[:-_TICKETS]


class Backend:
    """All targets of one listener. The one with the fewest open connections is next, among those that are up.

    A check goes the whole way that a connection would go: through the proxy, and through the handshake of a TLS
    target, listening for an alert afterwards.
    """

    def __init__(
        self, targets: tuple[Target, ...], way: Way, loop: Loop, told: Callable[[str, str], None]
    ) -> None:
        self.targets = targets
        self.way, self._loop, self._told, self._next = way, loop, told, 0

    def choose(self, tried: list[Target]) -> Target | None:
        """The next to try; one that rests only when nobody else is left. None when all were tried."""
        left = [target for target in self.targets if target not in tried]
        if not left:
            return None
        if len(left) == 1:
            return left[0]
        up = [target for target in left if target.is_up] or left
        self._next += 1
        start = self._next % len(up)
        return min(up[start:] + up[:start], key=lambda target: target.open)

    def failed(self, target: Target, error: BaseException) -> None:
        """A target took no connection: it rests, and is asked again by a check of its own."""
        target.failures += 1
        target.reason = said(error)
        target.turn()
        if target.failures == 1:
            flaps = self._loop.now - target.up_since < _STEADY_SECONDS
            target.pause = min(target.pause * 2, _LONGEST_REST) if flaps else HEALTH_SECONDS
            self._told("target-down", f"{target.address} takes no connection: {target.reason}")
            self._check_later(target)

    def worked(self, target: Target) -> None:
        if target.failures:
            target.failures, target.reason = 0, ""
            target.up_since = self._loop.now
            self._told("target-up", f"{target.address} takes connections again")

    def moved(self, target: Target, places: tuple[Place, ...]) -> None:
        """The name of a target leads elsewhere: what comes next goes there, what is open stays."""
        target.places = places
        told = ", ".join(str(place[0]) for _, place in places)
        self._told("target-moved", f"{target.called.host} leads to {told} now")

    @property
    def is_ready(self) -> bool:
        return any(target.is_up for target in self.targets)

    # -- checks --------------------------------------------------------------------------------------

    def watch(self, seconds: float) -> None:
        """Check every target from now on, each time so many seconds after the last answer."""

        def again() -> None:
            self.probe(lambda: self._loop.later(seconds, again))

        again()

    def probe(self, done: Callable[[], object]) -> None:
        """Ask every target now; `done` is called when each has answered or has had its time."""
        waiting = len(self.targets)

        def one(_: BaseException | None) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                done()

        for target in self.targets:
            self._check(target, one)

    def _check_later(self, target: Target) -> None:
        if target.rest is not None:
            return

        def now() -> None:
            target.rest = None
            if not target.is_up:
                self._check(target, answered)

        def answered(fault: BaseException | None) -> None:
            if fault is not None:
                target.pause = min(target.pause * 2, _LONGEST_REST)
                self._check_later(target)

        target.rest = self._loop.later(target.pause, now)

    def _check(self, target: Target, told: Callable[[BaseException | None], None]) -> None:
        def failed(_: Attempt, fault: BaseException) -> None:
            if not target.is_up:
                target.reason = said(fault)
            elif not is_ours(fault):
                self.failed(target, fault)
            told(fault)

        def done(attempt: Attempt) -> None:
            assert attempt.sock is not None
            if attempt.session is None:
                with contextlib.suppress(OSError):
                    attempt.sock.send(self.way.greeting)
                fine()
                return
            limit = self._loop.later(_ALERT_SECONDS, fine)
            self._loop.rewatch(attempt.sock.fileno(), lambda _: listen(limit.cancel), attempt.mask)

        def listen(stop: Callable[[], None]) -> None:
            assert attempt.session is not None
            try:
                if attempt.session.read_into(_scrap, 1) < 0:
                    return  # a ticket, and no word against us
            except Exception as fault:  # noqa: BLE001 - whatever it is, the target does not serve us
                stop()
                attempt.leave()
                failed(attempt, fault)
                return
            stop()
            fine()

        def fine() -> None:
            if attempt.session is not None:
                attempt.session.say_goodbye()
            attempt.leave()
            self.worked(target)
            told(None)

        attempt = Attempt(target, self.way, self._loop, done, failed)
        attempt.begin()


_scrap = ffi.new("unsigned char[]", 1)
