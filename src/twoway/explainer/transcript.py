"""One handshake as facts: what went over the wire, who was shown, what was checked, how it ended.

A Transcript is what every face (terminal, page, ladder, JSON) is drawn from; it holds no clock and no socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from twoway.steps import Step
from twoway.wire.events import Sender, WireMessage

Outcome = Literal["mutual", "one_way", "refused", "failed", "unfinished"]
Mark = Literal["ok", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the story: its step, and a sentence for a person who never read the standard."""

    wire: WireMessage
    step: Step
    sentence: str

    @property
    def label(self) -> str:
        """Its name in the standard; of an alert also which one."""
        named = self.wire.kind == "alert" and self.wire.tree.text
        return f"{self.wire.name} {self.wire.tree.text}" if named else self.wire.name


@dataclass(frozen=True, slots=True)
class Ghost:
    """A message that should have followed and never came."""

    sender: Sender
    name: str
    step: Step
    sentence: str


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of a presented chain (or the anchor above it) and the verdict on it."""

    subject: str
    issuer: str
    serial: str
    fingerprint: str
    key_type: str
    signature: str
    names: tuple[str, ...]
    usages: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    role: Literal["leaf", "intermediate", "root", "anchor"]
    mark: Mark
    because: str
    der: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Side:
    """What one side showed, and whether the other has believed it.

    `checked_after` is the index in `messages` after which the other side has checked it, None when that never
    happened. `signed` is exactly what its CertificateVerify signs (RFC 8446 §4.4.3), b"" where unknown.
    """

    role: Sender
    chain: tuple[Link, ...]
    mark: Mark
    because: str
    checked_after: int | None
    signed: bytes = field(repr=False, default=b"")
    signature_scheme: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One line of the CertificateRequest held against the client's chain."""

    asked: str
    shown: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it failed, in the shape of a finding (`twoway doctor --json`)."""

    code: str
    blame: Literal["client", "server", "network", "config"]
    summary: str
    remedy: str
    step: Step
    evidence: dict[str, object] = field(default_factory=dict)
    also_possible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """A handshake, told once; frozen.

    `ended_at` is the index of the message at which a failed handshake ended, `client_done_after` that of the
    message after which a TLS 1.3 client believes the handshake done. `request` is None when the server asked for
    no certificate. `renegotiated` says that it is not the first handshake of its connection; `asked_later` are the
    indices of requests for a certificate that came when both already talked (RFC 8446 §4.6.2). `keys` are the names of the keylog labels that were at hand; their values are not kept.
    """

    client: str
    server: str
    began: datetime | None
    outcome: Outcome
    verdict: str
    version: str | None
    cipher_suite: str | None
    group: str | None
    server_name: str | None
    alpn: str | None
    resumed: bool
    messages: tuple[Message, ...]
    ghosts: tuple[Ghost, ...]
    sides: tuple[Side, Side]  # the server's, the client's: in the order in which they show themselves
    request: tuple[Wish, ...] | None
    failure: Failure | None
    client_done_after: int | None
    ended_at: int | None
    keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    renegotiated: bool = False
    asked_later: tuple[int, ...] = ()
