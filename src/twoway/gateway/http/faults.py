"""What is wrong with one request or its answer: typed, with the status that tells it in HTTP.

`str()` is for the log. `told` is for whoever asked: it names nothing that lies behind the gateway.
"""

from __future__ import annotations

from twoway.errors import NetworkError, PeerDenied, PeerError, TwowayError
from twoway.steps import Step
from twoway.trust import Decision

REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    408: "Request Timeout",
    417: "Expectation Failed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


class BadMessage(PeerError):
    """Bytes that are no HTTP/1.1 message, or one that two readers could take for different ones."""

    code = "bad_message"
    spec = "RFC 9112"
    step = Step.TALK

    def __init__(self, problem: str, status: int = 400) -> None:
        super().__init__(problem, status)
        self.problem, self.status = problem, status

    def __str__(self) -> str:
        return f"the message is not HTTP/1.1 as it must be: {self.problem}"

    @property
    def told(self) -> str:
        return str(self)

    @property
    def remedy(self) -> str:
        return "send what RFC 9112 describes; what several readers could read differently is refused"


class AmbiguousPath(PeerError):
    """A path that servers read differently, where a rule depends on it."""

    code = "ambiguous_path"
    spec = "RFC 3986 §6.2.2"
    status = 400
    step = Step.TALK

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"the path {self.path[:200]!r} is ambiguous: {self.problem}"

    @property
    def told(self) -> str:
        return f"the path is ambiguous: {self.problem}"

    @property
    def remedy(self) -> str:
        return "ask for the path in its plain spelling, without relative or empty segments"


class Overridden(PeerError):
    """A request that names another path or method in a field, where a rule depends on them."""

    code = "overridden_request"
    status = 400
    step = Step.TALK

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the field {self.name[:80]} asks for another path or method than the request line"

    @property
    def told(self) -> str:
        return str(self)

    @property
    def remedy(self) -> str:
        return "ask for what is meant in the request line, which is what the rules judge"


class Misdirected(PeerError):
    """A request for another host than the one that the connection was made to."""

    code = "misdirected_request"
    spec = "RFC 9110 §15.5.20"
    status = 421
    step = Step.TALK

    def __init__(self, host: str, server_name: str | None) -> None:
        super().__init__(host, server_name)
        self.host, self.server_name = host, server_name

    def __str__(self) -> str:
        made = (
            f"the TLS connection to {self.server_name}" if self.server_name else "TLS without a server name"
        )
        return f"the request is for {self.host[:200]!r}, and came over {made}"

    @property
    def told(self) -> str:
        return "the request is for another host than its TLS connection"

    @property
    def remedy(self) -> str:
        return "open a connection to that host, with its name in the TLS handshake (SNI)"


class RequestDenied(PeerDenied):
    """A proven peer asks for something that the policy does not let it have."""

    code = "request_not_allowed"
    status = 403
    step = Step.TALK

    def __init__(self, peer: str, method: str, path: str | None, decision: Decision) -> None:
        super().__init__(peer, method, path, decision)
        self.peer, self.method, self.path, self.decision = peer, method, path, decision

    def __str__(self) -> str:
        return f"{self.peer} may not {self.method} {self.path or '*'}: {self.decision.because}"

    @property
    def told(self) -> str:
        return f"{self.peer} may not {self.method} this"

    @property
    def remedy(self) -> str:
        if self.decision.rule is not None:
            return f"if it should be allowed, change the deny rule {self.decision.rule.where}"
        return "if it should be allowed, add an allow rule (try it with: twoway policy test --method --path)"

    @property
    def evidence(self) -> dict[str, object]:
        rule = self.decision.rule
        return {
            "peer": self.peer,
            "method": self.method,
            "path": self.path,
            "because": self.decision.because,
            "rule": rule.where if rule else None,
        }


# What a request is refused for, and the one after it is not.
ABOUT_ONE_REQUEST = (AmbiguousPath, Overridden, Misdirected, RequestDenied)


class TooSlow(NetworkError):
    """A side did not go on with its message in time."""

    code = "request_timeout"
    status = 408
    step = Step.TALK

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.what, self.seconds = what, seconds

    def __str__(self) -> str:
        return f"{self.what} did not come within {self.seconds:g} s"

    @property
    def told(self) -> str:
        return str(self)

    @property
    def remedy(self) -> str:
        return "send it at once; the limit is set at the gateway's listener"


class TargetSilent(NetworkError):
    """The target has taken a request and does not answer."""

    code = "target_silent"
    status = 504

    def __init__(self, target: str, seconds: float) -> None:
        super().__init__(target, seconds)
        self.target, self.seconds = target, seconds

    def __str__(self) -> str:
        return f"the target {self.target} has not answered within {self.seconds:g} s"

    @property
    def remedy(self) -> str:
        return "look at the service behind the gateway, or raise response_seconds"


class BadAnswer(NetworkError):
    """The target's answer is no answer, or did not come."""

    code = "bad_answer"
    spec = "RFC 9112"
    status = 502

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(target, problem)
        self.target, self.problem = target, problem

    def __str__(self) -> str:
        return f"the answer of {self.target} cannot be passed on: {self.problem}"

    @property
    def remedy(self) -> str:
        return "look at the service behind the gateway"


def status_of(fault: BaseException) -> int:
    """The status that tells this; what went wrong on the way to a target is 502."""
    status = getattr(fault, "status", None)
    if status is not None:
        return int(status)
    if isinstance(fault, PeerError):
        return 403  # who was proven when the connection began is no longer let in
    return 502 if isinstance(fault, TwowayError) else 500


def told(fault: BaseException) -> str:
    """The reason for whoever asked."""
    sentence = getattr(fault, "told", None)
    if sentence is not None:
        return str(sentence)
    return {
        403: "you are no longer let in here",
        502: "the service behind this gateway gave no usable answer",
        504: "the service behind this gateway did not answer in time",
    }.get(status_of(fault), "the gateway has made a mistake")
