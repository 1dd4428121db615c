"""What can go wrong in a handshake besides an untrusted peer or an alert: typed, with its step."""

from __future__ import annotations

from twoway.errors import NetworkError, PeerError
from twoway.steps import Step


class HandshakeFailed(PeerError):
    """The two sides could not agree on how to talk, or one broke the protocol."""

    code = "handshake_failed"
    spec = "RFC 8446 §4"
    step: Step

    def __init__(self, reason: str, step: Step, role: str) -> None:
        super().__init__(reason, step, role)
        self.reason, self.step, self.role = reason, step, role

    def __str__(self) -> str:
        return f"the handshake failed in step {self.step.value} ({self.step.title}): {self.reason}"

    @property
    def remedy(self) -> str:
        return _REMEDIES.get(
            self.reason, "compare the TLS versions, cipher suites and key types of both sides"
        )

    @property
    def alert(self) -> str | None:
        """The alert that went out for it, where that is certain: a server's for a hello that it cannot answer."""
        return NOTHING_CHOSEN.get(self.reason) if self.role == "server" else None

    @property
    def evidence(self) -> dict[str, object]:
        return {"reason": self.reason, "step": int(self.step), "role": self.role}


_REMEDIES = {
    "unsupported protocol": "allow TLS 1.2 or 1.3 on the other side; older versions are refused (RFC 8996)",
    "no shared cipher": "offer TLS 1.3, or in TLS 1.2 an ECDHE suite with AES-GCM or ChaCha20 that fits the key",
    "no suitable signature algorithm": "the other side cannot verify our key type: issue the identity with p256",
    "no application protocol": "offer http/1.1 in ALPN, or leave ALPN out",
}


# Reasons for which a hello finds no answer, and the alert that the library sends for each (RFC 8446 §6.2). They are
# the second step's: neither side has shown a certificate.
NOTHING_CHOSEN = {
    "unsupported protocol": "protocol_version",
    "no shared cipher": "handshake_failure",
    "no suitable signature algorithm": "handshake_failure",
    "no application protocol": "no_application_protocol",
}

# What the library says of bytes that are no TLS, and what they are.
NOT_TLS = {
    "http request": "a plain HTTP request",
    "https proxy request": "an HTTP CONNECT request",
    "wrong version number": "bytes that are no TLS record",
    "packet length too long": "bytes that are no TLS record",
    "record too small": "bytes that are no TLS record",
}


class NotTls(PeerError):
    """The other side sent something that is not TLS."""

    code = "not_tls"
    step = Step.HELLO

    def __init__(self, seen: str) -> None:
        super().__init__(seen)
        self.seen = seen

    def __str__(self) -> str:
        return f"expected a TLS record, got {self.seen}"

    @property
    def remedy(self) -> str:
        return "connect with https:// (TLS) to a TLS port; one of the two sides speaks plain text"

    @property
    def evidence(self) -> dict[str, object]:
        return {"seen": self.seen}


class ConnectionCut(NetworkError):
    """The connection ended in the middle of the handshake, without an alert."""

    code = "connection_cut"
    step: Step

    def __init__(self, step: Step, role: str, target: str | None = None) -> None:
        super().__init__(step, role, target)
        self.step, self.role, self.target = step, role, target

    def __str__(self) -> str:
        who = {"client": "the server", "server": "the client"}[self.role]
        where = f" {self.target}" if self.target else ""
        return (
            f"{who}{where} closed the connection in step {self.step.value} ({self.step.title}) "
            "without saying why"
        )

    @property
    def remedy(self) -> str:
        if self.role == "client":
            return (
                "look into the server's log; some servers close instead of sending an alert when they refuse"
            )
        return "the client gave up, or something between cut the line: look into the client's own error"

    @property
    def evidence(self) -> dict[str, object]:
        return {"step": int(self.step), "role": self.role, "target": self.target}


class Truncated(NetworkError):
    """The connection ended without close_notify: bytes may be missing (RFC 8446 §6.1)."""

    code = "truncated"
    spec = "RFC 8446 §6.1"
    step = Step.TALK

    def __str__(self) -> str:
        return "the connection ended without close_notify: the last bytes may be missing"

    @property
    def remedy(self) -> str:
        return "treat the message as incomplete; the other side or something between cut the line"


class TimedOut(NetworkError):
    """The other side did not answer within the limit."""

    code = "timed_out"

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.what, self.seconds = what, seconds

    def __str__(self) -> str:
        return f"{self.what} took longer than {self.seconds:g} s"

    @property
    def remedy(self) -> str:
        return "check that the other side runs and is reachable, or raise the limit"

    @property
    def evidence(self) -> dict[str, object]:
        return {"what": self.what, "seconds": self.seconds}


class TicketElsewhere(PeerError):
    """A session ticket was shown under another server name than it was made for."""

    code = "ticket_elsewhere"
    spec = "RFC 8446 §4.6.1"
    step = Step.HELLO

    def __init__(self, made_for: str | None, shown_to: str | None) -> None:
        super().__init__(made_for, shown_to)
        self.made_for, self.shown_to = made_for, shown_to

    def __str__(self) -> str:
        return f"expected a session made for {self.shown_to}, got one made for {self.made_for}"

    @property
    def remedy(self) -> str:
        return "make a full handshake for each server name"

    @property
    def evidence(self) -> dict[str, object]:
        return {"made_for": self.made_for, "shown_to": self.shown_to}


class UnknownServerName(PeerError):
    """The client asks for a name that is not served here, and other names are refused."""

    code = "unknown_server_name"
    spec = "RFC 6066 §3"
    step = Step.HELLO

    def __init__(self, asked: str | None, served: tuple[str, ...]) -> None:
        super().__init__(asked, served)
        self.asked, self.served = asked, served

    def __str__(self) -> str:
        asked = self.asked or "no name"
        return f"expected one of the server names {', '.join(self.served)}, the client asked for {asked}"

    @property
    def remedy(self) -> str:
        return "connect by one of these names; a call by IP address asks for no name"

    @property
    def evidence(self) -> dict[str, object]:
        return {"asked": self.asked, "served": list(self.served)}
