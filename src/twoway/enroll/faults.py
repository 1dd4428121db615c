"""Why the authority's service does not do what a caller asked for, before the authority itself is asked."""

from __future__ import annotations

from collections.abc import Mapping

from twoway.authority.faults import Facts


class CallRefused(Facts):
    """A request that was turned away by the service; `status` is HTTP's word for it."""

    code = "call_refused"
    status = 400
    retry_after: int | None = None
    """In how many seconds it may go better."""

    @property
    def members(self) -> Mapping[str, object]:
        """What the problem document has besides, for endpoints with a form of their own."""
        return {}


class CredentialNeeded(CallRefused):
    """The endpoint is not for callers who show nothing."""

    code = "call_credential_needed"
    status = 401

    def __init__(self, endpoint: str, wanted: tuple[str, ...]) -> None:
        super().__init__(endpoint, wanted)
        self.endpoint, self.wanted = endpoint, wanted

    def __str__(self) -> str:
        return f"{self.endpoint} needs a credential and got none; it takes {_listed(self.wanted)}"

    @property
    def remedy(self) -> str:
        return "present a client certificate of this authority with such a role, or what else is listed"


class CredentialRefused(CallRefused):
    """A credential was presented that proves nothing."""

    code = "call_credential_refused"
    status = 401

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(kind, why)
        self.kind, self.why = kind, why

    def __str__(self) -> str:
        return f"the {self.kind} that was presented is refused: {self.why}"

    @property
    def remedy(self) -> str:
        return f"get a new {self.kind} from whoever runs this authority"


class NotPermitted(CallRefused):
    """The caller is known, and this endpoint is not for such callers."""

    code = "call_not_permitted"
    status = 403

    def __init__(self, endpoint: str, presented: tuple[str, ...], wanted: tuple[str, ...]) -> None:
        super().__init__(endpoint, presented, wanted)
        self.endpoint, self.presented, self.wanted = endpoint, presented, wanted

    def __str__(self) -> str:
        return f"{self.endpoint} takes {_listed(self.wanted)}, and the caller is {_listed(self.presented)}"

    @property
    def remedy(self) -> str:
        return "ask whoever runs this authority for the role that is needed"


class NameHasRole(CallRefused):
    """A certificate with these names would make its holder an operator, or another role, of this authority."""

    code = "call_name_has_role"
    status = 403

    def __init__(self, name: str, roles: tuple[str, ...]) -> None:
        super().__init__(name, roles)
        self.name, self.roles = name, roles

    def __str__(self) -> str:
        return f"a certificate for {self.name} would have the role {_listed(self.roles)} here"

    @property
    def remedy(self) -> str:
        return "an admin issues such certificates: with a client certificate of that role, or with twoway ca issue"


class BodyTooLarge(CallRefused):
    """More was sent than this endpoint reads; the rest was not looked at."""

    code = "call_body_too_large"
    status = 413

    def __init__(self, endpoint: str, limit: int) -> None:
        super().__init__(endpoint, limit)
        self.endpoint, self.limit = endpoint, limit

    def __str__(self) -> str:
        return f"{self.endpoint} reads at most {self.limit:,} bytes, and more were sent"

    @property
    def remedy(self) -> str:
        return "send what the endpoint asks for and nothing else"


class BodyTooSlow(CallRefused):
    """The request did not arrive whole within its time."""

    code = "call_body_too_slow"
    status = 408

    def __init__(self, endpoint: str, seconds: float) -> None:
        super().__init__(endpoint, seconds)
        self.endpoint, self.seconds = endpoint, seconds

    def __str__(self) -> str:
        return f"the request for {self.endpoint} did not arrive whole within {self.seconds:g} s"

    @property
    def remedy(self) -> str:
        return "send it again, in one piece"


class BodyMalformed(CallRefused):
    """The request's body is not of the form that this endpoint reads."""

    code = "call_body_malformed"

    def __init__(self, expected: str, presented: str) -> None:
        super().__init__(expected, presented)
        self.expected, self.presented = expected, presented

    def __str__(self) -> str:
        return f"expected {self.expected}, got {self.presented}"

    @property
    def remedy(self) -> str:
        return f"send {self.expected}"


class Overloaded(CallRefused):
    """More calls wait for the authority than it lets wait; this one was not begun."""

    code = "call_overloaded"
    status = 503
    retry_after = 1  # seconds

    def __init__(self, waiting: int) -> None:
        super().__init__(waiting)
        self.waiting = waiting

    def __str__(self) -> str:
        return f"{self.waiting} calls wait for this authority already; nothing was done"

    @property
    def remedy(self) -> str:
        return "try again in a second"


class NotFound(CallRefused):
    """There is nothing at that path, or not by that method."""

    code = "call_not_found"
    status = 404

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"there is no {self.what} here"

    @property
    def remedy(self) -> str:
        return "check the path and the method: docs/authority-service.md lists them all"


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words) if words else "nobody"
