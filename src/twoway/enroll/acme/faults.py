"""Why an ACME request is refused: each class is one error type of RFC 8555 §6.7 and the reason for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twoway.enroll.faults import CallRefused


class AcmeRefused(CallRefused):
    """A request that ACME's rules turn away; `type` is the standard's name for the error."""

    code = "acme_refused"
    type = "malformed"
    advice = "send what RFC 8555 asks for at this address"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return self.why

    @property
    def remedy(self) -> str:
        return self.advice

    @property
    def members(self) -> Mapping[str, object]:
        return {"acme": self.type}


class Malformed(AcmeRefused):
    """The request is not of the form that the standard gives it."""

    code = "acme_malformed"
    spec = "RFC 8555 §6"


class MediaTypeWrong(AcmeRefused):
    """RFC 8555 §6.2: a request has the media type application/jose+json."""

    code = "acme_media_type"
    status = 415
    advice = "send Content-Type: application/jose+json"


class MethodWrong(AcmeRefused):
    """RFC 8555 §6.3: resources are read by POST-as-GET."""

    code = "acme_method"
    status = 405
    advice = "send a POST with an empty payload"


class Missing(AcmeRefused):
    """There is no such resource."""

    code = "acme_missing"
    status = 404
    advice = "begin at the directory"


class Misdirected(AcmeRefused):
    """The request names this service by a name that is not its own."""

    code = "acme_misdirected"
    status = 421
    advice = "use the address that whoever runs the authority gives; its names are those of `ca serve --name`"


class BadNonce(AcmeRefused):
    """The nonce was not made here, is too old, or was used."""

    code = "acme_bad_nonce"
    type = "badNonce"
    spec = "RFC 8555 §6.5"
    advice = "send it again with the nonce of this answer"


class AlgorithmRefused(AcmeRefused):
    """The request is signed with an algorithm that is not taken, or that does not fit its key."""

    code = "acme_algorithm"
    type = "badSignatureAlgorithm"
    spec = "RFC 8555 §6.2"

    def __init__(self, presented: str, accepted: Sequence[str]) -> None:
        Exception.__init__(self, presented, accepted)
        self.presented, self.accepted = presented, tuple(accepted)

    def __str__(self) -> str:
        return f"expected a signature by {' or '.join(self.accepted)}, got {self.presented}"

    @property
    def remedy(self) -> str:
        return f"sign with {' or '.join(self.accepted)}"


class KeyRefused(AcmeRefused):
    """The public key is of no kind or size that is taken."""

    code = "acme_key"
    type = "badPublicKey"
    advice = "use P-256, P-384, Ed25519, or RSA of 2048 to 4096 bits with an exponent from 65537 on"


class Unproven(AcmeRefused):
    """The signature does not hold, or was made for another address."""

    code = "acme_unproven"
    type = "unauthorized"
    status = 401
    advice = "sign this very request with the account's key"


class AccountUnknown(AcmeRefused):
    """No account has that key, or that address."""

    code = "acme_account_unknown"
    type = "accountDoesNotExist"
    advice = "make an account first: newAccount"


class AccountClosed(AcmeRefused):
    """The account is deactivated; nothing can be done with it any more."""

    code = "acme_account_closed"
    type = "unauthorized"
    status = 403
    spec = "RFC 8555 §7.3.6"
    advice = "make an account with another key"


class NotTheirs(AcmeRefused):
    """The resource belongs to another account."""

    code = "acme_not_theirs"
    type = "unauthorized"
    status = 403
    advice = "use the account that made it"


class ExternalAccountNeeded(AcmeRefused):
    """This authority knows its accounts before they come."""

    code = "acme_external_account_needed"
    type = "externalAccountRequired"
    status = 403
    spec = "RFC 8555 §7.3.4"
    advice = "ask whoever runs the authority for a key: twoway ca eab NAME"


class ExternalAccountRefused(AcmeRefused):
    """The external account binding does not hold."""

    code = "acme_external_account_refused"
    type = "unauthorized"
    status = 403
    spec = "RFC 8555 §7.3.4"
    advice = "check key identifier and HMAC key, or ask for new ones: twoway ca eab NAME"


class TermsNotAgreed(AcmeRefused):
    """The terms of service were not agreed to."""

    code = "acme_terms"
    type = "userActionRequired"
    status = 403
    advice = "read the terms, and send termsOfServiceAgreed: true"


class ContactUnsupported(AcmeRefused):
    """A contact address is of a kind that nobody writes to here."""

    code = "acme_contact_unsupported"
    type = "unsupportedContact"
    advice = "give mailto: addresses, or none"


class ContactInvalid(AcmeRefused):
    """A contact address is none."""

    code = "acme_contact_invalid"
    type = "invalidContact"
    advice = "give mailto: addresses with one address each, or none"


class KeyTaken(AcmeRefused):
    """Another account has that key already."""

    code = "acme_key_taken"
    status = 409
    spec = "RFC 8555 §7.3.5"
    advice = "use that account, or a new key"

    def __init__(self, why: str, location: str) -> None:
        Exception.__init__(self, why, location)
        self.why, self.location = why, location

    @property
    def members(self) -> Mapping[str, object]:
        return {"acme": self.type, "location": self.location}


class IdentifiersRefused(AcmeRefused):
    """Names that this authority will not certify, each with its reason."""

    code = "acme_identifiers"
    type = "rejectedIdentifier"
    status = 403
    advice = "leave these names out, or ask whoever runs the authority to allow them"

    def __init__(self, problems: Sequence[Mapping[str, object]]) -> None:
        Exception.__init__(self, problems)
        self.problems = tuple(problems)
        kinds = {str(problem["type"]) for problem in self.problems}
        if len(kinds) == 1:
            self.type = kinds.pop().rpartition(":")[2]

    def __str__(self) -> str:
        return "; ".join(str(problem["detail"]) for problem in self.problems[:10])

    @property
    def members(self) -> Mapping[str, object]:
        return {"acme": self.type, "subproblems": list(self.problems)}


class ProfileRefused(AcmeRefused):
    """The order names a profile that is not offered."""

    code = "acme_profile"
    type = "invalidProfile"
    advice = "take one of those in the directory's meta.profiles, or none"


class OrderNotReady(AcmeRefused):
    """The order is not in the state for that."""

    code = "acme_order_not_ready"
    type = "orderNotReady"
    status = 403
    spec = "RFC 8555 §7.4"
    advice = "fulfil the order's authorizations first; of a valid order fetch the certificate"


class AlreadyReplaced(AcmeRefused):
    """Another order replaces that certificate."""

    code = "acme_already_replaced"
    type = "alreadyReplaced"
    status = 409
    spec = "RFC 9773 §5"
    advice = "order without `replaces`"


class RequestMismatch(AcmeRefused):
    """The signing request is not for what was ordered."""

    code = "acme_csr"
    type = "badCSR"
    advice = "send a signing request with exactly the order's identifiers, for a key of its own"


class ReasonRefused(AcmeRefused):
    """No reason that somebody outside may give for a revocation."""

    code = "acme_reason"
    type = "badRevocationReason"
    advice = "give 0, 1, 3, 4 or 5, or none"


class RateLimited(AcmeRefused):
    """More than is answered in that time."""

    code = "acme_rate_limited"
    type = "rateLimited"
    status = 429

    def __init__(self, what: str, retry_after: int) -> None:
        Exception.__init__(self, what, retry_after)
        self.what, self.retry_after = what, retry_after

    def __str__(self) -> str:
        return f"too many {self.what}"

    @property
    def remedy(self) -> str:
        return f"try again in {self.retry_after} s"
