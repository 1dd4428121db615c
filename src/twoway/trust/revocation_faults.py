"""Why revocation refuses: somebody is on a list, or the list that would say so cannot be relied on."""

from __future__ import annotations

from datetime import datetime

from twoway.trust.faults import Untrusted, span


class CertificateRevoked(Untrusted):
    """A certificate of the chain was revoked by its issuer."""

    code = "certificate_revoked"
    spec = "RFC 5280 §5.3"

    def __init__(self, subject: str, serial: str, revoked_at: datetime | None, reason: str) -> None:
        super().__init__(subject, serial, revoked_at, reason)
        self.subject, self.serial, self.revoked_at, self.reason = subject, serial, revoked_at, reason

    def __str__(self) -> str:
        when = f" at {self.revoked_at:%Y-%m-%d %H:%M:%S} UTC" if self.revoked_at else ""
        return f"the certificate of {self.subject} (serial {self.serial}) was revoked{when}: {self.reason}"

    @property
    def remedy(self) -> str:
        return f"issue a new identity if {self.subject} is still to be let in; a revocation is not undone"


class RevocationUnknown(Untrusted):
    """Whether a certificate is revoked cannot be told."""

    code = "revocation_unknown"


class CrlMissing(RevocationUnknown):
    """Revocation is checked, and there is no list of the authority that issued this certificate."""

    code = "crl_missing"
    spec = "RFC 5280 §6.3.3"

    def __init__(self, subject: str, issuer: str) -> None:
        super().__init__(subject, issuer)
        self.subject, self.issuer = subject, issuer

    def __str__(self) -> str:
        return f"expected a revocation list of {self.issuer}, which issued {self.subject}, got none"

    @property
    def remedy(self) -> str:
        return (
            f"add the list of {self.issuer} to the revocation lists (twoway ca crl), or choose crl_rule=warn"
        )


class CrlStale(RevocationUnknown):
    """The revocation list of an authority is older than it promised to be."""

    code = "crl_stale"
    spec = "RFC 5280 §5.1.2.5"

    def __init__(self, issuer: str, next_update: datetime, now: datetime) -> None:
        super().__init__(issuer, next_update, now)
        self.issuer, self.next_update, self.now = issuer, next_update, now

    def __str__(self) -> str:
        return (
            f"the revocation list of {self.issuer} was to be replaced {span(self.now - self.next_update)} ago "
            f"({self.next_update:%Y-%m-%d %H:%M:%S} UTC, it is {self.now:%Y-%m-%d %H:%M:%S})"
        )

    @property
    def remedy(self) -> str:
        return f"fetch a current list of {self.issuer} (twoway ca crl), or choose crl_rule=warn"


class CrlUnusable(RevocationUnknown):
    """There is a list under the authority's name, and it cannot be believed or understood."""

    code = "crl_unusable"
    spec = "RFC 5280 §6.3.3"

    def __init__(self, issuer: str, reason: str) -> None:
        super().__init__(issuer, reason)
        self.issuer, self.reason = issuer, reason

    def __str__(self) -> str:
        return f"the revocation list of {self.issuer} cannot be used: {self.reason}"

    @property
    def remedy(self) -> str:
        return f"fetch the full list of {self.issuer} from the authority itself (twoway ca crl)"


class OcspUnavailable(RevocationUnknown):
    """Nobody could be asked about a certificate, or whoever was asked gave no answer."""

    code = "ocsp_unavailable"
    spec = "RFC 6960 §4.2.1"

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject, self.reason = subject, reason

    def __str__(self) -> str:
        return f"no responder says whether {self.subject} is revoked: {self.reason}"

    @property
    def remedy(self) -> str:
        return "make the responder reachable, name one (ocsp_url), or choose ocsp=soft, which lets pass meanwhile"


class OcspUnusable(RevocationUnknown):
    """An answer came that does not prove anything about the certificate."""

    code = "ocsp_unusable"
    spec = "RFC 6960 §3.2"

    def __init__(self, subject: str, source: str, reason: str) -> None:
        super().__init__(subject, source, reason)
        self.subject, self.source, self.reason = subject, source, reason

    def __str__(self) -> str:
        return f"{self.source} about {self.subject} cannot be used: {self.reason}"

    @property
    def remedy(self) -> str:
        return "have the authority's responder mended, or somebody on the way stopped: openssl ocsp -resp_text shows it"


class OcspStale(RevocationUnknown):
    """An answer came that holds no more."""

    code = "ocsp_stale"
    spec = "RFC 6960 §4.2.2.1"

    def __init__(self, subject: str, source: str, next_update: datetime, now: datetime) -> None:
        super().__init__(subject, source, next_update, now)
        self.subject, self.source, self.next_update, self.now = subject, source, next_update, now

    def __str__(self) -> str:
        return (
            f"{self.source} about {self.subject} held until {self.next_update:%Y-%m-%d %H:%M:%S} UTC, "
            f"{span(self.now - self.next_update)} ago"
        )

    @property
    def remedy(self) -> str:
        return "have the responder answer anew, or compare the clocks of both machines"


class OcspUnknown(Untrusted):
    """The authority's responder does not know this certificate: an answer, and not a good one."""

    code = "ocsp_unknown"
    spec = "RFC 6960 §2.2"

    def __init__(self, subject: str, serial: str, source: str) -> None:
        super().__init__(subject, serial, source)
        self.subject, self.serial, self.source = subject, serial, source

    def __str__(self) -> str:
        return f"{self.source} says that the authority knows no certificate {self.serial} ({self.subject})"

    @property
    def remedy(self) -> str:
        return "find out who issued it: the responder answers for all that the authority itself has issued"


class StapleMissing(Untrusted):
    """A certificate demands to be shown with a current answer of its authority, and came without one."""

    code = "staple_missing"
    spec = "RFC 7633 §4"

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject

    def __str__(self) -> str:
        return f"the certificate of {self.subject} must be shown with an OCSP answer, and came without one"

    @property
    def remedy(self) -> str:
        return "have the server staple (the gateway: staple = true), or issue the certificate without must-staple"
