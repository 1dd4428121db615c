"""What `twoway ca serve` was asked for about ACME."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from twoway.enroll.acme.rates import Rate
from twoway.errors import UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class AcmeOptions:
    """Who may have accounts, what they may order, and where their names are looked for."""

    accounts: Literal["open", "bound", "off"] = "open"
    """`bound`: only with an external account binding; `off`: there is no ACME here."""
    profiles: tuple[str, ...] = ("server",)
    """What can be ordered; the first is for orders that name none."""
    terms: str | None = None
    """The address of terms of service, which accounts then have to agree to."""
    allow_networks: tuple[Network, ...] = ()
    """Private networks in which hosts may be looked at for a proof."""
    resolver: str | None = None
    """`HOST:PORT` of a DNS resolver instead of the system's."""
    http_port: int = 80
    tls_port: int = 443
    order_hours: float = 24.0 * 7
    """How long an order and its authorizations last."""
    validations: int = 16
    """Proofs that are looked for at a time."""
    waiting: int = 256
    """Proofs that may wait for that; more are told to come again."""
    seconds: float = 10.0
    """The most that one proof takes."""
    new_accounts: Rate = field(default=Rate("new accounts from this address in an hour", 100))
    new_orders: Rate = field(default=Rate("new orders of this account in an hour", 500))
    failures: Rate = field(default=Rate("failed proofs of this account for that name in an hour", 30))
    requests: Rate = field(default=Rate("requests from this address in an hour", 36_000))
    open_orders: int = 200
    """Orders of one account that wait for something."""

    def __post_init__(self) -> None:
        if not self.profiles:
            raise UsageError("ACME needs a profile", "name one: --acme-profile server")

    def weakenings(self) -> Iterator[str]:
        """What is less strict than it should be outside of tests, each as a sentence for the log."""
        if self.resolver is not None:
            yield f"names are looked up at {self.resolver} alone (--acme-resolver)"
        if self.http_port != 80:
            yield f"http-01 is looked for at port {self.http_port} instead of 80 (--acme-http-port)"
        if self.tls_port != 443:
            yield f"tls-alpn-01 is looked for at port {self.tls_port} instead of 443 (--acme-tls-port)"
        for network in self.allow_networks:
            if network.is_loopback or network.is_link_local:
                yield f"proofs are looked for in {network}, which is this machine's own (--acme-allow-net)"


def network(text: str) -> Network:
    """A network in CIDR form, from the command line. Raises UsageError."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as failure:
        raise UsageError(f"{text!r} is no network: {failure}", "write it like 10.20.0.0/16") from failure
