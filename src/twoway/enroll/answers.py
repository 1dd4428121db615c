"""What can be wrong with an authority's answer, for whoever asked."""

from __future__ import annotations

from twoway.credential import printable
from twoway.errors import PeerError, PeerRefused, PeerUntrusted


class RootMismatch(PeerUntrusted):
    """The authority at that address is not the one whose fingerprint was given."""

    code = "root_mismatch"

    def __init__(self, url: str, expected: str, presented: tuple[str, ...]) -> None:
        super().__init__(url, expected, presented)
        self.url, self.expected, self.presented = url, expected, presented

    def __str__(self) -> str:
        shown = ", ".join(self.presented) or "no root"
        return f"{self.url} is another authority: expected the root {self.expected}, got {shown}"

    @property
    def remedy(self) -> str:
        return (
            "compare the fingerprint with the one that `twoway ca init` printed; if it is right, somebody answers "
            "in the authority's place: nothing was sent to it"
        )

    @property
    def evidence(self) -> dict[str, object]:
        return {"url": self.url, "expected": self.expected, "presented": list(self.presented)}


class AuthorityRefused(PeerRefused):
    """The authority answered no; the reason and the remedy are its own words."""

    code = "authority_refused"

    def __init__(self, url: str, status: int, reason: str, detail: str, hint: str) -> None:
        super().__init__(url, status, reason, detail, hint)
        self.url, self.status, self.reason, self.detail, self.hint = url, status, reason, detail, hint

    def __str__(self) -> str:
        return f"the authority {self.url} refused with {self.reason}: {printable(self.detail)}"

    @property
    def remedy(self) -> str:
        return printable(self.hint) or "ask whoever runs the authority; its log has the reason"

    @property
    def evidence(self) -> dict[str, object]:
        return {"url": self.url, "status": self.status, "code": self.reason, "detail": self.detail}


class UnusableAnswer(PeerError):
    """The authority answered, and not with a certificate that can be used."""

    code = "authority_answer_unusable"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(url, why)
        self.url, self.why = url, why

    def __str__(self) -> str:
        return f"{self.url} answered with something that cannot be used: {printable(self.why)}"

    @property
    def remedy(self) -> str:
        return "check that the address is that of `twoway ca serve`, HTTPS port"

    @property
    def evidence(self) -> dict[str, object]:
        return {"url": self.url, "why": self.why}
