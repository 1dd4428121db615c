"""Everybody a test of mutual TLS needs: one authority, its servers and clients, and those who are to be turned away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from cryptography import x509

from twoway.credential import Credential
from twoway.testing.issuer import Issuer
from twoway.trust import Trust

LOCAL = {"dns": ("localhost",), "ip": ("127.0.0.1", "::1")}


class Company:
    """A throw-away authority in memory, with an issuing CA below its root. What is asked for is made when it is asked for.

    `stranger`, `expired` and `revoked` are clients whom a server of this company turns away: the first is of another
    authority, the second was in time until yesterday, the third is on `crl`.
    """

    def __init__(self, name: str = "Acme") -> None:
        self.name = name
        self._revoked: list[x509.Certificate] = []

    @cached_property
    def root(self) -> Issuer:
        return Issuer.root(f"{self.name} Root CA", organization=self.name)

    @cached_property
    def issuing(self) -> Issuer:
        return self.root.below(f"{self.name} Issuing CA", organization=self.name)

    def server(self, *names: str, **more: Any) -> Credential:
        """A server's identity: for this machine, or under these DNS names. `more` as `Issuer.leaf` takes it."""
        names_of_it = {"dns": names} if names else LOCAL
        return self._leaf((names or ("localhost",))[0], purpose="server", **{**names_of_it, **more})

    def client(self, name: str = "client", **more: Any) -> Credential:
        """A client's identity; `uri=("spiffe://…",)` and others as `Issuer.leaf` takes them."""
        return self._leaf(name, **more)

    @cached_property
    def stranger(self) -> Credential:
        """A client of another authority, which believes this company all the same."""
        other = Issuer.root("Globex Root CA", organization="Globex").below("Globex Issuing CA")
        return self.believed_by(other.leaf("stranger"))

    @cached_property
    def expired(self) -> Credential:
        return self._leaf("expired", start=-30, days=-1)

    @cached_property
    def revoked(self) -> Credential:
        made = self._leaf("revoked")
        self.revoke(made)
        return made

    def revoke(self, *credentials: Credential) -> None:
        """Put these on the list; a server that is to know of it has to be given `crl()` afterwards."""
        self._revoked += [credential.leaf for credential in credentials]

    def crl(self) -> tuple[x509.CertificateRevocationList, ...]:
        """The lists of the issuing CA, with everybody who is revoked, and of the root."""
        _ = self.revoked
        return self.issuing.crl(*self._revoked), self.root.crl()

    def trust(self, *, crls: Iterable[x509.CertificateRevocationList] = ()) -> Trust:
        """Whom a member of this company believes."""
        return Trust((self.root.certificate,), tuple(crls))

    def believed_by(self, credential: Credential) -> Credential:
        """That identity, believing this company."""
        return Credential(credential.private_key, credential.chain, (self.root.certificate,))

    def _leaf(self, name: str, **more: Any) -> Credential:
        return self.issuing.leaf(name, **{"organization": self.name, **more})


def in_days(days: float) -> dt.datetime:
    """The moment so many days from now, in UTC."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
