"""Both directions of one TLS connection, from bytes to messages: what a wire tap with a key log can know; pure.

    conversation = Conversation(keylog)
    for sender, data, at_us in captured: messages += conversation.feed(sender, data, at_us)

Nothing raises for what the bytes hold: what does not open is an "encrypted" message, what does not decode has a
fault. Signatures, Finished values and rules of order are not checked here.

A TLS 1.2 connection may shake hands again under its own keys (renegotiation, RFC 5246 §7.4.1.2, RFC 5746): each
side is then in its own round, since it begins the next one with its hello.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from twoway.wire.events import Epoch, Kind, Sender, WireMessage
from twoway.wire.fields import Field
from twoway.wire.handshake import read_client_hello, read_server_hello
from twoway.wire.keylog import Keylog
from twoway.wire.keys import KeyRing, Negotiated
from twoway.wire.messages import decode_alert, decode_change_cipher_spec, decode_data, decode_message
from twoway.wire.protection import Opener, Unopened
from twoway.wire.reader import Malformed
from twoway.wire.records import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Record, RecordReader

MAX_MESSAGE = 1024 * 1024
MAX_HELD = 256
KEPT_DATA = 4096
_ENCRYPT_THEN_MAC, _EARLY_DATA = 22, 42
_NO_RENEGOTIATION = b"\x64"
_CLIENT_HELLO, _SERVER_HELLO, _END_OF_EARLY_DATA, _FINISHED, _KEY_UPDATE = 1, 2, 5, 20, 24


@dataclass(slots=True)
class _Direction:
    sender: Sender
    records: RecordReader = field(default_factory=RecordReader)
    held: deque[Record] = field(default_factory=deque)
    epoch: Epoch = Epoch.PLAIN
    travelled: Epoch = Epoch.PLAIN  # how the record at hand was protected
    opener: Opener | None = None
    handshake: bytearray = field(default_factory=bytearray)
    unclaimed: int = 0  # bytes of records whose message is not whole yet
    opaque: bool = False
    round: int = 0  # which handshake of this connection this side is in


class Conversation:
    """One connection. `keylog` opens what is encrypted; `version` and `cipher_suite` are what was negotiated."""

    def __init__(self, keylog: Keylog | None = None, *, kept_data: int = KEPT_DATA) -> None:
        self._ring = KeyRing(Keylog() if keylog is None else keylog)
        self._first = Negotiated()
        self._rounds = {0: self._first}
        self._kept_data = kept_data
        self._early = False
        self._sides: dict[Sender, _Direction] = {
            "client": _Direction("client"),
            "server": _Direction("server"),
        }

    @property
    def version(self) -> str | None:
        return self._first.version

    @property
    def cipher_suite(self) -> str | None:
        return self._first.cipher_suite

    @property
    def client_random(self) -> bytes | None:
        """Of the first handshake."""
        return self._first.client_random

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels of the secrets that are known of this connection's first handshake."""
        return self._ring.labels(self._first.client_random)

    def _agreed(self, side: _Direction) -> Negotiated:
        return self._rounds[side.round]

    def feed(self, sender: Sender, data: bytes, at_us: int) -> list[WireMessage]:
        """Take bytes that `sender` sent; the messages that are whole now, of either side.

        What cannot be opened before the other side's hello has come waits for it, within a bound.
        """
        side = self._sides[sender]
        side.held.extend(side.records.feed(data, at_us))
        out: list[WireMessage] = []
        going = True
        while going:
            going = False
            for one in self._sides.values():
                while one.held and (len(one.held) > MAX_HELD or not self._must_wait(one, one.held[0])):
                    self._take(one, one.held.popleft(), out)
                    going = True
        return out

    def end(self, sender: Sender) -> list[WireMessage]:
        """This side has said all: what was left incomplete."""
        side, out = self._sides[sender], list[WireMessage]()
        while side.held:
            self._take(side, side.held.popleft(), out)
        at = out[-1].at_us if out else 0
        if side.handshake:
            data, side.handshake = bytes(side.handshake), bytearray()
            self._emit(
                side, Record(HANDSHAKE, 0, b"", 0, at), data, out, "the stream ended within this message"
            )
        if side.records.left:
            rest = side.records.left
            out.append(
                self._sealed(side, Record(0, 0, rest, len(rest), at), "the stream ended within a record")
            )
        return out

    # -- records -------------------------------------------------------------------------------------

    def _must_wait(self, side: _Direction, record: Record) -> bool:
        """Whether this record can only be understood when the other side's hello is known."""
        if record.content_type == 0 or side.opaque:
            return False
        agreed = self._agreed(side)
        if side.round:
            # What goes on under the old keys is understood; only the new ones need both hellos.
            return record.content_type == CHANGE_CIPHER_SPEC and not agreed.complete
        if side.epoch is not Epoch.PLAIN:
            early = side.epoch is Epoch.EARLY
            return agreed.client_random is None or (agreed.server_random is None and not early)
        if side.sender == "server":
            # From its change_cipher_spec on a TLS 1.2 server's keys need the client's random too.
            keyed = record.content_type == CHANGE_CIPHER_SPEC and not agreed.modern
            return keyed and agreed.client_random is None
        if agreed.server_random is not None:
            return False
        if record.content_type == APPLICATION_DATA and self._early:
            return False
        if record.content_type == CHANGE_CIPHER_SPEC:
            return agreed.version is None  # whether it means anything depends on the version
        return record.content_type == APPLICATION_DATA

    def _take(self, side: _Direction, record: Record, out: list[WireMessage]) -> None:
        if record.content_type == 0:
            out.append(self._foreign(side, record))
            return
        if record.content_type == APPLICATION_DATA and side.epoch is Epoch.PLAIN and self._early:
            side.epoch, side.opener = Epoch.EARLY, self._ring.opener("client", Epoch.EARLY, self._first)
        # RFC 8446 §5: change_cipher_spec is never encrypted; in TLS 1.3 what is encrypted looks like data.
        sealed = side.epoch is not Epoch.PLAIN and (
            record.content_type == APPLICATION_DATA if self._looks_modern(side) else True
        )
        side.travelled = side.epoch if sealed else Epoch.PLAIN
        if not sealed:
            self._understand(side, record, record.content_type, record.data, out)
        else:
            self._open(side, record, out)

    def _looks_modern(self, side: _Direction) -> bool:
        return self._first.modern or side.epoch is Epoch.EARLY

    def _open(self, side: _Direction, record: Record, out: list[WireMessage]) -> None:
        for opener, epoch in self._candidates(side):
            try:
                content_type, data = opener.open(record.content_type, record.version, record.data)
            except Unopened:
                continue
            side.opener, side.epoch = opener, epoch
            side.travelled = epoch
            self._understand(side, record, content_type, data, out)
            return
        fault = "it does not open with the secret at hand" if side.opener is not None else None
        out.append(self._sealed(side, record, fault))

    def _candidates(self, side: _Direction) -> list[tuple[Opener, Epoch]]:
        """The keys in use; in TLS 1.3 then those of later epochs, when the messages between were not seen."""
        found = [(side.opener, side.epoch)] if side.opener is not None else []
        if self._first.modern:
            for epoch in _LATER.get(side.epoch, ()):
                opener = self._ring.opener(side.sender, epoch, self._first)
                if opener is not None:
                    found.append((opener, epoch))
        return found

    # -- contents ------------------------------------------------------------------------------------

    def _understand(
        self, side: _Direction, record: Record, content_type: int, data: bytes, out: list[WireMessage]
    ) -> None:
        if content_type == HANDSHAKE and not side.opaque:
            side.handshake += data
            side.unclaimed += record.size
            self._messages(side, record, out)
        elif content_type == ALERT:
            tree, fault = decode_alert(data)
            out.append(self._message(side, record, "alert", "alert", data, tree, fault))
            if data[1:] == _NO_RENEGOTIATION:
                self._stay()
        elif content_type == APPLICATION_DATA:
            kept = data[: self._kept_data]
            tree = decode_data(kept)
            out.append(self._message(side, record, "application_data", "application_data", kept, tree, None))
        elif content_type == CHANGE_CIPHER_SPEC:
            tree, fault = decode_change_cipher_spec(data)
            out.append(
                self._message(side, record, "change_cipher_spec", "change_cipher_spec", data, tree, fault)
            )
            if not self._first.modern:
                self._enter(side, Epoch.APPLICATION)  # in a later round it travelled under the old keys
        else:
            out.append(self._sealed(side, record, f"content type {content_type} is none of TLS"))

    def _messages(self, side: _Direction, record: Record, out: list[WireMessage]) -> None:
        buffer = side.handshake
        while len(buffer) >= 4:
            size = 4 + int.from_bytes(buffer[1:4], "big")
            if size > MAX_MESSAGE:
                side.opaque = True
                out.append(self._sealed(side, record, f"a handshake message of {size} bytes is not read"))
                buffer.clear()
                return
            if len(buffer) < size:
                return
            data = bytes(buffer[:size])
            del buffer[:size]
            self._emit(side, record, data, out)
            self._learn(side, data)

    def _emit(
        self, side: _Direction, record: Record, data: bytes, out: list[WireMessage], cut: str | None = None
    ) -> None:
        # In a round of which only one hello has come the one before still counts.
        agreed = self._agreed(side) if self._agreed(side).version else self._first
        name, tree, fault = decode_message(
            data, version=agreed.version, sender=side.sender, cipher_suite=agreed.cipher_suite
        )
        size, side.unclaimed = side.unclaimed, 0
        out.append(
            WireMessage(
                side.sender,
                "handshake",
                name,
                data[0],
                record.at_us,
                side.travelled,
                size,
                data,
                tree,
                cut or fault,
            )
        )

    def _learn(self, side: _Direction, data: bytes) -> None:
        """What a message changes for what comes after it."""
        number = data[0]
        try:
            if number == _CLIENT_HELLO and side.sender == "client":
                self._learn_client_hello(side, data[4:])
            elif number == _SERVER_HELLO and side.sender == "server":
                self._learn_server_hello(side, data[4:])
        except Malformed:
            return
        if number == _END_OF_EARLY_DATA and side.epoch is Epoch.EARLY:
            self._enter(side, Epoch.HANDSHAKE)
        if not self._first.modern:
            return
        if number == _FINISHED and side.epoch is Epoch.HANDSHAKE:
            self._enter(side, Epoch.APPLICATION)
        elif number == _KEY_UPDATE and side.epoch is Epoch.APPLICATION:
            side.opener = self._ring.updated(side.sender, self._first)

    def _learn_client_hello(self, side: _Direction, body: bytes) -> None:
        hello = read_client_hello(body)
        if side.epoch is not Epoch.PLAIN:
            self._anew(side).client_random = hello.random
            return
        self._first.client_random = hello.random
        if self._first.version is None:
            self._early = any(number == _EARLY_DATA for number, _ in hello.extensions)
            # RFC 8446 §4.2.10: early data goes under the suite of the ticket, which a client offers first.
            suites = [suite for suite in hello.cipher_suites if suite.startswith(("TLS_AES", "TLS_CHACHA"))]
            self._first.early_suite = suites[0] if suites else None

    def _learn_server_hello(self, side: _Direction, body: bytes) -> None:
        hello = read_server_hello(body)
        agreed = self._first if side.epoch is Epoch.PLAIN else self._anew(side)
        if agreed is not self._first and hello.version == "TLSv1.3":
            return  # RFC 8446 §4.1.2: no version but 1.2 and older is negotiated anew
        agreed.version, agreed.cipher_suite = hello.version, hello.cipher_suite
        if hello.retry:
            return
        agreed.server_random = hello.random
        agreed.encrypt_then_mac = any(number == _ENCRYPT_THEN_MAC for number, _ in hello.extensions)
        if agreed.modern:
            self._enter(self._sides["server"], Epoch.HANDSHAKE)
            client = self._sides["client"]
            if client.epoch is not Epoch.EARLY:
                begins_early = self._early and client.epoch is Epoch.PLAIN
                self._enter(client, Epoch.EARLY if begins_early else Epoch.HANDSHAKE)

    def _anew(self, side: _Direction) -> Negotiated:
        """The round that this side begins with its hello, which the other may have begun before it."""
        if self._first.modern:
            return Negotiated()  # RFC 8446 §4.1.2: there is none in TLS 1.3
        side.round += 1
        over = min(one.round for one in self._sides.values())
        self._rounds = {number: agreed for number, agreed in self._rounds.items() if number >= over}
        return self._rounds.setdefault(side.round, Negotiated())

    def _stay(self) -> None:
        """RFC 5246 §7.2.2: no_renegotiation answers a hello that leads nowhere; both go on under the old keys."""
        last = max(one.round for one in self._sides.values())
        if last and not self._rounds[last].complete:
            for one in self._sides.values():
                one.round = min(one.round, last - 1)
            self._rounds.setdefault(last - 1, Negotiated())
            del self._rounds[last]

    def _enter(self, side: _Direction, epoch: Epoch) -> None:
        side.epoch, side.opener = epoch, self._ring.opener(side.sender, epoch, self._agreed(side))

    # -- messages ------------------------------------------------------------------------------------

    def _message(
        self,
        side: _Direction,
        record: Record,
        kind: Kind,
        name: str,
        data: bytes,
        tree: Field,
        fault: str | None,
    ) -> WireMessage:
        size, side.unclaimed = record.size + side.unclaimed, 0
        return WireMessage(
            side.sender, kind, name, None, record.at_us, side.travelled, size, data, tree, fault
        )

    def _sealed(self, side: _Direction, record: Record, fault: str | None) -> WireMessage:
        tree = Field("encrypted", 0, 0, None, f"{len(record.data)} bytes")
        return self._message(side, record, "encrypted", "encrypted", b"", tree, fault)

    def _foreign(self, side: _Direction, record: Record) -> WireMessage:
        kept = record.data[: self._kept_data]
        tree = Field("bytes", 0, len(kept), kept, f"{len(record.data)} bytes that are no TLS record")
        return self._message(side, record, "not_tls", "not_tls", kept, tree, None)


_LATER: dict[Epoch, tuple[Epoch, ...]] = {
    Epoch.EARLY: (Epoch.HANDSHAKE, Epoch.APPLICATION),
    Epoch.HANDSHAKE: (Epoch.APPLICATION,),
}
