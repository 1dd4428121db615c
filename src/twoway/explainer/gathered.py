"""What the messages of one handshake say, gathered: the hellos, the request, both chains, both proofs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from twoway.wire.compression import DecompressorMissing, read_compressed_certificates
from twoway.wire.events import Sender, WireMessage
from twoway.wire.handshake import (
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    ServerHello,
    SignedKeyExchange,
    read_certificate_request,
    read_certificate_verify,
    read_certificates,
    read_client_hello,
    read_server_hello,
    read_server_key_exchange,
)
from twoway.wire.reader import Malformed

_FATAL = 2
CLOSE_NOTIFY, USER_CANCELED = 0, 90
# RFC 8879 §4: it stands where a certificate would stand.
_SAME = {"compressed_certificate": "certificate"}


@dataclass(slots=True)
class Gathered:
    """The facts of a handshake, each None or empty until its message came; `places` are indices of messages.

    `chains` lacks a side whose certificate message was not seen or not opened; an empty chain is a side that
    showed none. Of a client that was asked more than once it is the last chain that it showed; `shown` has
    where. `asked_later` are the places of the requests that came when both already talked (RFC 8446 §4.6.2).
    """

    messages: tuple[WireMessage, ...]
    hello: ClientHello | None = None
    answer: ServerHello | None = None
    request: CertificateRequest | None = None
    key_exchange: SignedKeyExchange | None = None
    chains: dict[Sender, tuple[bytes, ...]] = field(default_factory=dict)
    proofs: dict[Sender, CertificateVerify] = field(default_factory=dict)
    shown: dict[Sender, int] = field(default_factory=dict)
    places: dict[tuple[Sender, str], int] = field(default_factory=dict)
    asked_later: list[int] = field(default_factory=list)
    alert: int | None = None
    alert_number: int = 0
    faults: list[str] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, messages: Sequence[WireMessage]) -> Gathered:
        """Read every message that can be read; what does not decode is in `faults`."""
        found = cls(tuple(messages))
        for index, message in enumerate(found.messages):
            try:
                found._take(index, message)
            except Malformed as error:
                found.faults.append(str(error))
            except DecompressorMissing as error:
                found.unopened.append(f"the certificate of the {message.sender} is {error}: {error.remedy}")
        return found

    def _take(self, index: int, message: WireMessage) -> None:
        sender = message.sender
        self.places.setdefault((sender, _SAME.get(message.name, message.name)), index)
        if message.kind == "alert":
            self._take_alert(index, message.data)
        if message.kind != "handshake":
            return
        body = message.data[4:]
        match message.name:
            case "client_hello" if not self.finished:
                self.hello = read_client_hello(body)  # the last one: after a retry it is what counts
            case "server_hello":
                self.answer = read_server_hello(body)
            case "certificate_request":
                if self.place("client", "finished") is not None:
                    self.asked_later.append(index)
                self.request = read_certificate_request(body, self.version or "")
            case "certificate":
                self._take_chain(index, sender, read_certificates(body, self.version or ""))
            case "compressed_certificate":
                self._take_chain(index, sender, read_compressed_certificates(body))
            case "certificate_verify":
                self.proofs[sender] = read_certificate_verify(body)
                self.places[(sender, message.name)] = index
            case "server_key_exchange":
                self.key_exchange = read_server_key_exchange(body)

    def _take_chain(self, index: int, sender: Sender, chain: tuple[bytes, ...]) -> None:
        if chain or sender not in self.chains:
            self.chains[sender], self.shown[sender] = chain, index

    def _take_alert(self, index: int, data: bytes) -> None:
        if self.alert is not None or len(data) != 2:
            return
        level, number = data
        # RFC 8446 §6: in TLS 1.3 the level means nothing; every alert but these two ends the connection.
        if number in (CLOSE_NOTIFY, USER_CANCELED) or (level != _FATAL and self.version != "TLSv1.3"):
            return
        self.alert, self.alert_number = index, number

    @property
    def version(self) -> str | None:
        return self.answer.version if self.answer is not None else None

    @property
    def resumed(self) -> bool:
        """TLS 1.3 says so; in TLS 1.2 a server that finishes without having shown anything has resumed."""
        if self.answer is None:
            return False
        if self.version == "TLSv1.3":
            return self.answer.resumes
        finished = self.place("server", "finished")
        return finished is not None and self.place("server", "server_hello_done") is None

    @property
    def encrypted(self) -> bool:
        """Whether something of the handshake could not be opened."""
        return any(message.kind == "encrypted" for message in self.messages)

    def place(self, sender: Sender, name: str) -> int | None:
        """Where the first message of this name is; of several proofs the last."""
        return self.places.get((sender, name))

    @property
    def client_ends(self) -> int | None:
        """Where the client finished the handshake, or the later answer, in which it showed its chain."""
        begin = self.shown.get("client", 0) if self.asked_later else 0
        return next(
            (
                index
                for index, m in enumerate(self.messages)
                if index >= begin and m.sender == "client" and m.name == "finished"
            ),
            None,
        )

    def asked_before(self, index: int) -> int:
        """Where the pass begins that this message belongs to: the later request before it, or the start."""
        return max((place for place in self.asked_later if place <= index), default=0)

    @property
    def finished(self) -> bool:
        return self.place("client", "finished") is not None and self.place("server", "finished") is not None

    def after(self, index: int | None, sender: Sender) -> WireMessage | None:
        """The first message of `sender` behind `index` that is no alert."""
        if index is None:
            return None
        return next((m for m in self.messages[index + 1 :] if m.sender == sender and m.kind != "alert"), None)
