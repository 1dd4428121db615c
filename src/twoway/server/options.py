"""What `serve` was asked for, and how it becomes settings again at every reload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import UsageError
from twoway.tls import Clients, Limits, ServerSettings, Version, trust_of
from twoway.tls.settings import TICKET_SECONDS
from twoway.trust import Policy, Trust
from twoway.trust.bundle import load_crls
from twoway.trust.revocation import CrlRule, CrlScope

Paths: TypeAlias = "str | Path | Sequence[str | Path]"
_IDENTITY_FILES = ("cert.pem", "key.pem", "ca.pem", "crl.pem")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Where credential, trust, revocation lists and policy come from, and the limits of the server.

    Paths are read again at every reload; values given as objects stay as they are.
    """

    identity: Credential | str | Path
    trust: Trust | Paths | None = None
    crl: Paths = ()
    crl_rule: CrlRule = "refuse"
    crl_scope: CrlScope = "chain"
    crl_expected: bool = False
    policy: Policy | str | Path | None = None
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    clients: Clients = "required"
    passphrase: Passphrase = field(default=None, repr=False)
    minimum_version: Version = "TLSv1.2"
    maximum_version: Version = "TLSv1.3"
    ticket_seconds: int = TICKET_SECONDS
    host: str = "127.0.0.1"
    port: int = 8443
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    drain_seconds: float = 10.0
    keep_alive_seconds: int = 5
    request_seconds: float = 20.0  # until a request's headers are there
    rejudge_seconds: float = 60.0  # a certificate or a list may end while its connection lives
    stall_seconds: float = 30.0  # for a body to go on, and for an answer to be taken
    concurrency: int | None = None
    backlog: int = 2048
    access_log: bool = True
    log_format: str = "text"
    record: str | Path | None = None
    judges_requests: bool = False

    def __post_init__(self) -> None:
        if callable(self.passphrase):
            object.__setattr__(self, "passphrase", cache(self.passphrase))  # a person is asked once
        if self.policy is not None and (self.allow or self.deny):
            raise UsageError(
                "a policy and single rules were given", "put the rules into the policy, or leave it out"
            )
        if isinstance(self.trust, Trust) and self.crl:
            raise UsageError(
                "a Trust object and revocation lists were given",
                "make the Trust with its crls, or pass paths",
            )
        if self.workers < 1:
            raise UsageError(f"expected at least one worker, got {self.workers}", "pass workers=1 or more")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"expected a port from 0 to 65535, got {self.port}", "8443 is customary")
        if self.log_format not in ("text", "json"):
            raise UsageError(f"no such log format: {self.log_format}", "choose text or json")

    def settings(self) -> ServerSettings:
        """Load everything anew; raises ConfigError."""
        credential = self.credential()
        return ServerSettings(
            credential,
            None if self.clients == "none" else self._trust(credential),
            self._policy(),
            clients=self.clients,
            minimum_version=self.minimum_version,
            maximum_version=self.maximum_version,
            ticket_seconds=self.ticket_seconds,
            judges_requests=self.judges_requests,
        )

    def credential(self) -> Credential:
        if isinstance(self.identity, Credential):
            return self.identity
        return Credential.load(self.identity, passphrase=self.passphrase)

    def _trust(self, credential: Credential) -> Trust:
        if isinstance(self.trust, Trust):
            return self.trust
        if self.trust is not None:
            return Trust.load(
                self.trust,
                crls=self.crl,
                crl_rule=self.crl_rule,
                crl_scope=self.crl_scope,
                crl_expected=self.crl_expected,
            )
        beside = trust_of(credential)
        lists = load_crls(_paths(self.crl)) or beside.crls
        return Trust(beside.anchors, lists, self.crl_rule, self.crl_scope, self.crl_expected)

    def _policy(self) -> Policy:
        if isinstance(self.policy, Policy):
            return self.policy
        if self.policy is not None:
            return Policy.load(self.policy)
        if self.allow or self.deny:
            return Policy.from_rules(self.allow, self.deny)
        return Policy.anyone_proven()

    def watched(self) -> tuple[Path, ...]:
        """The files whose change means a new generation."""
        paths: list[Path] = []
        for one in _paths(self.identity):
            paths += [one / name for name in _IDENTITY_FILES] if one.is_dir() else [one]
        for source in (self.trust, self.crl, self.policy):
            for one in _paths(source):
                paths += [one / "ca.pem", one / "crl.pem"] if one.is_dir() else [one]
        return tuple(paths)


def _paths(source: object) -> tuple[Path, ...]:
    if isinstance(source, (str, Path)):
        return (Path(source),)
    if isinstance(source, Sequence):
        return tuple(Path(str(one)) for one in source)
    return ()
