"""What is wrong with a proxy's word."""

from __future__ import annotations

from twoway.errors import PeerError


class ForwardedMalformed(PeerError):
    """A header field about a client's certificate does not say it as its standard wants."""

    code = "forwarded_malformed"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"the {self.field} header cannot be used: {self.problem}"

    @property
    def remedy(self) -> str:
        if self.field == "X-Forwarded-Client-Cert":
            return "have the proxy replace the header (SANITIZE_SET) and send the certificate or chain in it"
        return "have the proxy replace the header, and send it as RFC 9440 has it"
