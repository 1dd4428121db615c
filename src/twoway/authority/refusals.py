"""Why an authority does not issue, renew or revoke what it was asked to: one class a reason."""

from __future__ import annotations

import datetime

from twoway.authority.faults import AuthorityError, Facts


class RequestRefused(Facts):
    """The authority works and was asked properly, and its answer is no."""

    code = "request_refused"


class RequestTooLarge(RequestRefused):
    """A signing request is larger than any honest one; it was not parsed."""

    code = "request_too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size, self.limit = size, limit

    def __str__(self) -> str:
        return f"the signing request has {self.size:,} bytes, more than the {self.limit:,} that are read"

    @property
    def remedy(self) -> str:
        return "send the PKCS#10 request alone, as PEM or DER, with one public key in it"


class RequestUnreadable(RequestRefused):
    """The bytes are not a PKCS#10 certification request."""

    code = "request_unreadable"
    spec = "RFC 2986 §4"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the signing request cannot be read: {self.reason}"

    @property
    def remedy(self) -> str:
        return "make one with: openssl req -new -key key.pem -subj /CN=NAME -addext subjectAltName=DNS:NAME"


class RequestUnproven(RequestRefused):
    """The requester did not prove that it holds the private key."""

    code = "request_unproven"
    spec = "RFC 2986 §4.2"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the signing request does not prove possession of its key: {self.reason}"

    @property
    def remedy(self) -> str:
        return "sign the request with the private key that belongs to the public key in it"


class TokenRefused(RequestRefused):
    """A one-time token that gives no right to anything here."""

    code = "token_refused"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the token is refused: {self.why}"

    @property
    def remedy(self) -> str:
        return "ask for a new one: twoway ca token NAME"


class TokenSpent(RequestRefused):
    """A one-time token that was redeemed before."""

    code = "token_spent"

    def __init__(self, token: str, serial: str) -> None:
        super().__init__(token, serial)
        self.token, self.serial = token, serial

    def __str__(self) -> str:
        return f"the token {self.token} was redeemed already, for certificate {self.serial}"

    @property
    def remedy(self) -> str:
        return (
            "ask for a new one: twoway ca token NAME; if nobody of yours redeemed it, "
            f"revoke what it was redeemed for: twoway ca revoke {self.serial}"
        )


class TokenLifetime(AuthorityError):
    """A token was asked to live longer than one may, or not at all."""

    code = "token_lifetime"

    def __init__(self, asked: datetime.timedelta, limit: datetime.timedelta) -> None:
        super().__init__(asked, limit)
        self.asked, self.limit = asked, limit

    def __str__(self) -> str:
        return f"a token cannot live for {self.asked}; {self.limit.days} days are the most"

    @property
    def remedy(self) -> str:
        return "a token is redeemed once and soon: give it an hour or a day"


class KeyNotAccepted(RequestRefused):
    """The public key's kind or size is not one that this profile certifies."""

    code = "request_key_not_accepted"

    def __init__(self, presented: str, accepted: tuple[str, ...]) -> None:
        super().__init__(presented, accepted)
        self.presented, self.accepted = presented, accepted

    def __str__(self) -> str:
        return f"a {self.presented} key is not accepted; accepted are {', '.join(self.accepted)}"

    @property
    def remedy(self) -> str:
        return f"make a new key of type {self.accepted[0]}" if self.accepted else "change the profile"


class NameRefused(RequestRefused):
    """A name in the certificate as it would be signed is not allowed there."""

    code = "request_name_refused"

    def __init__(self, kind: str, name: str, why: str) -> None:
        super().__init__(kind, name, why)
        self.kind, self.name, self.why = kind, name, why

    def __str__(self) -> str:
        return f"the {self.kind} name {self.name!r} is refused: {self.why}"

    @property
    def remedy(self) -> str:
        return "ask for a name that the profile and the CA's name constraints allow, or change the profile"


class NameNeeded(RequestRefused):
    """A certificate of this profile needs a name that the request does not have."""

    code = "request_name_needed"

    def __init__(self, profile: str, wanted: str) -> None:
        super().__init__(profile, wanted)
        self.profile, self.wanted = profile, wanted

    def __str__(self) -> str:
        return f"a {self.profile} certificate needs {self.wanted}, and the request has none"

    @property
    def remedy(self) -> str:
        return "add one: --dns NAME, --ip ADDRESS, --uri URI or --email ADDRESS"


class LifetimeRefused(RequestRefused):
    """A certificate was asked to live longer than it may."""

    code = "request_lifetime_refused"
    spec = "RFC 5280 §6.1.3"

    def __init__(self, asked: datetime.datetime, latest: datetime.datetime, limit: str) -> None:
        super().__init__(asked, latest, limit)
        self.asked, self.latest, self.limit = asked, latest, limit

    def __str__(self) -> str:
        return (
            f"a certificate until {self.asked:%Y-%m-%d %H:%M} UTC was asked for, and {self.limit} "
            f"allows no later than {self.latest:%Y-%m-%d %H:%M} UTC"
        )

    @property
    def remedy(self) -> str:
        return "ask for fewer days, or leave --days out for the longest that is allowed"


class ProfileUnknown(AuthorityError):
    """No profile has that name."""

    code = "profile_unknown"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name, self.known = name, known

    def __str__(self) -> str:
        return f"there is no profile {self.name!r}; there are {', '.join(self.known)}"

    @property
    def remedy(self) -> str:
        return f"use one of those, or write profiles/{self.name}.toml in the authority's directory"


class ProfileInvalid(AuthorityError):
    """A profile file says something that cannot be meant."""

    code = "profile_invalid"

    def __init__(self, path: str, place: str, reason: str) -> None:
        super().__init__(path, place, reason)
        self.path, self.place, self.reason = path, place, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.place}: {self.reason}" if self.place else f"{self.path}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "correct that line; docs/authority.md lists what a profile may say"


class NoSuchCertificate(RequestRefused):
    """Nothing that this authority issued fits."""

    code = "certificate_unknown"

    def __init__(self, selector: str) -> None:
        super().__init__(selector)
        self.selector = selector

    def __str__(self) -> str:
        return f"this authority has issued no certificate that fits {self.selector!r}"

    @property
    def remedy(self) -> str:
        return "give a name, a serial or a SHA-256 fingerprint as `twoway ca list` prints them"


class SelectorAmbiguous(AuthorityError):
    """More than one certificate fits, and the act is for one."""

    code = "certificate_ambiguous"

    def __init__(self, selector: str, serials: tuple[str, ...]) -> None:
        super().__init__(selector, serials)
        self.selector, self.serials = selector, serials

    def __str__(self) -> str:
        shown = ", ".join(self.serials[:4]) + (", …" if len(self.serials) > 4 else "")
        return f"{len(self.serials)} certificates in use fit {self.selector!r}: {shown}"

    @property
    def remedy(self) -> str:
        return "give the serial of the one you mean, or --all where every one is meant"


class NotIssuedHere(RequestRefused):
    """A certificate was presented that is not, byte for byte, one that this authority stored."""

    code = "certificate_not_issued_here"

    def __init__(self, presented: str, fingerprint: str) -> None:
        super().__init__(presented, fingerprint)
        self.presented, self.fingerprint = presented, fingerprint

    def __str__(self) -> str:
        return (
            f"the certificate of {self.presented} ({self.fingerprint[:16]}…) was not issued by this authority"
        )

    @property
    def remedy(self) -> str:
        return "ask the authority that issued it, or request a new certificate here"


class AlreadyRevoked(RequestRefused):
    """The certificate is revoked already, which is final (except for a hold)."""

    code = "certificate_already_revoked"

    def __init__(self, serial: str, at: datetime.datetime, reason: str) -> None:
        super().__init__(serial, at, reason)
        self.serial, self.at, self.reason = serial, at, reason

    def __str__(self) -> str:
        return f"certificate {self.serial} was revoked on {self.at:%Y-%m-%d %H:%M} UTC ({self.reason})"

    @property
    def remedy(self) -> str:
        return "nothing needs to be done to revoke it; to go on, issue a new certificate"


class NotOnHold(RequestRefused):
    """removeFromCRL lifts a hold, and this certificate is not on hold."""

    code = "certificate_not_on_hold"
    spec = "RFC 5280 §5.3.1"

    def __init__(self, serial: str) -> None:
        super().__init__(serial)
        self.serial = serial

    def __str__(self) -> str:
        return f"certificate {self.serial} is not on hold, so there is nothing to lift"

    @property
    def remedy(self) -> str:
        return "removeFromCRL lifts a certificateHold only; any other revocation is final"


class ReasonUnknown(AuthorityError):
    """RFC 5280 knows no such reason for a revocation."""

    code = "revocation_reason_unknown"
    spec = "RFC 5280 §5.3.1"

    def __init__(self, reason: str, known: tuple[str, ...]) -> None:
        super().__init__(reason, known)
        self.reason, self.known = reason, known

    def __str__(self) -> str:
        return f"{self.reason!r} is no reason for a revocation; reasons are {', '.join(self.known)}"

    @property
    def remedy(self) -> str:
        return "choose one of those; without one the reason is unspecified"


class RenewalRefused(RequestRefused):
    """A certificate that is expired or revoked is not the ground for a new one."""

    code = "renewal_refused"

    def __init__(self, serial: str, why: str) -> None:
        super().__init__(serial, why)
        self.serial, self.why = serial, why

    def __str__(self) -> str:
        return f"certificate {self.serial} cannot be renewed: it {self.why}"

    @property
    def remedy(self) -> str:
        if "expired" in self.why:
            return "renew before the end, or allow it this once with --allow-expired"
        return "issue a new certificate instead, once you know that the holder is who it says"
