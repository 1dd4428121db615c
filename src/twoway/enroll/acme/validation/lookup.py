"""Asking the DNS, within bounds: addresses of a host, TXT records of a name."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.TXT import TXT

from twoway.enroll.acme.validation.targets import IpAddress
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled
from twoway.enroll.options import Address

MAX_ADDRESSES = 8
MAX_RECORDS = 64
MAX_RECORD = 1024


class Lookup:
    """One way to ask: the system's resolvers, or the one at `resolver` (`HOST:PORT`). The hosts file is not read."""

    def __init__(self, resolver: str | None, seconds: float) -> None:
        self._at = None if resolver is None else Address.parse(resolver)
        self._seconds = seconds
        self._asker: dns.asyncresolver.Resolver | None = None

    async def addresses(self, host: str) -> tuple[IpAddress, ...]:
        """The first few addresses of a host, IPv6 first. Raises Unfulfilled."""
        found: list[IpAddress] = []
        failures: list[Unfulfilled] = []
        for kind in ("AAAA", "A"):
            try:
                found += [ipaddress.ip_address(str(each)) for each in await self._ask(host, kind)]
            except Unfulfilled as failure:
                failures.append(failure)
        if not found:
            raise failures[-1]
        return tuple(found[:MAX_ADDRESSES])

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """The TXT records of a name, each put together from its strings. Raises Unfulfilled."""
        records = await self._ask(name, "TXT")
        texts = [each.strings for each in records[:MAX_RECORDS] if isinstance(each, TXT)]
        return tuple(b"".join(strings)[: MAX_RECORD + 1] for strings in texts)

    async def _ask(self, name: str, kind: str) -> Sequence[dns.rdata.Rdata]:
        try:
            # Absolute: a search list would lead names of others into domains of ours.
            absolute = dns.name.from_text(name, dns.name.root)
            answer = await self._resolver().resolve(absolute, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            raise Unfulfilled("dns", f"there is no {name} in the DNS") from None
        except dns.exception.Timeout:
            raise Unfulfilled("dns", f"the DNS did not answer about {name} in time") from None
        except (dns.exception.DNSException, OSError, ValueError) as failure:
            raise Unfulfilled("dns", f"the DNS fails about {name}: {type(failure).__name__}") from failure
        if not answer.rrset:
            raise Unfulfilled("dns", f"{name} has no {kind} record")
        return list(answer.rrset)

    def _resolver(self) -> dns.asyncresolver.Resolver:
        if self._asker is None:
            asker = dns.asyncresolver.Resolver(configure=self._at is None)
            if self._at is not None:
                asker.nameservers, asker.port = [self._at.host], self._at.port
            asker.lifetime, asker.timeout = self._seconds, min(3.0, self._seconds)
            self._asker = asker
        return self._asker
