"""What a gateway was asked for, checked before anything is bound."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from twoway.credential import Credential, read
from twoway.credential.keys import Passphrase
from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.gateway.bounds import LONGEST_SECONDS, Bounds
from twoway.gateway.http.identity import CERT_HEADERS, CertHeaders, check_forms, parse_named
from twoway.gateway.via import Via
from twoway.names import BadName, is_ip, parse_dns_name
from twoway.revocation.inquiry import Nonce
from twoway.revocation.list_cache import ListCache, default_directory
from twoway.revocation.urls import Url, is_url
from twoway.server.options import Paths, ServeOptions
from twoway.tls import Clients, ClientSettings, ServerSettings
from twoway.tls.settings import TICKET_SECONDS, UnknownNames, check_no_requests
from twoway.trust import Pins, Policy, Trust
from twoway.trust.revocation import CrlRule, CrlScope

MOST_WORKERS = 256
_RULES = {"policy", "allow", "deny", "allow_anyone_proven"}

Ocsp = Literal["off", "soft", "hard"]
Kind = Literal["server", "client"]


@dataclass(frozen=True, kw_only=True)
class ListenerOptions:
    """One listener. Of kind "server": mutual TLS comes in. Of kind "client": mutual TLS goes out.

    `targets` are tried in turn. `target_tls` makes a server's way to its targets TLS as well, under the same
    identity. `server_name` is the name that a target must prove (the target's host otherwise), `sni` the name
    that it is asked for ("" asks for none; the same otherwise), `via` a proxy to go through. `crl` are files and
    addresses; what is fetched is kept in `crl_cache`. `names` have rules of their own (see `named`). `where` finds the
    place in a file that a complaint is about. Raises UsageError when it would be unsafe or could not work; files are
    read by `server_settings` and `client_settings`.
    """

    kind: Kind
    listen: Address
    listen_mode: int = 0o600
    listen_owner: str = ""
    targets: tuple[Address, ...]
    identity: Credential | str | Path
    name: str = ""
    trust: Trust | Paths | None = None
    crl: Paths = ()
    crl_rule: CrlRule = "refuse"
    crl_cache: str | Path | None = None
    revocation_depth: CrlScope = "chain"
    ocsp: Ocsp = "off"
    ocsp_url: str | None = None
    ocsp_nonce: Nonce = "send"
    ocsp_seconds: float = 3.0
    staple: bool = False
    ocsp_response: str | Path | None = None
    pin: Sequence[str] = ()
    policy: Policy | str | Path | None = None
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    allow_anyone_proven: bool = False
    shadow: Policy | str | Path | None = None
    clients: Clients = "required"
    names: tuple[tuple[str, ListenerOptions], ...] = ()
    unknown_name: UnknownNames = "serve"
    target_tls: bool = False
    server_name: str | None = None
    sni: str | None = None
    via: str | None = field(default=None, repr=False)
    via_credentials: str | Path | None = None
    record: str | Path | None = None
    proxy_protocol: bool = False
    unsafe_plain: bool = False
    end_at_expiry: bool = False
    http: bool = False
    client_cert_headers: CertHeaders = "rfc9440"
    headers: Sequence[str] = ()
    ticket_seconds: int = TICKET_SECONDS
    passphrase: Passphrase = field(default=None, repr=False)
    bounds: Bounds = field(default_factory=Bounds)
    where: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.targets:
            raise UsageError("no target was given", "say where the connections go: --target HOST:PORT")
        if len(self.targets) != len(set(self.targets)):
            raise UsageError("a target was given twice", "name each target once")
        if any(not target.path and not target.port for target in self.targets):
            raise UsageError("a target has port 0", "name the port that the target listens on")
        if not self.listen.path and (self.listen_owner or self.listen_mode != 0o600):
            raise UsageError(
                "mode and owner are for UNIX sockets", f"{self.listen} is open to whoever reaches it"
            )
        if not 0 <= self.listen_mode <= 0o777:
            raise UsageError(f"expected a mode of 0 to 777, got {self.listen_mode:o}", "660 lets a group in")
        if self.listen in self.targets:
            raise UsageError(f"{self.listen} is listened on and called: a loop", "choose another target")
        self._check_plain_side()
        Pins.parse(self.pin)
        for url in self.crl_urls if self.ocsp_url is None else (*self.crl_urls, self.ocsp_url):
            Url.parse(url, configured=True)
        self._check_ocsp()
        self._check_names()
        self._check_http()
        if self.kind == "server":
            self._check_policy()
        if self.kind == "client" and (self.allow or self.deny):
            raise UsageError(
                "rules decide about clients, and this listener has none", "pass --server-name instead"
            )
        if self.server_name is not None:
            try:
                if not is_ip(self.server_name):
                    parse_dns_name(self.server_name)
            except BadName as error:
                raise UsageError(
                    f"the server name cannot be proven: {error}", "use a DNS name or an IP address"
                ) from error
        self._check_way_out()
        self._check_record()
        if self.server_name is None and self.tls_out and any(target.path for target in self.targets):
            raise UsageError("a UNIX socket has no name to be proven", "pass --server-name NAME")

    def _check_way_out(self) -> None:
        if not self.tls_out and (self.sni is not None or self.via is not None):
            raise UsageError(
                "a server name to ask for and a proxy to go through are for TLS targets",
                "pass --target-tls, or leave --sni and --via out",
            )
        if self.sni:
            try:
                parse_dns_name(self.sni)
            except BadName as error:
                raise UsageError(
                    f"the name to ask for is no DNS name: {error}", "an empty one asks for none"
                ) from error
        if self.via_credentials is not None and self.via is None:
            raise UsageError("credentials were given, and no proxy to show them to", "pass --via too")
        if self.via is not None:
            Via.parse(self.via)
            if any(target.path for target in self.targets):
                raise UsageError("a proxy does not lead to a UNIX socket", "name targets as HOST:PORT")

    def _check_record(self) -> None:
        if self.record is not None and not self.tls_in:
            raise UsageError(
                "only TLS that comes in is recorded", "for a way out: twoway explain HOST:PORT --identity DIR"
            )

    @property
    def tls_in(self) -> bool:
        return self.kind == "server"

    @property
    def tls_out(self) -> bool:
        return self.kind == "client" or self.target_tls

    def _check_plain_side(self) -> None:
        if self.unsafe_plain:
            return
        exposed = () if self.tls_out else self.targets
        if not self.tls_in:
            exposed = (self.listen,)
        for address in exposed:
            if not address.is_local:
                raise UsageError(
                    f"the plain side would be readable for others: {address} is not on this machine",
                    "use a loopback address or a UNIX socket; or say --unsafe-plain when the network in between"
                    " is protected by other means",
                )

    @property
    def named_headers(self) -> tuple[tuple[str, str], ...]:
        """The header fields of the user's choice: name and fact."""
        return parse_named(self.headers)

    def _check_http(self) -> None:
        if self.client_cert_headers not in CERT_HEADERS:
            raise UsageError(
                f"there is no form {self.client_cert_headers!r} of client certificate headers",
                f"there are {', '.join(CERT_HEADERS)}",
            )
        check_forms(self.client_cert_headers, self.named_headers)
        if not self.http:
            if self.headers:
                raise UsageError(
                    "headers are written into requests, and this listener reads none", "add --http"
                )
            return
        if self.kind == "client":
            raise UsageError(
                "a client listener relays what it is given, HTTP too, and reads none of it",
                "leave --http out",
            )
        if self.proxy_protocol:
            raise UsageError(
                "in HTTP mode a connection to a target serves several clients, and PROXY protocol names one",
                "leave --proxy-protocol out: who asks is told in header fields",
            )

    def _check_policy(self) -> None:
        if self.clients == "none":
            return
        if not (self.policy or self.allow or self.deny or self.allow_anyone_proven):
            raise UsageError(
                "no policy says who may pass",
                "pass --allow RULE or --policy FILE; --allow-anyone-proven lets in whoever the authority has"
                " given an identity",
            )
        Policy.from_rules(self.allow, self.deny)  # a wrong rule is told before any file is read
        if self.allow_anyone_proven and (self.policy or self.allow):
            raise UsageError("--allow-anyone-proven makes every other rule idle", "leave one of them out")

    def _check_ocsp(self) -> None:
        if not 0 < self.ocsp_seconds <= 30:
            raise UsageError(f"expected ocsp_seconds up to 30, got {self.ocsp_seconds:g}", "3 is customary")
        if (self.staple or self.ocsp_response is not None) and not self.tls_in:
            raise UsageError("only a server staples", "use staple with kind = server")
        if self.ocsp_url is not None and self.ocsp == "off" and not self.staple:
            raise UsageError(
                "a responder is named, and nothing asks it", "say --ocsp soft, --ocsp hard or --staple"
            )

    @property
    def asks(self) -> bool:
        """Whether handshakes may wait for a responder."""
        return any(one.ocsp != "off" for one in (self, *(inner for _, inner in self.names)))

    def _check_names(self) -> None:
        if (self.names or self.unknown_name != "serve") and not self.tls_in:
            raise UsageError("names are asked for by TLS that comes in", "use them with kind = server")
        seen: set[str] = set()
        for name, _ in self.names:
            if name in seen:
                raise UsageError(f"the name {name} has rules twice", "write each name once")
            seen.add(name)

    def named(self, **other: Any) -> ListenerOptions:
        """These options with what is other under a server name of its own.

        An identity of its own brings its own trust and lists, and rules of its own replace all of the listener's.
        """
        if "identity" in other:
            other = {"trust": None, "crl": (), "passphrase": None, "ocsp_response": None, **other}
        elif "trust" in other:
            other = {"crl": (), **other}
        if other.keys() & _RULES:
            other = {"policy": None, "allow": (), "deny": (), "allow_anyone_proven": False, **other}
        return replace(self, names=(), unknown_name="serve", **other)

    @property
    def crl_urls(self) -> tuple[str, ...]:
        """The lists that are fetched."""
        given = (self.crl,) if isinstance(self.crl, (str, Path)) else self.crl
        return tuple(str(one) for one in given if is_url(one))

    def list_caches(self) -> tuple[ListCache, ...]:
        """Where the lists that are fetched are kept."""
        directory = Path(self.crl_cache) if self.crl_cache is not None else default_directory()
        return tuple(ListCache(directory, url) for url in self.crl_urls)

    def _crl_files(self) -> tuple[str | Path, ...]:
        given = (self.crl,) if isinstance(self.crl, (str, Path)) else self.crl
        files = tuple(one for one in given if not is_url(one))
        return files + tuple(path for cache in self.list_caches() for path in cache.files)

    def source(self) -> ServeOptions:
        """Where identity, trust and policy come from; reads nothing yet."""
        anyone = Policy.from_rules((), self.deny) if self.deny and self.allow_anyone_proven else None
        if anyone is not None:
            anyone = Policy(anyone.rules + Policy.anyone_proven().rules, "rules")
        return ServeOptions(
            identity=self.identity,
            trust=self.trust,
            crl=self._crl_files(),
            crl_rule=self.crl_rule,
            crl_scope=self.revocation_depth,
            crl_expected=bool(self.crl_urls),
            policy=anyone if anyone is not None else self.policy,
            allow=() if anyone is not None else self.allow,
            deny=() if anyone is not None else self.deny,
            clients=self.clients if self.tls_in else "required",
            passphrase=self.passphrase,
            ticket_seconds=self.ticket_seconds,
            judges_requests=self.http,
        )

    def server_settings(self) -> ServerSettings:
        """Load everything for mutual TLS in; raises ConfigError."""
        settings = self.source().settings()
        # No application protocol is negotiated in a relay: the target decides what is spoken.
        return ServerSettings(
            settings.credential,
            settings.trust,
            settings.policy,
            clients=settings.clients,
            alpn=("http/1.1", "http/1.0") if self.http else (),
            judges_requests=self.http,
            ticket_seconds=settings.ticket_seconds,
            pins=Pins.parse(self.pin) if self.clients != "none" else None,
        )

    def client_settings(self) -> ClientSettings:
        """Load everything for mutual TLS out; raises ConfigError."""
        settings = self.source().settings()
        pins = Pins.parse(self.pin) if self.kind == "client" else None
        return ClientSettings(settings.credential, settings.trust, alpn=(), pins=pins)

    def shadow_policy(self) -> Policy | None:
        """The policy that only says what it would decide; raises ConfigError."""
        policy = Policy.load(self.shadow) if isinstance(self.shadow, (str, Path)) else self.shadow
        if policy is not None and not self.http:
            check_no_requests(policy)
        return policy

    def proxy(self) -> Via | None:
        """The proxy on the way to the targets, with its credentials; raises ConfigError."""
        if self.via is None:
            return None
        file = self.via_credentials
        return Via.parse(self.via, read(Path(file), limit=4096) if file is not None else None)

    def watched(self) -> tuple[Path, ...]:
        """The files whose change means a new generation."""
        files = list(self.source().watched())
        files += [Path(one) for one in (self.shadow, self.via_credentials) if isinstance(one, (str, Path))]
        for cache in self.list_caches():
            files += [cache.path, cache.before]
        for _, inner in self.names:
            files += inner.watched()
        return tuple(files)


@dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """A whole gateway: its listeners, and what they share."""

    listeners: tuple[ListenerOptions, ...]
    workers: int = 1
    drain_seconds: float = 30.0
    log_format: str = "text"
    access_log: bool = True
    admin: str | Path | None = None
    metrics: Address | None = None
    backlog: int = 2048
    user: str = ""
    group: str = ""
    where: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.listeners:
            raise UsageError("a gateway without a listener has nothing to do", "add a [[listener]]")
        taken: set[Address] = set()
        for one in self.listeners:
            if one.listen in taken and one.listen.port != 0:
                raise UsageError(f"two listeners share {one.listen}", "give each an address of its own")
            taken.add(one.listen)
        if not 1 <= self.workers <= MOST_WORKERS:
            raise UsageError(f"expected 1 to {MOST_WORKERS} workers, got {self.workers}", "one for each core")
        if not 0 <= self.drain_seconds <= LONGEST_SECONDS:
            raise UsageError(
                f"expected drain_seconds of 0 or more, got {self.drain_seconds:g}",
                "0 cuts at once; 30 is usual",
            )
        if not 1 <= self.backlog <= 65535:
            raise UsageError(
                f"expected a backlog of 1 to 65535, got {self.backlog}",
                "2048 is usual; the kernel may take less",
            )
        if self.admin is not None and any(_same(one.listen.path, self.admin) for one in self.listeners):
            raise UsageError(f"the admin socket would be a listener's: {self.admin}", "use a path of its own")
        if self.metrics is not None and self.metrics.port and self.metrics in taken:
            raise UsageError(
                f"metrics would be answered where a listener is: {self.metrics}", "use another port"
            )
        if self.group and not self.user:
            raise UsageError("a group without a user", "name the user to become too")
        if self.metrics is not None and not self.metrics.is_local:
            raise UsageError(
                f"metrics would be readable for others at {self.metrics}", "use a loopback address"
            )


def _same(path: str, other: str | Path) -> bool:
    return bool(path) and os.path.realpath(path) == os.path.realpath(other)
