"""What a server does: a few connections to it, each told as far as it came."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cryptography import x509

from twoway.credential import Credential
from twoway.explainer.gathered import Gathered
from twoway.explainer.steps import step_of
from twoway.steps import Step
from twoway.tls.alerts import name_of
from twoway.tls.probing import Ending, Probe, Seen, probe
from twoway.wire.conversation import Conversation
from twoway.wire.events import WireMessage
from twoway.wire.keylog import Keylog

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
# RFC 9113 §6.5: the first frame of an HTTP/2 server is SETTINGS (type 4) on stream 0.
_HTTP2_SETTINGS = re.compile(rb"\x00..\x04[\x00\x01]\x00\x00\x00\x00", re.S)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection: what was offered, and what came of it. `alert` and `alert_step` are of the server's refusal."""

    offered: str
    with_identity: bool
    complete: bool
    ending: Ending
    reason: str
    facts: Gathered = field(repr=False)
    answer: bytes = field(repr=False)
    unreachable: OSError | None = None
    session: bytes | None = field(default=None, repr=False)
    resumed: bool = False

    @property
    def alert(self) -> str | None:
        """The fatal alert that the server sent, by name."""
        index = self.facts.alert
        if index is None or self.facts.messages[index].sender != "server":
            return None
        return name_of(self.facts.alert_number)

    @property
    def alert_step(self) -> Step | None:
        return step_of(self.facts.alert, self.facts) if self.facts.alert is not None else None

    @property
    def asked(self) -> bool:
        """Whether the server asked for a certificate in the handshake."""
        asked, finished = self._place("certificate_request"), self._place("finished")
        return asked is not None and (finished is None or asked < finished)

    @property
    def asked_later(self) -> bool:
        """Whether it asked only after the handshake, or wanted to negotiate anew for it, once it had read the request.

        RFC 8446 §4.6.2, RFC 5246 §7.4.1.1.
        """
        if self.asked:
            return False
        return self.facts.request is not None or self._place("hello_request") is not None

    def _place(self, name: str) -> int | None:
        return self.facts.place("server", name)

    @property
    def answered(self) -> bool:
        """Whether anything at all came back."""
        return any(m.sender == "server" for m in self.facts.messages)

    @property
    def foreign(self) -> bytes | None:
        """What the server said that is no TLS."""
        found = [m.data for m in self.facts.messages if m.sender == "server" and m.kind == "not_tls"]
        return found[0] if found else None

    @property
    def status(self) -> int | None:
        """The HTTP status of the answer, where it is one."""
        found = _STATUS.match(self.answer)
        return int(found[1]) if found else None

    @property
    def refused_at_http(self) -> bool:
        """nginx and others finish TLS and refuse in HTTP: a 400 that speaks of the certificate, 495, 496."""
        if self.status in (495, 496):
            return True
        return self.status == 400 and b"certificate" in self.answer.lower()

    @property
    def speaks_http2(self) -> bool:
        """Whether the answer to a request in HTTP/1.1 is of HTTP/2."""
        return _HTTP2_SETTINGS.match(self.answer) is not None

    def header(self, name: str) -> str | None:
        """A header of the HTTP answer, as printable text; None where there is none."""
        return header_of(self.answer, name)

    @property
    def date(self) -> datetime | None:
        """The server's clock, from its HTTP Date."""
        text = self.header("date")
        if text is None:
            return None
        try:
            told = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)

    @property
    def ended_silently(self) -> bool:
        """The handshake was over, and the server went away without a word."""
        return self.complete and self.alert is None and not self.answer and self.ending in ("closed", "reset")

    @property
    def let_in(self) -> bool:
        """Whether the server has accepted this connection, as far as can be seen."""
        return self.complete and self.alert is None and not self.ended_silently and not self.refused_at_http

    @property
    def presented(self) -> tuple[x509.Certificate, ...]:
        """The server's chain; what cannot be read is left out."""
        found = []
        for der in self.facts.chains.get("server", ()):
            try:
                found.append(x509.load_der_x509_certificate(der))
            except Exception:  # noqa: BLE001, S112 - the parser raises many kinds; all mean the same here
                continue
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the attempts go to. `name` is what is asked for by SNI and in the Host header."""

    host: str
    port: int
    name: str
    timeout: float = 10.0
    listen: float = 1.0
    path: str = "/"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def request(self) -> bytes:
        return f"GET {self.path} HTTP/1.1\r\nHost: {self.name}\r\nUser-Agent: twoway-doctor\r\nConnection: close\r\n\r\n".encode()


def header_of(answer: bytes, name: str) -> str | None:
    """The first header of that name in the head of an HTTP answer, as printable text."""
    head = answer.partition(b"\r\n\r\n")[0]
    found = re.search(rb"^" + re.escape(name.encode("ascii")) + rb": *([^\r\n]+)", head, re.I | re.M)
    return found[1].decode("ascii", "backslashreplace").strip() if found else None


def attempt(
    target: Target,
    *,
    credential: Credential | None = None,
    version: str | None = None,
    server_name: str | None = "",
    alpn: tuple[str, ...] = ("http/1.1",),
    post_handshake: bool = False,
    session: bytes | None = None,
    preface: bytes = b"",
) -> Attempt:
    """One connection; `version` None offers 1.2 and 1.3, `server_name` "" is the target's own, None is none."""
    what = Probe(
        minimum=version or "TLSv1.2",
        maximum=version or "TLSv1.3",
        server_name=target.name if server_name == "" else server_name,
        alpn=alpn,
        credential=credential,
        request=target.request,
        post_handshake=post_handshake,
        session=session,
        preface=preface,
    )
    offered = version or "TLSv1.2 and TLSv1.3"
    try:
        seen = probe((target.host, target.port), what, timeout=target.timeout, listen=target.listen)
    except OSError as error:
        nothing = Gathered.of(())
        return Attempt(offered, credential is not None, False, "open", "", nothing, b"", error)
    facts = Gathered.of(_messages(seen))
    return Attempt(
        offered,
        credential is not None,
        seen.complete,
        seen.ending,
        seen.reason,
        facts,
        seen.answer,
        session=seen.session,
        resumed=seen.resumed,
    )


def _messages(seen: Seen) -> list[WireMessage]:
    conversation = Conversation(Keylog.read(seen.secrets))
    messages: list[WireMessage] = []
    for chunk in seen.recording.chunks:
        messages += conversation.feed(chunk.sender, chunk.data, chunk.at_us)
    for sender in ("client", "server"):
        messages += conversation.end(sender)
    return messages


def why_unreachable(error: OSError) -> str:
    """The code of a connection that did not come about."""
    if isinstance(error, socket.gaierror):
        return "dns_failure"
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    if isinstance(error, TimeoutError):
        return "timed_out"
    if error.errno in _UNREACHABLE:
        return "unreachable"
    return "connect_failed"


_UNREACHABLE = frozenset({101, 113})  # ENETUNREACH, EHOSTUNREACH on Linux
