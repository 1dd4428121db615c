"""Why a request or response is not believed, each with the status that answers it."""

from __future__ import annotations

from typing import ClassVar

from twoway.message.faults import MessageError


class ExchangeRefused(MessageError):
    """Base: a signature of a request or response is missing, unfit, late, or seen before."""

    code = "exchange_refused"
    status: ClassVar[int] = 401

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem

    @property
    def remedy(self) -> str:
        return "sign it as RFC 9421 says, with an identity that is trusted here (docs/messages.md)"


class SignatureMissing(ExchangeRefused):
    """There is no signature where one is required."""

    code = "signature_missing"

    def __init__(self, what: str) -> None:
        super().__init__(f"expected a signed {what}, got one without Signature and Signature-Input")


class SignatureMalformed(ExchangeRefused):
    """The fields of a signature do not decode, or do not fit each other."""

    code = "signature_malformed"
    status = 400

    def __init__(self, problem: str) -> None:
        super().__init__(f"the signature fields cannot be used: {problem}")


class NotCovered(ExchangeRefused):
    """A signature leaves out something that it has to cover."""

    code = "signature_does_not_cover"

    def __init__(self, missing: str) -> None:
        super().__init__(f"expected a signature that covers {missing}, got one that leaves it out")


class SignatureOutOfTime(ExchangeRefused):
    """A signature was made too long ago, in the future, or says that it has expired."""

    code = "signature_out_of_time"

    @property
    def remedy(self) -> str:
        return "check both clocks, and sign anew instead of sending an old request again"


class Replayed(ExchangeRefused):
    """The same signed request was seen before."""

    code = "replayed"

    def __init__(self, nonce: str) -> None:
        super().__init__("the same signed request was seen before (its nonce is known)")
        self.nonce = nonce[:100]

    @property
    def remedy(self) -> str:
        return "sign each request anew, with a nonce of its own"


class DigestMismatch(ExchangeRefused):
    """The body is not the one whose digest was signed."""

    code = "digest_mismatch"
    status = 400

    @property
    def remedy(self) -> str:
        return "something between changed the body, or it was cut off: send it again"


class NotSealed(ExchangeRefused):
    """A body is in clear where a sealed one is required, or sealed where nothing says how."""

    code = "not_sealed"
    status = 400

    @property
    def remedy(self) -> str:
        return "seal the body as JWE for the certificate of the other side (Client(…, seal_for=…))"
