"""Where the gateway listens and whom it calls, as people write it: HOST:PORT, [v6]:PORT or unix:PATH."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from twoway.errors import ConfigError, UsageError

Place = tuple[int, tuple[str, int] | str]


class CannotResolve(ConfigError):
    """A host name that has no address."""

    code = "cannot_resolve"

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(host, reason)
        self.host, self.reason = host, reason

    def __str__(self) -> str:
        return f"cannot find the address of {self.host}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "check the spelling, or write the IP address"


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address or the path of a UNIX socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read what people write; raises UsageError."""
        if text.startswith("unix:"):
            path = text[len("unix:") :]
            if not path or len(path.encode()) > 107 or "\0" in path:
                raise UsageError(
                    f"{text!r} names no UNIX socket", "write unix:/run/app.sock, of at most 107 bytes"
                )
            return cls(path=path)
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise UsageError(f"{text!r} is ambiguous", "write an IPv6 address in brackets: [::1]:8443")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise UsageError(f"{text!r} is not an address", "write HOST:PORT, [::1]:PORT or unix:PATH")
        return cls(host=host or "127.0.0.1", port=int(port))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether nobody outside this machine can listen in: a loopback address or a UNIX socket."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_name(self) -> bool:
        """Whether the DNS says where it leads, which may change."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return not self.path
        return False

    def resolve(self) -> Place:
        """The first of `resolve_all`."""
        return self.resolve_all()[0]

    def resolve_all(self) -> tuple[Place, ...]:
        """Each socket family with what `bind` and `connect` take, in the resolver's order; raises CannotResolve.

        May ask the DNS, and wait for it.
        """
        if self.path:
            return ((socket.AF_UNIX, self.path),)
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise CannotResolve(self.host, getattr(error, "strerror", None) or str(error)) from None
        return tuple((family, place) for family, _, _, _, place in found)  # type: ignore[misc]
