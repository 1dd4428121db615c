"""The targets of a listener: who is called next, who is given a rest, and who is back."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable

from twoway.errors import NetworkError
from twoway.gateway.addresses import Address
from twoway.gateway.loop import WRITE, Loop
from twoway.tls import Ticket

HEALTH_SECONDS = 1.0
_LONGEST_REST = 30.0
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
    """One address, with what is known about it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.family, self.place = address.resolve()
        self.open = 0
        self.failures = 0
        self.down_until = 0.0
        self.reason = ""
        self.tickets: list[Ticket] = []

    @property
    def is_up(self) -> bool:
        return not self.failures

    def connect(self) -> tuple[socket.socket, bool]:
        """A non-blocking socket, and whether it is connected already; raises OSError."""
        sock = socket.socket(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if self.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(self.place)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, errno.errorcode.get(code, str(code)))
            if code == 0:
                return sock, True
            # On the loopback the other side has often answered by now.
            with contextlib.suppress(OSError):
                sock.getpeername()
                return sock, True
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, errno.errorcode.get(failed, str(failed)))
        except BaseException:
            sock.close()
            raise
        return sock, False

    def keep(self, ticket: Ticket | None) -> None:
        if ticket is not None:
            self.tickets.append(ticket)
            del self.tickets[:-_TICKETS]


class Backend:
    """All targets of one listener. The one with the fewest open connections is next, among those that are up."""

    def __init__(self, addresses: tuple[Address, ...], loop: Loop, told: Callable[[str, str], None]) -> None:
        self.targets = [Target(address) for address in addresses]
        self._loop, self._told, self._next = loop, told, 0

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
        target.reason = str(error)
        if target.failures == 1:
            self._told("target-down", f"{target.address} takes no connection: {error}")
            self._loop.later(HEALTH_SECONDS, lambda: self._check(target, HEALTH_SECONDS))

    def worked(self, target: Target) -> None:
        if target.failures:
            target.failures, target.reason = 0, ""
            self._told("target-up", f"{target.address} takes connections again")

    @property
    def is_ready(self) -> bool:
        return any(target.is_up for target in self.targets)

    def _check(self, target: Target, pause: float) -> None:
        if target.is_up:
            return
        again = min(pause * 2, _LONGEST_REST)
        try:
            sock, connected = target.connect()
        except OSError as error:
            target.reason = str(error)
            self._loop.later(again, lambda: self._check(target, again))
            return
        if connected:
            sock.close()
            self.worked(target)
            return

        def answered(_: int) -> None:
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            limit.cancel()
            self._loop.close(sock)
            if failed:
                self._loop.later(again, lambda: self._check(target, again))
            else:
                self.worked(target)

        def silent() -> None:
            self._loop.close(sock)
            self._loop.later(again, lambda: self._check(target, again))

        limit = self._loop.later(HEALTH_SECONDS, silent)
        self._loop.watch(sock.fileno(), answered, WRITE)
