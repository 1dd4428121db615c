"""Why somebody is not believed: one class for each reason, with what was expected and what was presented."""

from __future__ import annotations

from datetime import datetime, timedelta

from twoway.errors import ConfigError, PeerUntrusted


class Untrusted(PeerUntrusted):
    """Base of the reasons; `evidence` is every fact by its name."""

    code = "untrusted"

    @property
    def evidence(self) -> dict[str, object]:
        return {
            name: _plain(value)
            for name, value in vars(self).items()
            if name != "step" and not name.startswith("_")
        }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def span(length: timedelta) -> str:
    """A length of time in its largest unit, as people say it."""
    seconds = int(abs(length.total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size or size == 1:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError("unreachable")


class NoCertificate(Untrusted):
    """The other side was asked for a certificate and showed none."""

    code = "no_certificate"
    spec = "RFC 8446 §4.4.2.4"

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self.role = role

    def __str__(self) -> str:
        return f"expected a certificate from the {self.role}, got none"

    @property
    def remedy(self) -> str:
        return (
            f"the {self.role} must present an identity of an authority trusted here; "
            "a program may hold one and withhold it when the advertised authorities do not match"
        )


class CertificateUnreadable(Untrusted):
    """A certificate of the chain does not decode; `position` counts from the leaf, 0, where it is known."""

    code = "certificate_unreadable"
    spec = "RFC 5280 §4.1"

    def __init__(self, position: int | None, problem: str) -> None:
        super().__init__(position, problem)
        self.position, self.problem = position, problem

    def __str__(self) -> str:
        which = {None: "one", 0: "the leaf"}.get(self.position, f"issuer {self.position} above the leaf")
        return f"expected a chain of certificates, got one where {which} cannot be read: {self.problem}"

    @property
    def remedy(self) -> str:
        return (
            "have the certificate issued anew; this one follows no standard (look at it with: openssl x509)"
        )


class CertificateExpired(Untrusted):
    """A certificate of the chain is past its end."""

    code = "certificate_expired"
    spec = "RFC 5280 §4.1.2.5"

    def __init__(self, subject: str, not_after: datetime, now: datetime) -> None:
        super().__init__(subject, not_after, now)
        self.subject, self.not_after, self.now = subject, not_after, now

    def __str__(self) -> str:
        return (
            f"the certificate of {self.subject} expired {span(self.now - self.not_after)} ago "
            f"({self.not_after:%Y-%m-%d %H:%M:%S} UTC, it is {self.now:%Y-%m-%d %H:%M:%S})"
        )

    @property
    def remedy(self) -> str:
        return f"renew it: twoway ca renew {self.subject} --allow-expired; if it should be valid, check both clocks"


class CertificateNotYetValid(Untrusted):
    """A certificate of the chain is before its beginning."""

    code = "certificate_not_yet_valid"
    spec = "RFC 5280 §4.1.2.5"

    def __init__(self, subject: str, not_before: datetime, now: datetime) -> None:
        super().__init__(subject, not_before, now)
        self.subject, self.not_before, self.now = subject, not_before, now

    def __str__(self) -> str:
        return (
            f"the certificate of {self.subject} is valid only in {span(self.not_before - self.now)} "
            f"({self.not_before:%Y-%m-%d %H:%M:%S} UTC, it is {self.now:%Y-%m-%d %H:%M:%S})"
        )

    @property
    def remedy(self) -> str:
        return "check the clock of this machine and of the one that issued the certificate"


class UnknownAuthority(Untrusted):
    """The chain ends at an authority that is not trusted here.

    `why` is "unknown", "missing_intermediate", "rekeyed" (an anchor has the same name and another key) or
    "self_signed".
    """

    code = "unknown_authority"
    spec = "RFC 5280 §6.1"

    def __init__(self, subject: str, issuer: str, anchors: tuple[str, ...], why: str = "unknown") -> None:
        super().__init__(subject, issuer, anchors, why)
        self.subject, self.issuer, self.anchors, self.why = subject, issuer, anchors, why

    def __str__(self) -> str:
        trusted = " or ".join(self.anchors) or "nobody"
        if self.why == "self_signed":
            return f"expected a chain to {trusted}, got the self-signed certificate {self.subject}"
        if self.why == "rekeyed":
            return f"{self.subject} was issued by {self.issuer} with another key than the {self.issuer} trusted here"
        if self.why == "missing_intermediate":
            return f"expected a chain to {trusted}, got one that stops at {self.subject}, issued by {self.issuer}"
        return f"expected a chain to {trusted}, got one from {self.issuer}"

    @property
    def remedy(self) -> str:
        if self.why == "missing_intermediate":
            return (
                f"the other side should send the certificate of {self.issuer} behind its own (in cert.pem); "
                "if that is another authority altogether, add it to the trust bundle (ca.pem)"
            )
        if self.why == "rekeyed":
            return (
                f"add the new certificate of {self.issuer} to the trust bundle (ca.pem), beside the old one"
            )
        if self.why == "self_signed":
            return "have the certificate issued by a trusted authority, or trust its authority, never itself"
        return f"if {self.issuer} is to be trusted, add its root to the trust bundle (ca.pem); otherwise this is right"


class WrongPurpose(Untrusted):
    """A certificate of the chain may not be used for this (extended key usage or key usage)."""

    code = "wrong_purpose"
    spec = "RFC 5280 §4.2.1.12"

    def __init__(self, subject: str, wanted: str, has: tuple[str, ...]) -> None:
        super().__init__(subject, wanted, has)
        self.subject, self.wanted, self.has = subject, wanted, has

    def __str__(self) -> str:
        return f"expected {self.wanted} in the extended key usage of {self.subject}, got {', '.join(self.has) or 'none'}"

    @property
    def remedy(self) -> str:
        profile = {"clientAuth": "client", "serverAuth": "server"}.get(self.wanted, "peer")
        return f"issue it with the profile {profile} or peer: twoway ca issue {profile} {self.subject}"


class HostnameMismatch(Untrusted):
    """The server's certificate does not carry the name that was asked for."""

    code = "hostname_mismatch"
    spec = "RFC 9525 §6.1"

    def __init__(self, hostname: str, names: tuple[str, ...]) -> None:
        super().__init__(hostname, names)
        self.hostname, self.names = hostname, names

    def __str__(self) -> str:
        return f"expected a certificate for {self.hostname}, got one for {', '.join(self.names) or 'no DNS name or address'}"

    @property
    def remedy(self) -> str:
        if self.names:
            return f"call the server by a name of its certificate, or issue one that has {self.hostname} too"
        return f"issue a certificate that has {self.hostname} as a subject alternative name; a common name does not count"


class NameConstraintViolated(Untrusted):
    """A name lies outside what an authority of the chain may issue."""

    code = "name_constraint_violated"
    spec = "RFC 5280 §4.2.1.10"

    def __init__(self, subject: str, names: tuple[str, ...], reason: str) -> None:
        super().__init__(subject, names, reason)
        self.subject, self.names, self.reason = subject, names, reason

    def __str__(self) -> str:
        return f"an authority above {self.subject} may not issue {', '.join(self.names) or 'such names'}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "have it issued by an authority whose name constraints allow these names"


class BadSignature(Untrusted):
    """A signature of the chain does not verify."""

    code = "bad_signature"
    spec = "RFC 5280 §6.1.3"

    def __init__(self, subject: str, issuer: str) -> None:
        super().__init__(subject, issuer)
        self.subject, self.issuer = subject, issuer

    def __str__(self) -> str:
        return f"the signature of {self.issuer} on the certificate of {self.subject} does not verify"

    @property
    def remedy(self) -> str:
        return "the certificate was changed, or another authority of the same name issued it: have it issued anew"


class WeakAlgorithm(Untrusted):
    """A key or signature of the chain is too weak to believe."""

    code = "weak_algorithm"

    def __init__(self, subject: str, what: str) -> None:
        super().__init__(subject, what)
        self.subject, self.what = subject, what

    def __str__(self) -> str:
        return f"the {self.what} of {self.subject} is too weak"

    @property
    def remedy(self) -> str:
        return "issue it anew with p256, or RSA of at least 2048 bits, signed with SHA-256 or better"


class NotAnAuthority(Untrusted):
    """A certificate in the place of an issuer may not issue."""

    code = "not_an_authority"
    spec = "RFC 5280 §4.2.1.9"

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject, self.reason = subject, reason

    def __str__(self) -> str:
        return f"{self.subject} stands in the chain as an issuer and may not issue this: {self.reason}"

    @property
    def remedy(self) -> str:
        return "use a chain of real authorities: CA:TRUE, keyCertSign, and a path length that allows it"


class NotStrict(Untrusted):
    """A certificate breaks a rule of RFC 5280 that strict verification asks for."""

    code = "not_strict"
    spec = "RFC 5280 §4.2"

    def __init__(self, subject: str, rule: str) -> None:
        super().__init__(subject, rule)
        self.subject, self.rule = subject, rule

    def __str__(self) -> str:
        return f"the certificate of {self.subject} breaks a rule of RFC 5280: {self.rule}"

    @property
    def remedy(self) -> str:
        return "have it issued anew by an authority that follows RFC 5280 (check with: openssl verify -x509_strict)"


class OutOfBounds(Untrusted):
    """What was presented is larger than anything honest; refused before any costly work."""

    code = "out_of_bounds"

    def __init__(self, what: str, found: int, limit: int) -> None:
        super().__init__(what, found, limit)
        self.what, self.found, self.limit = what, found, limit

    def __str__(self) -> str:
        return f"expected {self.what} of at most {self.limit}, got {self.found}"

    @property
    def remedy(self) -> str:
        return "present an ordinary chain: a leaf and its one or two issuers with ordinary keys"


class ChainRefused(Untrusted):
    """Verification failed for a reason that has no class of its own."""

    code = "chain_refused"

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject, self.reason = subject, reason

    def __str__(self) -> str:
        return f"the chain of {self.subject} does not verify: {self.reason}"

    @property
    def remedy(self) -> str:
        return "look at the chain with: openssl verify -x509_strict -show_chain"


# -- configuration ------------------------------------------------------------------------------------


class NoAnchors(ConfigError):
    """Trust was made of nothing."""

    code = "no_anchors"

    def __str__(self) -> str:
        return "expected at least one authority to trust, got none"

    @property
    def remedy(self) -> str:
        return "pass the bundle of the authority's certificates (ca.pem)"


class AnchorNotAuthority(ConfigError):
    """A trust bundle holds a certificate that is no authority's."""

    code = "anchor_not_authority"
    spec = "RFC 5280 §4.2.1.9"

    def __init__(self, subject: str, where: str = "memory") -> None:
        super().__init__(subject, where)
        self.subject, self.where = subject, where

    def __str__(self) -> str:
        return f"{self.where}: expected certificates of authorities, got the one of {self.subject}, which is no CA"

    @property
    def remedy(self) -> str:
        return "trust the authority that issued it, not the certificate itself"
