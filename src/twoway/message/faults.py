"""What can go wrong with sealed and signed messages: which recipient, which key, which certificate.

Opening has one error for everything that depends on a secret, `CannotOpen`, with no detail in it: what an
attacker sends in must not be answered with how far it got.
"""

from __future__ import annotations

from datetime import datetime

from twoway.credential import printable
from twoway.errors import ConfigError, PeerError, PeerUntrusted


class MessageError(PeerError):
    """Base of what is wrong with a message that came from elsewhere; `evidence` is every fact by its name."""

    code = "message"

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


def _facts(error: BaseException) -> dict[str, object]:
    return {
        name: list(value)
        if isinstance(value, tuple)
        else value.isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in vars(error).items()
        if name != "step" and not name.startswith("_")
    }


class MessageMalformed(MessageError):
    """The bytes are not a message of the format that they claim to be."""

    code = "message_malformed"

    def __init__(self, format: str, problem: str) -> None:
        super().__init__(format, problem)
        self.format, self.problem = format, problem

    def __str__(self) -> str:
        return f"expected a {self.format} message, got one where {self.problem}"

    @property
    def remedy(self) -> str:
        return "check that the file is whole and is the message itself; ask the sender to make it anew"


class CannotOpen(MessageError):
    """The message does not open with this key: it was made for another one, or changed on its way."""

    code = "cannot_open"

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.identity = identity

    def __str__(self) -> str:
        return f"the message does not open with the key of {self.identity}: it was changed, or sealed for another key"

    @property
    def remedy(self) -> str:
        return "ask the sender to seal it anew for your present certificate; nothing of it was written"


class NotForUs(MessageError):
    """The message says for whom it is sealed, and that is somebody else."""

    code = "not_for_us"

    def __init__(self, identity: str, fingerprint: str, recipients: tuple[str, ...]) -> None:
        recipients = tuple(printable(one) for one in recipients)  # the sender's words, which end up in logs
        super().__init__(identity, fingerprint, recipients)
        self.identity, self.fingerprint, self.recipients = identity, fingerprint, recipients

    def __str__(self) -> str:
        theirs = ", ".join(self.recipients) or "nobody"
        return f"expected a message for {self.identity} ({self.fingerprint}), got one for {theirs}"

    @property
    def remedy(self) -> str:
        return "open it with the identity that it was sealed for (an older one of yours, perhaps), or have it sealed anew"


class AlgorithmRefused(MessageError):
    """The message uses an algorithm that is not believed here, or that does not fit the key."""

    code = "algorithm_refused"

    def __init__(self, format: str, algorithm: str, allowed: tuple[str, ...]) -> None:
        algorithm = printable(algorithm)  # as above
        super().__init__(format, algorithm, allowed)
        self.format, self.algorithm, self.allowed = format, algorithm, allowed

    def __str__(self) -> str:
        return f"expected {' or '.join(self.allowed)} in a {self.format} message, got {self.algorithm}"

    @property
    def remedy(self) -> str:
        return f"ask the sender for {self.allowed[0]}; what is refused here is refused on purpose (docs/messages.md)"


class SignatureInvalid(PeerUntrusted):
    """A signature does not fit the content and the signer's key."""

    code = "signature_invalid"

    def __init__(self, signer: str) -> None:
        super().__init__(signer)
        self.signer = signer

    def __str__(self) -> str:
        return f"the signature of {self.signer} does not fit this content"

    @property
    def remedy(self) -> str:
        return "the content or the signature was changed, or belongs to another message: have it sent again"

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class SignerUnknown(PeerUntrusted):
    """A signed message does not carry its signer's certificate, and none was given."""

    code = "signer_unknown"

    def __init__(self, format: str, hint: str) -> None:
        super().__init__(format, hint)
        self.format, self.hint = format, hint

    def __str__(self) -> str:
        return f"expected the signer's certificate in the {self.format} message, got {self.hint}"

    @property
    def remedy(self) -> str:
        return (
            "name the signer's certificate yourself (--signer FILE, signer=), or ask the sender to include it"
        )

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class ContentMissing(ConfigError):
    """A detached signature was given without the content that it is about."""

    code = "content_missing"

    def __init__(self, format: str) -> None:
        super().__init__(format)
        self.format = format

    def __str__(self) -> str:
        return f"the {self.format} signature is detached, and the content that it is about was not given"

    @property
    def remedy(self) -> str:
        return "name the content: --content FILE (content= in code)"

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class CardExpired(PeerUntrusted):
    """A sealing card is past the time that its holder gave it."""

    code = "card_expired"

    def __init__(self, subject: str, not_after: datetime, now: datetime) -> None:
        super().__init__(subject, not_after, now)
        self.subject, self.not_after, self.now = subject, not_after, now

    def __str__(self) -> str:
        return (
            f"the sealing card of {self.subject} expired at {self.not_after:%Y-%m-%d %H:%M:%S} UTC "
            f"(it is {self.now:%Y-%m-%d %H:%M:%S})"
        )

    @property
    def remedy(self) -> str:
        return f"ask {self.subject} for a new one: twoway sealing-key --identity DIR -o CARD"

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class CannotReceive(ConfigError):
    """A key of this kind cannot be sealed for in this format."""

    code = "cannot_receive"

    def __init__(self, subject: str, key_type: str, format: str, usable: tuple[str, ...]) -> None:
        super().__init__(subject, key_type, format, usable)
        self.subject, self.key_type, self.format, self.usable = subject, key_type, format, usable

    def __str__(self) -> str:
        return (
            f"expected a recipient with a key of {' or '.join(self.usable)} for {self.format}, "
            f"got {self.subject} with {self.key_type}"
        )

    @property
    def remedy(self) -> str:
        if self.key_type.startswith("rsa"):
            return "seal it as jwe or cms, which take RSA keys of at least 2048 bits"
        return (
            "this key can only sign: ask the recipient for an identity with p256, p384 or rsa3072, or for a "
            "sealing card (twoway sealing-key), which hpke takes"
        )

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class KeyUsageForbids(PeerUntrusted):
    """The key usage in a certificate does not allow what is asked of its key."""

    code = "key_usage_forbids"
    spec = "RFC 5280 §4.2.1.3"

    def __init__(self, subject: str, wanted: str, has: tuple[str, ...]) -> None:
        super().__init__(subject, wanted, has)
        self.subject, self.wanted, self.has = subject, wanted, has

    def __str__(self) -> str:
        return (
            f"expected {self.wanted} in the key usage of {self.subject}, got {', '.join(self.has) or 'none'}"
        )

    @property
    def remedy(self) -> str:
        return (
            f"have the certificate issued anew with {self.wanted}: twoway ca renew does so for identities "
            "of an authority of twoway whose profile sets no key_usage of its own"
        )

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class CannotSign(ConfigError):
    """A key of this kind cannot sign in this format."""

    code = "cannot_sign"

    def __init__(self, subject: str, key_type: str, format: str, usable: tuple[str, ...]) -> None:
        super().__init__(subject, key_type, format, usable)
        self.subject, self.key_type, self.format, self.usable = subject, key_type, format, usable

    def __str__(self) -> str:
        return (
            f"expected a signer with a key of {' or '.join(self.usable)} for {self.format}, "
            f"got {self.subject} with {self.key_type}"
        )

    @property
    def remedy(self) -> str:
        return "sign as cms, which takes every key of ours, or with another identity"

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)


class MessageTooLarge(ConfigError):
    """A message is larger than its format lets us handle in bounded memory or with one key."""

    code = "message_too_large"

    def __init__(self, format: str, limit: int) -> None:
        super().__init__(format, limit)
        self.format, self.limit = format, limit

    def __str__(self) -> str:
        return f"expected content of at most {self.limit} bytes for {self.format}, got more"

    @property
    def remedy(self) -> str:
        return "use cms or hpke for large files: they are handled in pieces; or split the content"

    @property
    def evidence(self) -> dict[str, object]:
        return _facts(self)
