"""What systemd and a service tell each other: states out (sd_notify), sockets in (socket activation).

The protocols of sd_notify(3) and sd_listen_fds(3), from their manual pages; nothing happens without systemd.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass

from twoway.errors import ConfigError

FIRST_DESCRIPTOR = 3
_MOST_DESCRIPTORS = 1024
_ACTIVATION = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")

Environment = MutableMapping[str, str]


class BadActivation(ConfigError):
    """Sockets were passed to this process in a way that it cannot use."""

    code = "bad_activation"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the sockets that were passed over cannot be used: {self.problem}"

    @property
    def remedy(self) -> str:
        return "let FileDescriptorName= of the socket unit be a listener's name, or ListenStream= its address"


class Notifier:
    """Tells the service manager how we are; tells nobody when there is none. A manager that is gone is no fault of ours."""

    def __init__(self, environment: Environment, pid: int) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_seconds = 0.0
        with contextlib.suppress(ValueError):
            mine = int(environment.get("WATCHDOG_PID", pid)) == pid
            if address and mine:
                self.watchdog_seconds = max(0, int(environment.get("WATCHDOG_USEC", 0))) / 1e6

    def ready(self, status: str) -> None:
        self.tell(READY="1", STATUS=status)

    def reloading(self) -> None:
        self.tell(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def stopping(self, status: str) -> None:
        self.tell(STOPPING="1", STATUS=status)

    def alive(self) -> None:
        self.tell(WATCHDOG="1")

    def tell(self, **states: str) -> None:
        """Send these assignments in one datagram."""
        if not self._address.startswith(("/", "\0")):
            return
        lines = (f"{name}={value.replace(chr(10), ' ')}" for name, value in states.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.5)
            sock.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)


@dataclass(frozen=True, slots=True)
class Passed:
    """A listening socket that somebody else has opened for us, and what they call it."""

    name: str
    sock: socket.socket
    kept: bool = False  # whether its name in the file system is the other's to remove


def activated(environment: Environment, pid: int) -> list[Passed]:
    """The sockets that a service manager has opened, in its order; raises BadActivation.

    Takes the variables out of the environment, so that no child believes that they are meant for it.
    """
    given = {name: environment.pop(name, "") for name in _ACTIVATION}
    if not given["LISTEN_FDS"] or given["LISTEN_PID"] != str(pid):
        return []
    try:
        count = int(given["LISTEN_FDS"])
    except ValueError:
        raise BadActivation(f"LISTEN_FDS is {given['LISTEN_FDS']!r}") from None
    if not 0 <= count <= _MOST_DESCRIPTORS:
        raise BadActivation(f"LISTEN_FDS is {count}")
    names = given["LISTEN_FDNAMES"].split(":") if given["LISTEN_FDNAMES"] else []
    if names and len(names) != count:
        raise BadActivation(f"{count} sockets and {len(names)} names")
    return [
        Passed(names[index] if names else "unknown", adopt(FIRST_DESCRIPTOR + index))
        for index in range(count)
    ]


def adopt(descriptor: int) -> socket.socket:
    """A listening stream socket by its number, made non-blocking and not inheritable; raises BadActivation."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise BadActivation(f"descriptor {descriptor} is no socket: {error.strerror}") from None
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.type != socket.SOCK_STREAM or not listens:
        sock.detach()
        raise BadActivation(f"descriptor {descriptor} does not listen for streams")
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock
