"""Why a request or response is not believed, each with the status that answers it."""

from __future__ import annotations

from typing import ClassVar

from twoway.message.faults import MessageError


class ExchangeRefused(MessageError):
    """Base: a signature of a request or response is missing, unfit, late, or seen before."""

    code = "exchange_refused"
    status: ClassVar[int] = 401

    @property
    def remedy(self) -> str:
        return "sign it as RFC 9421 says, with an identity that is trusted here (docs/messages.md)"


class SignatureMissing(ExchangeRefused):
    """There is no signature where one is required."""

    code = "signature_missing"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"expected a signed {self.what}, got one without Signature and Signature-Input"


class _Problem(ExchangeRefused):
    """What is wrong, as a sentence of its own."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class SignatureMalformed(_Problem):
    """The fields of a signature do not decode, or do not fit each other."""

    code = "signature_malformed"
    status = 400

    def __str__(self) -> str:
        return f"the signature fields cannot be used: {self.problem}"


class NotCovered(ExchangeRefused):
    """A signature leaves out something that it has to cover."""

    code = "signature_does_not_cover"

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return f"expected a signature that covers {self.missing}, got one that leaves it out"


class SignatureOutOfTime(_Problem):
    """A signature was made too long ago, in the future, or says that it has expired."""

    code = "signature_out_of_time"

    @property
    def remedy(self) -> str:
        return "check both clocks, and sign anew instead of sending an old request again"


class Replayed(ExchangeRefused):
    """The same signed request was seen before."""

    code = "replayed"

    def __init__(self, nonce: str) -> None:
        super().__init__(nonce[:100])
        self.nonce = nonce[:100]

    def __str__(self) -> str:
        return "the same signed request was seen before (its nonce is known)"

    @property
    def remedy(self) -> str:
        return "sign each request anew, with a nonce of its own"


class TooManyRequests(ExchangeRefused):
    """More signed requests are in time than can be remembered: a repeated one could not be told."""

    code = "too_many_signed_requests"
    status = 503

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.capacity = capacity

    def __str__(self) -> str:
        return f"{self.capacity} signed requests are in time, too many to tell a repeated one"

    @property
    def remedy(self) -> str:
        return "try again later; the service may raise the capacity of its ReplayCache"


class DigestMismatch(_Problem):
    """The body is not the one whose digest was signed."""

    code = "digest_mismatch"
    status = 400

    @property
    def remedy(self) -> str:
        return "something between changed the body, or it was cut off: send it again"


class NotSealed(_Problem):
    """A body is in clear where a sealed one is required, or does not name who signed it."""

    code = "not_sealed"
    status = 400

    @property
    def remedy(self) -> str:
        return "seal the body as JWE for the certificate of the other side (Client(…, seal_for=…))"


class BodyTooLarge(ExchangeRefused):
    """A body is larger than what is held in memory."""

    code = "body_too_large"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"expected a body of at most {self.limit} bytes, got more"

    @property
    def remedy(self) -> str:
        return "send less at once, or raise max_body"
