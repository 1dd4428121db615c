"""What `twoway ca serve` was asked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from twoway.enroll.acme.options import AcmeOptions
from twoway.errors import UsageError
from twoway.names import is_ip
from twoway.tls import Limits


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`HOST:PORT`, `[IPv6]:PORT` or `:PORT`, which is loopback. Raises UsageError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"{text!r} is no address: expected HOST:PORT", "such as 127.0.0.1:8443")
        return cls(host.strip("[]") or "127.0.0.1", int(port))

    @property
    def is_loopback(self) -> bool:
        return self.host == "localhost" or (is_ip(self.host) and ipaddress.ip_address(self.host).is_loopback)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """Where the authority's service listens, under which names, and its bounds."""

    listen: Address
    public_listen: Address | None = None
    names: Sequence[str] = ()
    """DNS names and addresses in the service's own certificate; for a loopback address they may be left out."""
    roles: Sequence[str] = ()
    """`ROLE:RULE`, in addition to the files below `roles/`."""
    gateways: Sequence[str] = ()
    """Rules for client certificates of gateways, whose word counts about who called them (RFC 9440)."""
    renew_again: timedelta = timedelta(days=1)
    """How long a certificate that has a successor may have another one: answers get lost."""
    acme: AcmeOptions = field(default_factory=AcmeOptions)
    own_days: float = 7.0
    """Life of the service's own certificate; it is renewed after two thirds of it."""
    ocsp_seconds: float = 900.0
    """How long an OCSP answer holds: whoever keeps answers until their end hears of a revocation that much later."""
    threads: int = 16
    """Calls that are with the authority at a time; they wait there for a commit that they share."""
    waiting: int = 512
    """Calls that may wait for one of those threads; more are told to come again."""
    limits: Limits = field(default_factory=Limits)
    drain_seconds: float = 10.0
    keep_alive_seconds: int = 30
    access_log: bool = True
    log_format: str = "text"

    def __post_init__(self) -> None:
        if not self.names and not self.listen.is_loopback:
            raise UsageError(
                f"nobody knows under which name {self.listen} is reached",
                "say which: --name ca.acme.example (several are possible, addresses too)",
            )

    @property
    def own_names(self) -> tuple[str, ...]:
        return tuple(self.names) or ("localhost", "127.0.0.1", "::1")
