"""Problem documents (RFC 9457): what a caller is told when the answer is no, or when something broke.

A caller learns what concerns the request. What concerns the authority's own files, store and keys goes to the log; the
caller gets its code, so that both can be brought together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import Response

from twoway.authority import faults, refusals
from twoway.authority.faults import AuthorityError
from twoway.enroll.faults import CallRefused
from twoway.errors import TwowayError
from twoway.names import BadName

MEDIA_TYPE = "application/problem+json"

# The first class that fits counts.
_STATUS: tuple[tuple[type[TwowayError], int], ...] = (
    (refusals.RequestTooLarge, 413),
    (refusals.TokenRefused, 401),
    (refusals.TokenSpent, 403),
    (refusals.NameRefused, 403),
    (refusals.NotIssuedHere, 403),
    (refusals.RenewalRefused, 403),
    (refusals.NoSuchCertificate, 404),
    (refusals.AlreadyRevoked, 409),
    (refusals.NotOnHold, 409),
    (refusals.SelectorAmbiguous, 409),
    (refusals.RequestRefused, 400),
    (refusals.ProfileUnknown, 400),
    (refusals.ReasonUnknown, 400),
    (BadName, 400),
)
_TRANSIENT = (
    faults.StoreLocked,
    faults.StoreBusy,
    faults.StoreUnreachable,
    faults.DiskFull,
    faults.StoreUnusable,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal or a fault, as it may be told to a stranger."""

    status: int
    code: str
    detail: str
    remedy: str
    instance: str
    retry_after: int | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    """What an endpoint's own form of errors says besides."""

    @classmethod
    def of(cls, error: BaseException, instance: str) -> Problem:
        """What the caller of that error is told; `instance` names the call in the log."""
        if isinstance(error, CallRefused):
            told = str(error)
            return cls(
                error.status, error.code, told, error.remedy, instance, error.retry_after, error.members
            )
        for kind, status in _STATUS:
            if isinstance(error, kind):
                return cls(status, error.code, str(error), error.remedy, instance)
        if isinstance(error, _TRANSIENT):
            told = "the authority's store does not answer as it should; nothing was handed out"
            return cls(503, error.code, told, "try again in a few seconds", instance, 5)
        if isinstance(error, AuthorityError):
            told = "the authority cannot do this in the state it is in; its log says why"
            return cls(503, error.code, told, f"tell whoever runs it: {instance}", instance)
        if isinstance(error, TwowayError):
            return cls(400, error.code, str(error), error.remedy, instance)
        told = "the authority failed in a way that it did not expect; its log has the details"
        return cls(500, "internal_error", told, f"tell whoever runs it: {instance}", instance)

    def as_dict(self) -> dict[str, object]:
        """The members of RFC 9457 §3.1, and `code` and `remedy` as extensions (§3.2)."""
        return {
            "type": f"urn:twoway:error:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:twoway:call:{self.instance}",
            "code": self.code,
            "remedy": self.remedy,
        }


def as_response(problem: Problem) -> Response:
    """The problem as JSON; 401 says which schemes there are, 503 when to come back."""
    headers = {"cache-control": "no-store"}
    if problem.status == 401:
        # RFC 9110 §11.6.1: a 401 MUST name at least one challenge.
        headers["www-authenticate"] = 'Bearer realm="twoway"'
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    # What a caller sent may come back in it: half a surrogate pair is text to JSON, and none to UTF-8.
    body = json.dumps(problem.as_dict(), ensure_ascii=False).encode(errors="replace")
    return Response(body, problem.status, headers, MEDIA_TYPE)
