"""What a refused caller is told over HTTP: a problem document (RFC 9457) with the reason and the remedy."""

from __future__ import annotations

import json
from dataclasses import dataclass

from twoway.errors import PeerDenied, TwowayError
from twoway.integrations.access import NobodyProven
from twoway.integrations.oauth import TokenNotBound

MEDIA_TYPE = "application/problem+json"
# RFC 9110 §11.6.1: a 401 names a challenge. No scheme is registered for certificates, so this one only tells people.
CHALLENGE = 'ClientCertificate realm="twoway"'


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal, ready for any framework: status, header fields, body."""

    status: int
    code: str
    detail: str
    remedy: str
    challenge: str = CHALLENGE

    @classmethod
    def of(cls, error: TwowayError) -> Problem:
        """401 for a caller that has proven nothing, 403 for one that is not let in; anything else is no answer to it."""
        if not isinstance(error, PeerDenied):
            raise error
        if isinstance(error, TokenNotBound):
            # RFC 8705 §3: the resource is refused with 401 and invalid_token.
            return cls(401, error.code, str(error), error.remedy, 'Bearer error="invalid_token"')
        return cls(401 if isinstance(error, NobodyProven) else 403, error.code, str(error), error.remedy)

    def as_dict(self) -> dict[str, object]:
        """The members of RFC 9457 §3.1, and `code` and `remedy` as extensions (§3.2)."""
        return {
            "type": f"urn:twoway:error:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "remedy": self.remedy,
        }

    @property
    def body(self) -> bytes:
        return json.dumps(self.as_dict()).encode()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header fields, without content-length."""
        fields = [("content-type", MEDIA_TYPE), ("cache-control", "no-store")]
        if self.status == 401:
            fields.append(("www-authenticate", self.challenge))
        return tuple(fields)
