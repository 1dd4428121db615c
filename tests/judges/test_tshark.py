"""tshark as the judge of our decoder: message order, types, lengths, and every field that it names, on real handshakes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import judge
from tests.pki import Issuer
from twoway.credential import Credential
from twoway.errors import TwowayError
from twoway.tls import ClientContext, ClientSettings, ServerContext, ServerSettings, Session
from twoway.tls.recording import KeyLog, Recording
from twoway.trust import Trust
from twoway.wire.conversation import Conversation
from twoway.wire.events import WireMessage
from twoway.wire.keylog import Keylog
from twoway.wire.pcapng_writer import write_recording

pytestmark = pytest.mark.judge

KEYS = ("p256", "rsa2048", "ed25519", "mldsa65")
VERSIONS = ("TLSv1.3", "TLSv1.2")
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# tshark splits what is one field of the standard: only the bytes can be held against ours.
HALVES = {
    "tls.handshake.random_time",
    "tls.handshake.random_bytes",
    "tls.handshake.sig_hash_hash",
    "tls.handshake.sig_hash_sig",
}


@dataclass
class Family:
    """One kind of key: a server, a client, and clients to be refused."""

    trust: Trust
    server: Credential
    client: Credential
    expired: Credential
    stranger: Credential
    strangers_trust: Trust


@dataclass
class Talk:
    """One recorded handshake."""

    name: str
    chunks: list[tuple[str, bytes, int]]
    secrets: bytes
    messages: list[WireMessage] = field(default_factory=list)


def family(key_type: str) -> Family:
    root = Issuer.root("Acme Root", key_type)
    issuing, other = root.below("Acme Issuing", key_type), Issuer.root("Other Root", key_type)
    return Family(
        Trust((root.certificate,)),
        issuing.leaf("localhost", dns=("localhost",), purpose="server", key_type=key_type),
        issuing.leaf("orders", key_type=key_type),
        issuing.leaf("late", key_type=key_type, start=-60, days=-30),
        other.leaf("stranger", key_type=key_type),
        Trust((other.certificate,)),
    )


def talk(name: str, client: dict[str, Any], server: dict[str, Any], *, again: bool = False) -> Iterator[Talk]:
    """Shake hands in memory, say something, and once more on the ticket if `again`."""
    mine, theirs = ClientContext(ClientSettings(**client)), ServerContext(ServerSettings(**server))
    log = KeyLog(mine)
    ticket = None
    for turn in range(2 if again else 1):
        recording = Recording("client")
        one, two = Session(mine, server_name="localhost", ticket=ticket), Session(theirs)

        def carry(one: Session = one, two: Session = two, recording: Recording = recording) -> None:
            for source, target, note in ((one, two, recording.sent), (two, one, recording.received)):
                if data := source.outgoing():
                    note(data)
                    target.receive(data)

        for _ in range(6):
            for end in (one, two):
                try:
                    if end.advance():
                        end.read()
                except TwowayError:
                    pass
                carry()
        if one.complete and two.complete and two.failure is None:
            one.write(b"ping")
            carry()
            two.read()
            two.write(b"pong")
            carry()
            one.read()
            ticket = one.ticket()
            one.close_notify()
            carry()
        if turn:
            assert one.peer is not None
            assert one.peer.resumed
        secrets = log.text(recording.client_random)
        yield Talk(
            f"{name}{', resumed' if turn else ''}",
            [(c.sender, c.data, c.at_us) for c in recording.chunks],
            secrets,
        )


def talks() -> Iterator[Talk]:
    for key_type in KEYS:
        one = family(key_type)
        for version in VERSIONS:
            if version == "TLSv1.2" and key_type == "mldsa65":
                continue  # TLS 1.2 knows no such signatures
            only = {"minimum_version": version, "maximum_version": version}
            known = {"credential": one.client, "trust": one.trust, **only}
            serving = {"credential": one.server, "trust": one.trust}
            about = f"{version} {key_type}"
            yield from talk(f"{about} required", known, serving, again=True)
            yield from talk(f"{about} optional", known, {**serving, "clients": "optional"})
            nobody = {**known, "credential": None}
            yield from talk(f"{about} optional, not shown", nobody, {**serving, "clients": "optional"})
            yield from talk(f"{about} none", nobody, {**serving, "clients": "none"}, again=True)
            for who in ("stranger", "expired"):
                yield from talk(f"{about} refused {who}", {**known, "credential": getattr(one, who)}, serving)
            yield from talk(f"{about} refused nobody", nobody, serving)
            distrusting = {**known, "trust": one.strangers_trust}
            yield from talk(f"{about} server refused", distrusting, serving)
            if version == "TLSv1.3":
                yield from talk(f"{about} retry", known, {**serving, "groups": "secp384r1"})


def told_by_us(one: Talk) -> list[WireMessage]:
    conversation, messages = Conversation(Keylog.read(one.secrets)), list[WireMessage]()
    for sender, data, at_us in one.chunks:
        messages += conversation.feed(sender, data, at_us)  # type: ignore[arg-type]
    return messages


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Talk], Path]:
    """All of them in one file, a section and a client port each."""
    place = tmp_path_factory.mktemp("tshark") / "handshakes.pcapng"
    found = list(talks())
    with place.open("wb") as file:
        for number, one in enumerate(found):
            one.messages = told_by_us(one)
            file.write(
                write_recording(
                    one.chunks,  # type: ignore[arg-type]
                    ("127.0.0.1", 20000 + number),
                    ("127.0.0.1", 443),
                    began=BEGAN + timedelta(seconds=number),
                    secrets=one.secrets or None,
                )
            )
    return found, place


@dataclass
class Seen:
    """A message as tshark tells it: its fields with their place in the message and their bytes."""

    kind: str
    number: int
    length: int
    fields: list[tuple[str, int, int, str]]


@pytest.fixture(scope="module")
def judged(recorded: tuple[list[Talk], Path]) -> dict[int, list[Seen]]:
    """What tshark sees, by client port."""
    command = [
        judge("tshark"),
        "-r",
        str(recorded[1]),
        "-T",
        "pdml",
        "-o",
        "tcp.relative_sequence_numbers:TRUE",
    ]
    done = subprocess.run(command, capture_output=True, check=True, timeout=300)
    seen: dict[int, list[Seen]] = {}
    for packet in ElementTree.fromstring(done.stdout):
        ports = [
            int(f.get("show", "0"))
            for f in packet.iter("field")
            if f.get("name") in ("tcp.srcport", "tcp.dstport")
        ]
        client = next(port for port in ports if port != 443)
        for proto in packet:
            if proto.get("name") == "tls":
                seen.setdefault(client, []).extend(_messages(proto))
    return seen


def _messages(proto: ElementTree.Element) -> Iterator[Seen]:
    for one in proto.iter("field"):
        name = one.get("name")
        if name == "tls.handshake":
            kind = one.find("field[@name='tls.handshake.type']")
            if kind is None:
                continue
            begin = int(kind.get("pos", "0"))
            fields = [
                (
                    f.get("name", ""),
                    int(f.get("pos", "0")) - begin,
                    int(f.get("size", "0")),
                    f.get("value", ""),
                )
                for f in one.iter("field")
                if f.get("name", "").startswith("tls.") and f.get("value") and int(f.get("size", "0"))
            ]
            length = one.find("field[@name='tls.handshake.length']")
            assert length is not None
            yield Seen("handshake", int(kind.get("show", "0")), int(length.get("show", "0")) + 4, fields)
        elif name == "tls.alert_message":
            said = one.find("field[@name='tls.alert_message.desc']")
            assert said is not None
            yield Seen("alert", int(said.get("show", "0")), 2, [])
        elif name == "tls.change_cipher_spec":
            yield Seen("change_cipher_spec", 1, 1, [])


def ours(one: Talk) -> list[WireMessage]:
    return [m for m in one.messages if m.kind in ("handshake", "alert", "change_cipher_spec")]


def test_there_are_at_least_fifty_kinds_of_handshakes(recorded: tuple[list[Talk], Path]):
    found = recorded[0]
    assert len(found) >= 50
    assert len({one.name for one in found}) == len(found)
    for one in found:
        assert not [m for m in one.messages if m.kind == "encrypted" or m.fault], one.name
    assert any(m.name == "hello_retry_request" for one in found for m in one.messages)
    refused = [one for one in found if any(m.kind == "alert" and m.data[1:] != b"\0" for m in one.messages)]
    assert len(refused) >= 20


def test_tshark_sees_the_same_messages_in_the_same_order(
    recorded: tuple[list[Talk], Path], judged: dict[int, list[Seen]]
):
    for number, one in enumerate(recorded[0]):
        told = [(m.kind, m.data[1] if m.kind == "alert" else m.data[0], len(m.data)) for m in ours(one)]
        assert [(s.kind, s.number, s.length) for s in judged[20000 + number]] == told, one.name


def test_tshark_names_the_same_bytes_by_every_field(
    recorded: tuple[list[Talk], Path], judged: dict[int, list[Seen]], record_property: Any
):
    same, different = 0, list[str]()
    for number, one in enumerate(recorded[0]):
        for message, seen in zip(ours(one), judged[20000 + number], strict=True):
            places = {(f.start, f.end) for _, f in message.tree.walk()}
            for name, start, size, value in seen.fields:
                agrees = message.data[start : start + size].hex() == value
                if name not in HALVES:
                    agrees = agrees and (start, start + size) in places
                if agrees:
                    same += 1
                else:
                    different.append(f"{one.name}: {message.name}: {name} at {start}, {size} bytes")
    ratio = same / (same + len(different))
    print(
        f"\ntshark agrees on {same} of {same + len(different)} fields of {len(recorded[0])} handshakes: {ratio:.4%}"
    )
    record_property("agreement", ratio)
    assert ratio >= 0.999, different[:20]
