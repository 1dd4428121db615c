"""TLS 1.2 that shakes hands again, and TLS 1.3 that asks afterwards: OpenSSL's own bytes, decoded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pki import Issuer
from tests.wire.again import Recorded, asked_later, renegotiated
from tests.wire.test_messages import assert_tiles
from twoway.credential import certificate_pem
from twoway.wire.conversation import Conversation
from twoway.wire.events import Epoch, Sender, WireMessage
from twoway.wire.keylog import Keylog

ROOT = Issuer.root("Acme Root")
SERVER = ROOT.leaf("localhost", dns=("localhost",), purpose="server")
CLIENT = ROOT.leaf("orders")
SUITES = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256",
    b"ECDHE-ECDSA-AES256-GCM-SHA384",
    b"ECDHE-ECDSA-CHACHA20-POLY1305",
    b"ECDHE-ECDSA-AES128-SHA256",
)


@pytest.fixture(scope="module")
def anew() -> Recorded:
    return renegotiated(SERVER, CLIENT)


def assert_whole(told: list[WireMessage], recorded: Recorded) -> None:
    for message in told:
        assert (message.kind, message.fault) != ("encrypted", None)
        assert message.fault is None
        assert_tiles(message.tree, len(message.data))
    assert sum(m.wire_size for m in told) == sum(len(data) for _, data in recorded.chunks)


def after_request(told: list[WireMessage]) -> list[tuple[Sender, str]]:
    at = next(i for i, m in enumerate(told) if m.name == "hello_request")
    return [(m.sender, m.name) for m in told[at:]]


@pytest.mark.parametrize("suite", SUITES, ids=bytes.decode)
def test_a_second_handshake_travels_under_the_keys_of_the_first(suite: bytes):
    """RFC 5246 §7.4.1.1: hello_request, then all of it again, change_cipher_spec included, protected."""
    recorded = renegotiated(SERVER, CLIENT, suites=suite)
    told = recorded.messages()
    assert_whole(told, recorded)
    assert after_request(told) == [
        ("server", "hello_request"),
        ("client", "client_hello"),
        ("server", "server_hello"),
        ("server", "certificate"),
        ("server", "server_key_exchange"),
        ("server", "certificate_request"),
        ("server", "server_hello_done"),
        ("client", "certificate"),
        ("client", "client_key_exchange"),
        ("client", "certificate_verify"),
        ("client", "change_cipher_spec"),
        ("client", "finished"),
        ("server", "change_cipher_spec"),
        ("server", "finished"),
        ("server", "application_data"),
    ]
    at = next(i for i, m in enumerate(told) if m.name == "hello_request")
    assert {m.epoch for m in told[at:]} == {Epoch.APPLICATION}
    assert [m.wire_size for m in told if m.name == "change_cipher_spec"][:2] == [6, 6]


def test_the_second_hello_names_the_first_handshake(anew: Recorded):
    """RFC 5746 §3.5: renegotiation_info carries the Finished values of the handshake before."""
    told = anew.messages()
    finished = [m.data[4:] for m in told if m.name == "finished"]
    hellos = [m for m in told if m.name in ("client_hello", "server_hello")]
    info = [m.tree.find("renegotiation_info") for m in hellos]
    assert [one.text if one else None for one in info[1:]] == ["initial", "renegotiation", "renegotiation"]
    assert hellos[2].data.endswith(finished[0]) or finished[0] in hellos[2].data
    assert finished[0] + finished[1] in hellos[3].data


def test_a_declined_request_changes_no_keys():
    """RFC 5246 §7.2.2: no_renegotiation, and what the server says after it still opens."""
    recorded = renegotiated(SERVER, CLIENT, refused=True)
    told = recorded.messages()
    assert_whole(told, recorded)
    assert after_request(told)[:2] == [("server", "hello_request"), ("client", "alert")]
    assert next(m for m in told if m.kind == "alert").data == b"\x01\x64"


def test_without_secrets_nothing_is_claimed(anew: Recorded):
    told = anew.messages(Keylog())
    assert [m.name for m in told if m.name == "hello_request"] == []
    assert {m.kind for m in told if m.epoch is not Epoch.PLAIN} == {"encrypted"}


def flow(recorded: Recorded, sender: Sender) -> bytes:
    return b"".join(data for who, data in recorded.chunks if who == sender)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_how_the_bytes_are_cut_changes_no_message(anew: Recorded, data: st.DataObject):
    conversation, told = Conversation(Keylog.read(anew.secrets)), list[WireMessage]()
    for sender, chunk in anew.chunks:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(chunk)), max_size=3)))
        for begin, end in zip([0, *cuts], [*cuts, len(chunk)], strict=True):
            told += conversation.feed(sender, chunk[begin:end], 0)
    assert [(m.sender, m.name, m.data) for m in told] == [(m.sender, m.name, m.data) for m in anew.messages()]


@pytest.mark.parametrize("order", [("client", "server"), ("server", "client")])
def test_each_direction_is_understood_when_it_comes_as_a_whole(anew: Recorded, order: tuple[Sender, Sender]):
    """A capture may hold one direction late: each side is in its own round."""
    conversation, told = Conversation(Keylog.read(anew.secrets)), list[WireMessage]()
    for sender in order:
        told += conversation.feed(sender, flow(anew, sender), 0)
    told += conversation.end("client") + conversation.end("server")
    for sender in order:
        assert [m.data for m in told if m.sender == sender] == [
            m.data for m in anew.messages() if m.sender == sender
        ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_any_damage_ends_in_facts(anew: Recorded, data: st.DataObject):
    conversation = Conversation(Keylog.read(anew.secrets))
    for sender, chunk in anew.chunks:
        octets = bytearray(chunk)
        if data.draw(st.booleans()):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        for message in conversation.feed(sender, bytes(octets), 0):
            assert_tiles(message.tree, len(message.data))


def test_a_certificate_may_be_asked_for_afterwards(tmp_path: Path):
    """RFC 8446 §4.6.2, on the application keys."""
    SERVER.save(tmp_path / "server")
    CLIENT.save(tmp_path / "client")
    (tmp_path / "ca.pem").write_bytes(certificate_pem(ROOT.certificate))
    recorded = asked_later(
        tmp_path / "server", tmp_path / "client", tmp_path / "ca.pem", tmp_path / "keys.log"
    )
    told = recorded.messages()
    assert_whole(told, recorded)
    at = next(i for i, m in enumerate(told) if m.name == "certificate_request")
    assert [m.name for m in told[at : at + 4]] == [
        "certificate_request",
        "certificate",
        "certificate_verify",
        "finished",
    ]
    assert {m.epoch for m in told[at:]} == {Epoch.APPLICATION}
    context = [m.tree.find("certificate_request_context") for m in told[at : at + 2]]
    assert context[0] is not None
    assert context[1] is not None
    assert context[0].value == context[1].value != b""
