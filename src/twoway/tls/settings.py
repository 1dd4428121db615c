"""What a listener or a caller is configured with: one frozen value, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from cryptography import x509

from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.names import BadName, parse_dns_name
from twoway.trust import AnchorNotAuthority, BadRule, Pins, Policy, Trust

if TYPE_CHECKING:
    from twoway.revocation.inquiry import Inquiry

Staple: TypeAlias = Callable[[x509.Certificate], "bytes | None"]
Clients = Literal["required", "optional", "none"]
Version = Literal["TLSv1.2", "TLSv1.3"]
UnknownNames = Literal["serve", "refuse"]
VERSIONS: dict[str, int] = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

# RFC 9325 §4.2: in TLS 1.2 only forward-secret AEAD suites.
TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# RFC 8446 §B.4, in the order in which a server of ours chooses: a suite as strong as the key that vouches for the
# connection. AES-128 with SHA-256 saves a twentieth of a handshake (docs/why/serve.md).
_SUITES_128 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_SUITES_256 = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
_KEYS_OF_128_BITS = ("p256", "ed25519", "rsa2048", "rsa3072", "mldsa44")
TICKET_SECONDS = 3600


def tls13_suites(key_type: str) -> str:
    """The TLS 1.3 suites for a server with a key of this type, most wanted first."""
    return _SUITES_128 if key_type in _KEYS_OF_128_BITS else _SUITES_256


def _check_versions(minimum: str, maximum: str) -> None:
    for version in (minimum, maximum):
        if version not in VERSIONS:
            raise UsageError(
                f"no such TLS version: {version}",
                f"choose one of {', '.join(VERSIONS)} (RFC 8996 retired the rest)",
            )
    if VERSIONS[minimum] > VERSIONS[maximum]:
        raise UsageError(
            f"the minimum version {minimum} is above the maximum version {maximum}", "swap the two versions"
        )


@dataclass(frozen=True)
class ServerSettings:
    """Everything that decides who is let in and what they are shown; immutable.

    `clients` says whether a client certificate is required (the default), optional or not asked for.
    `trust` defaults to the anchors and revocation lists beside the credential (its `ca.pem`, `crl.pem`).
    `names` maps a server name (exact, or `*.example.org`) to the settings that hold under that name; each
    has a TLS context, and so session tickets, of its own. `unknown_names` says what any other name gets: these
    settings ("serve"), or unless the credential itself carries it, a refusal ("refuse").
    `pins` narrows the clients to those with a pinned certificate or key. `inquiry` asks their authorities' responders:
    only in threads that may wait. `staple` gives the answer about our own certificate that is shown to who asks.
    `judges_requests` is a promise of whoever uses them: it sees HTTP requests and asks the policy about each.
    Without it, rules about method or path are refused.

    Raises UsageError when the parts do not fit together. Not checked here: whether the credential's
    certificate carries the names it is served under.
    """

    credential: Credential
    trust: Trust | None = None
    policy: Policy = field(default_factory=Policy.anyone_proven)
    clients: Clients = "required"
    alpn: tuple[str, ...] = ("http/1.1",)
    minimum_version: Version = "TLSv1.2"
    maximum_version: Version = "TLSv1.3"
    groups: str | None = None
    ticket_seconds: int = TICKET_SECONDS
    names: tuple[tuple[str, ServerSettings], ...] = ()
    unknown_names: UnknownNames = "serve"
    pins: Pins | None = None
    judges_requests: bool = False
    inquiry: Inquiry | None = None
    staple: Staple | None = None

    def __post_init__(self) -> None:
        _check_versions(self.minimum_version, self.maximum_version)
        if not self.judges_requests:
            check_no_requests(self.policy)
        if self.clients not in ("required", "optional", "none"):
            raise UsageError(
                f"clients={self.clients!r} is not a way to ask for certificates",
                "choose required, optional or none",
            )
        if self.trust is None and self.clients != "none":
            object.__setattr__(self, "trust", trust_of(self.credential))
        for name, inner in self.names:
            if inner.names:
                raise UsageError(f"the settings for {name} have names of their own", "list every name once")
            try:
                parse_dns_name(name)
            except BadName as error:
                raise UsageError(
                    f"{name} is not a server name: {error}", "use a DNS name such as api.example.org"
                ) from error


@dataclass(frozen=True)
class ClientSettings:
    """Whom a caller believes and what it presents; immutable.

    `credential` may be None: one-way TLS. `trust` defaults to the anchors beside the credential.
    `policy` and `pins` may narrow which proven servers are talked to; None asks only for the right name. A stapled
    answer is asked for and judged always, and `inquiry` asks where none came.
    """

    credential: Credential | None = None
    trust: Trust | None = None
    policy: Policy | None = None
    alpn: tuple[str, ...] = ("http/1.1",)
    minimum_version: Version = "TLSv1.2"
    maximum_version: Version = "TLSv1.3"
    groups: str | None = None
    pins: Pins | None = None
    inquiry: Inquiry | None = None

    def __post_init__(self) -> None:
        _check_versions(self.minimum_version, self.maximum_version)
        if self.policy is not None:
            check_no_requests(self.policy)
        if self.trust is None:
            if self.credential is None:
                raise UsageError(
                    "no authority to trust was given",
                    "pass trust= (a bundle of CA certificates) or identity=",
                )
            object.__setattr__(self, "trust", trust_of(self.credential))


def check_no_requests(policy: Policy) -> None:
    """Raises BadRule for a rule about requests, with its place: nobody would ever apply it."""
    rule = next((rule for rule in policy.rules if rule.about_requests), None)
    if rule is not None:
        raise BadRule(
            rule.where,
            f"the rule asks for method or path, and nobody reads requests here ({rule})",
            "leave method and path out, or let the gateway read HTTP (--http)",
        )


def trust_of(credential: Credential) -> Trust:
    """The trust that lies beside a credential; raises UsageError when there is none."""
    if not credential.anchors:
        raise UsageError(
            f"the identity {credential.describe()} has no ca.pem, so nobody is trusted",
            "put the authority's certificate into ca.pem beside it, or pass --trust FILE (trust= in code)",
        )
    try:
        return Trust(credential.anchors, credential.crls)
    except AnchorNotAuthority as fault:
        raise AnchorNotAuthority(fault.subject, f"the ca.pem of {credential.describe()}") from None
