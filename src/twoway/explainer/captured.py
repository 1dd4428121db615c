"""Tells the handshakes of a capture, one after the other, in memory that does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from twoway.explainer.handshakes import handshakes
from twoway.explainer.telling import Ending, Knowledge, tell
from twoway.explainer.transcript import Transcript
from twoway.trust import Trust
from twoway.wire.conversation import Conversation
from twoway.wire.events import Sender, WireMessage
from twoway.wire.keylog import Keylog
from twoway.wire.packets import Packet, Secrets
from twoway.wire.pcap import read_capture
from twoway.wire.tcp import Closed, Connection, Data, Event, Gap, Opened, Streams

MAX_MESSAGES = 400
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def handshakes_in(
    file: BinaryIO,
    keylog: Keylog | None = None,
    *,
    client_trust: Trust | None = None,
    server_trust: Trust | None = None,
    port: int | None = None,
) -> Iterator[Transcript]:
    """Every TLS connection of a pcap or pcapng file, each when it ends, those cut off by the end of file last.

    `keylog` opens what is encrypted, with the secrets within the file. `port` keeps to connections to or from
    that port. The trusts, where given, say whom each side is to believe. Raises CaptureUnreadable for a file
    that is none or is damaged, after what came before the damage. At most 400 messages are told of each.
    """
    watching = _Watching(Keylog() if keylog is None else keylog, client_trust, server_trust, port)
    streams = Streams()
    for item in read_capture(file):
        if isinstance(item, Secrets):
            watching.learn(item)
        elif isinstance(item, Packet):
            for event in streams.feed(item):
                yield from watching.take(event)
    for event in streams.end():
        yield from watching.take(event)


@dataclass(slots=True)
class _Watched:
    conversation: Conversation
    began_us: int
    messages: list[WireMessage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Watching:
    keylog: Keylog
    client_trust: Trust | None
    server_trust: Trust | None
    port: int | None
    open: dict[int, _Watched] = field(default_factory=dict)

    def learn(self, secrets: Secrets) -> None:
        for line in secrets.text.splitlines():
            self.keylog.add(line)

    def take(self, event: Event) -> Iterator[Transcript]:
        connection = event.connection
        if isinstance(event, Opened):
            if self.port is None or self.port in (connection.client[1], connection.server[1]):
                self.open[connection.number] = _Watched(Conversation(self.keylog), event.at_us)
            return
        watched = self.open.get(connection.number)
        if watched is None:
            return
        if isinstance(event, Data):
            if len(watched.messages) < MAX_MESSAGES:
                at_us = event.at_us - watched.began_us
                watched.messages += watched.conversation.feed(event.sender, event.data, at_us)
        elif isinstance(event, Gap):
            watched.notes.append(f"{event.missing} bytes of the {event.sender} are not in the capture")
        elif isinstance(event, Closed):
            del self.open[connection.number]
            yield from self._told(connection, watched, event)

    def _told(self, connection: Connection, watched: _Watched, closed: Closed) -> Iterator[Transcript]:
        for sender in ("client", "server"):
            watched.messages += watched.conversation.end(sender)
        if not any(message.kind == "handshake" for message in watched.messages):
            return
        ending, by = _ending(closed)
        told = handshakes(watched.messages[:MAX_MESSAGES])
        for number, messages in enumerate(told):
            last = number == len(told) - 1
            yield tell(
                messages,
                Knowledge(
                    client=_printed(connection.client),
                    server=_printed(connection.server),
                    began=_ZERO + timedelta(microseconds=watched.began_us),
                    client_trust=self.client_trust,
                    server_trust=self.server_trust,
                    ending=ending if last else "open",
                    ended_by=by if last else None,
                    keys=tuple(watched.conversation.keys),
                    notes=(*watched.notes, *_place_of(number, len(told))),
                    renegotiated=number > 0,
                ),
            )


def _place_of(number: int, count: int) -> Iterator[str]:
    if number:
        yield f"handshake {number + 1} of {count} of this connection (renegotiation), under the keys of the one before"
    elif count > 1:
        yield f"handshake 1 of {count} of this connection: they shook hands again (renegotiation)"


def _ending(closed: Closed) -> tuple[Ending, Sender | None]:
    if closed.how == "reset":
        return "reset", closed.sender
    return ("closed" if closed.how == "fin" else "open"), closed.sender


def _printed(endpoint: tuple[str, int]) -> str:
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
