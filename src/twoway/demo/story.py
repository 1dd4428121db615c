"""What the demo found out, as facts: five steps of a handshake, and how an act ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from twoway.credential import describe, display_name, is_self_issued, without_root
from twoway.steps import Step
from twoway.tls import Refusal, Session
from twoway.tls.tap import Tap
from twoway.trust import Peer
from twoway.wire.handshake import (
    CertificateRequest,
    ClientHello,
    Message,
    ServerHello,
    read_certificate_request,
    read_client_hello,
    read_message,
    read_server_hello,
)

_HANDSHAKE, _ALERT = 22, 21


@dataclass(frozen=True, slots=True)
class Sent:
    """One handshake message as it went: whose it was, what it is called, how long, and when (µs)."""

    by: Literal["client", "server"]
    name: str
    size: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """One recorded handshake, seen from the client."""

    hello: ClientHello
    answer: ServerHello | None
    request: CertificateRequest | None
    messages: tuple[Sent, ...]

    @classmethod
    def of(cls, tap: Tap) -> Handshake:
        """Decode what a client's tap has recorded; raises Malformed."""
        messages: list[Sent] = []
        found: dict[str, Message] = {}
        for one in tap.messages:
            if one.content_type != _HANDSHAKE:
                continue
            message = read_message(one.data)
            found.setdefault(message.name, message)
            by: Literal["client", "server"] = "client" if one.direction == "sent" else "server"
            messages.append(Sent(by, message.name, message.size, one.at_us))
        answer = read_server_hello(found["server_hello"].body) if "server_hello" in found else None
        asked = found.get("certificate_request")
        return cls(
            hello=read_client_hello(found["client_hello"].body),
            answer=answer,
            request=read_certificate_request(asked.body, answer.version) if asked and answer else None,
            messages=tuple(messages),
        )

    def names_until_finished(self) -> tuple[tuple[str, str], ...]:
        """Who sent what, without the tickets that may follow."""
        return tuple((m.by, m.name) for m in self.messages if m.name != "new_session_ticket")


@dataclass(frozen=True, slots=True)
class Told:
    """One of the five steps, in lines; `verdict` is "yes", "no" or "" for a step that does not judge."""

    step: Step
    lines: tuple[str, ...]
    verdict: str = ""


@dataclass(slots=True)
class Act:
    """One thing that the demo tries: what should come of it, what came of it, and how."""

    title: str
    expected: str
    outcome: str = ""
    as_expected: bool = False
    steps: tuple[Told, ...] = ()
    client_told: dict[str, Any] | None = None
    server_logged: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "expected": self.expected,
            "outcome": self.outcome,
            "as_expected": self.as_expected,
            "steps": [
                {
                    "number": int(told.step),
                    "title": told.step.title,
                    "verdict": told.verdict,
                    "lines": list(told.lines),
                }
                for told in self.steps
            ],
            "client_told": self.client_told,
            "server_logged": self.server_logged,
            "answer": self.answer,
            "notes": self.notes,
        }


def tell_hello(handshake: Handshake, target: str, *, ticket: bool) -> Told:
    hello = handshake.hello
    return Told(
        Step.HELLO,
        (
            f"the client asks for {hello.server_name} at {target}",
            f"offers {' and '.join(hello.versions)}; {_few(hello.cipher_suites)}",
            f"key exchange {_few(hello.groups)}; shares sent for {' and '.join(hello.key_shares)}",
            f"a session of before: {'offered' if ticket else 'none'}",
        ),
    )


def tell_server(handshake: Handshake, session: Session) -> Told:
    answer = handshake.answer
    assert answer is not None
    chain = without_root(session.presented)
    lines = [
        f"chose {answer.version}, {answer.cipher_suite}, {answer.group or session.group or 'the old session'}",
        *([f"showed {arrow(chain)}"] if chain else ["showed no certificate: an old session says who it is"]),
    ]
    if handshake.request is not None:
        wanted = " or ".join(display_name(name) for name in session.accepted_authorities()) or "anybody"
        lines.append(
            f"asks for the client's certificate, from {wanted} "
            f"({len(handshake.request.signature_schemes)} signature schemes)"
        )
    else:
        lines.append("does not ask for a certificate: this is one-way TLS")
    return Told(Step.SERVER_SHOWS, tuple(lines))


def tell_client(session: Session, name: str, own: str | None) -> Told:
    peer = session.peer
    assert peer is not None
    lines = [
        f"trusted: the chain ends at {display_name(peer.chain[-1].subject)}, in the client's ca.pem",
        f"the certificate is for {name}, valid until {peer.not_after:%Y-%m-%d %H:%M} UTC",
        f"shows itself as {own} and signs the handshake with its key"
        if own
        else "has no certificate to show",
    ]
    return Told(Step.CLIENT_CHECKS, tuple(lines), "yes")


def tell_check(peer: Peer, because: str) -> Told:
    return Told(
        Step.SERVER_CHECKS,
        (
            f"trusted: {arrow(peer.chain)}",
            f"purpose clientAuth, valid until {peer.not_after:%Y-%m-%d %H:%M} UTC, revocation {peer.revocation}",
            f"so this is {peer.describe()} ({peer.subject}; {peer.names})",
            because,
        ),
        "yes",
    )


def tell_keys(client: Session, same: bool, other: bool) -> Told:
    return Told(
        Step.TALK,
        (
            f"{client.version} with {client.cipher}; keys from {client.group}, made for this connection",
            f"both ends compute the same secret: {'yes' if same else 'NO'}; "
            f"another connection has another one: {'yes' if other else 'NO'}",
            "the certificates' keys only signed: whoever steals one later cannot read this",
        ),
        "yes" if same and other else "no",
    )


def tell_refusal(refusal: Refusal) -> Told:
    shown = " <- ".join(str(one["subject"]) for one in refusal.presented) or "no certificate"
    return Told(refusal.step, (f"the client showed {shown}", f"refused: {refusal.reason}"), "no")


def arrow(chain: tuple[Any, ...]) -> str:
    """A chain in one line: each certificate and who issued it."""
    names = [describe(certificate) for certificate in chain]
    if chain and not is_self_issued(chain[-1]):
        names.append(f"({display_name(chain[-1].issuer)})")
    return " <- ".join(names)


def _few(names: tuple[str, ...], count: int = 2) -> str:
    known = [
        name for name in names if not name.startswith("0x") and name != "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
    ]
    more = len(known) - count
    return ", ".join(known[:count]) + (f" and {more} more" if more > 0 else "")
