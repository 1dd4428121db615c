"""Real handshakes of OpenSSL, decoded from their bytes and key log, however they are cut into pieces."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pki import Issuer
from tests.wire.test_messages import assert_tiles
from twoway.credential import certificate_pem
from twoway.wire.conversation import Conversation
from twoway.wire.events import Epoch, Sender, WireMessage
from twoway.wire.keylog import Keylog

SUITES_12 = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-NULL-SHA",
]


class Traffic(NamedTuple):
    """What travelled in one connection, in order, and its secrets."""

    chunks: tuple[tuple[Sender, bytes], ...]
    secrets: bytes


class Files(NamedTuple):
    server: Path
    client: Path
    ca: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    place = tmp_path_factory.mktemp("wire")
    root = Issuer.root("Acme Root")
    server = root.leaf("localhost", dns=("localhost",), purpose="server")
    server.save(place / "server")
    root.leaf("orders").save(place / "client")
    (place / "ca.pem").write_bytes(certificate_pem(root.certificate))
    return Files(place / "server", place / "client", place / "ca.pem")


def contexts(
    files: Files, keylog: Path, *, version: ssl.TLSVersion, suite: str = ""
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context, mine in ((server, files.server), (client, files.client)):
        context.load_cert_chain(mine / "cert.pem", mine / "key.pem")
        context.load_verify_locations(files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = version
        if suite:
            context.set_ciphers(f"{suite}:@SECLEVEL=0")
    client.keylog_filename = str(keylog)
    return server, client


def all_of(end: ssl.SSLObject, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += end.read(size)
    return data


def talk(
    files: Files,
    keylog: Path,
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    *,
    words: bytes = b"hello",
    session: ssl.SSLSession | None = None,
) -> tuple[Traffic, ssl.SSLObject]:
    """Shake hands in memory, say something both ways, and say goodbye."""
    a_in, a_out, b_in, b_out = (ssl.MemoryBIO() for _ in range(4))
    one = client.wrap_bio(a_in, a_out, server_hostname="localhost", session=session)
    two = server.wrap_bio(b_in, b_out, server_side=True)
    chunks: list[tuple[Sender, bytes]] = []

    def carry() -> None:
        for sender, source, target in (("client", a_out, b_in), ("server", b_out, a_in)):
            if data := source.read():
                chunks.append((sender, data))  # type: ignore[arg-type]
                target.write(data)

    for _ in range(6):
        for end in (one, two):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            finally:
                carry()
    one.write(words)
    carry()
    assert all_of(two, len(words)) == words
    two.write(words[::-1])
    carry()
    assert all_of(one, len(words)) == words[::-1]
    for end in (one, two):
        try:
            end.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            continue
        finally:
            carry()
    return Traffic(tuple(chunks), keylog.read_bytes()), one


def decoded(traffic: Traffic, keylog: Keylog | None = None) -> list[WireMessage]:
    conversation, told = (
        Conversation(Keylog.read(traffic.secrets) if keylog is None else keylog),
        list[WireMessage](),
    )
    for at, (sender, data) in enumerate(traffic.chunks):
        told += conversation.feed(sender, data, at)
    return told + conversation.end("client") + conversation.end("server")


def said(told: list[WireMessage], sender: Sender) -> bytes:
    return b"".join(m.data for m in told if m.kind == "application_data" and m.sender == sender)


def assert_whole(told: list[WireMessage], traffic: Traffic) -> None:
    for message in told:
        assert message.fault is None
        assert_tiles(message.tree, len(message.data))
        assert message.tree.find("undecoded") is None
    assert sum(m.wire_size for m in told) == sum(len(data) for _, data in traffic.chunks)


@pytest.mark.parametrize("suite", SUITES_12)
def test_every_protection_of_tls_1_2_opens(files: Files, tmp_path: Path, suite: str):
    server, client = contexts(files, tmp_path / "keys", version=ssl.TLSVersion.TLSv1_2, suite=suite)
    traffic, _ = talk(files, tmp_path / "keys", server, client)
    told = decoded(traffic)
    assert_whole(told, traffic)
    assert said(told, "client") == b"hello"
    assert said(told, "server") == b"olleh"
    names = [m.name for m in told if m.kind == "handshake"]
    assert names == [
        "client_hello",
        "server_hello",
        "certificate",
        "server_key_exchange",
        "certificate_request",
        "server_hello_done",
        "certificate",
        "client_key_exchange",
        "certificate_verify",
        "finished",
        "new_session_ticket",
        "finished",
    ]


def test_encrypt_then_mac_is_heeded(files: Files, tmp_path: Path):
    """RFC 7366: OpenSSL agrees on it for every CBC suite, unless told not to."""
    server, client = contexts(
        files, tmp_path / "keys", version=ssl.TLSVersion.TLSv1_2, suite="ECDHE-ECDSA-AES128-SHA"
    )
    client.options |= 0x00080000  # SSL_OP_NO_ENCRYPT_THEN_MAC
    traffic, _ = talk(files, tmp_path / "keys", server, client)
    told = decoded(traffic)
    assert_whole(told, traffic)
    assert said(told, "client") == b"hello"


def test_tls_1_3_opens_and_resumes(files: Files, tmp_path: Path):
    server, client = contexts(files, tmp_path / "keys", version=ssl.TLSVersion.TLSv1_3)
    traffic, one = talk(files, tmp_path / "keys", server, client)
    told = decoded(traffic)
    assert_whole(told, traffic)
    assert said(told, "server") == b"olleh"
    assert {m.epoch for m in told if m.name == "certificate"} == {Epoch.HANDSHAKE}
    again, two = talk(files, tmp_path / "keys", server, client, session=one.session)
    assert two.session_reused
    told = decoded(again)
    assert_whole(told, again)
    assert "certificate" not in [m.name for m in told]


def test_without_the_secret_nothing_is_guessed(files: Files, tmp_path: Path):
    server, client = contexts(files, tmp_path / "keys", version=ssl.TLSVersion.TLSv1_3)
    traffic, _ = talk(files, tmp_path / "keys", server, client)
    told = decoded(traffic, Keylog())
    assert {m.name for m in told[3:]} <= {"encrypted", "change_cipher_spec"}
    assert_whole(told, traffic)
    wrong = Keylog.read(bytes(traffic.secrets[:-9]) + b"deadbeef\n")
    assert any(m.fault for m in decoded(traffic, wrong))


def test_the_application_secrets_alone_open_what_they_can(files: Files, tmp_path: Path):
    server, client = contexts(files, tmp_path / "keys", version=ssl.TLSVersion.TLSv1_3)
    traffic, _ = talk(files, tmp_path / "keys", server, client)
    lines = [line for line in traffic.secrets.splitlines() if b"TRAFFIC_SECRET_0" in line]
    told = decoded(traffic, Keylog.read(b"\n".join(lines)))
    assert said(told, "client") == b"hello"
    assert "certificate" not in [m.name for m in told]


@pytest.fixture(scope="module")
def recorded(files: Files, tmp_path_factory: pytest.TempPathFactory) -> list[Traffic]:
    place = tmp_path_factory.mktemp("traffic")
    found = []
    for number, version in enumerate((ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)):
        server, client = contexts(files, place / f"{number}", version=version)
        found.append(talk(files, place / f"{number}", server, client, words=b"w" * 40000)[0])
    return found


def facts(told: list[WireMessage]) -> list[tuple[object, ...]]:
    return [(m.sender, m.name, m.epoch, m.data, m.wire_size, m.fault) for m in told]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=40), which=st.integers(0, 1))
def test_how_bytes_are_cut_never_changes_what_is_told(recorded: list[Traffic], cuts: list[int], which: int):
    traffic = recorded[which]
    pieces: list[tuple[Sender, bytes]] = []
    turn = 0
    for sender, data in traffic.chunks:
        while data:
            size = cuts[turn % len(cuts)]
            turn += 1
            pieces.append((sender, data[:size]))
            data = data[size:]
    assert facts(decoded(Traffic(tuple(pieces), traffic.secrets))) == facts(decoded(traffic))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(data=st.data(), which=st.integers(0, 1))
def test_damaged_bytes_give_facts_or_faults_and_never_raise(
    recorded: list[Traffic], data: st.DataObject, which: int
):
    traffic = recorded[which]
    chunks = [(sender, bytearray(octets)) for sender, octets in traffic.chunks]
    for _ in range(data.draw(st.integers(1, 6))):
        _, octets = chunks[data.draw(st.integers(0, len(chunks) - 1))]
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    damaged = Traffic(tuple((sender, bytes(octets)) for sender, octets in chunks), traffic.secrets)
    for message in decoded(damaged):
        assert_tiles(message.tree, len(message.data))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["client", "server"]), st.binary(max_size=200)), max_size=20))
def test_any_bytes_at_all_never_raise(chunks: list[tuple[Sender, bytes]]):
    for message in decoded(Traffic(tuple(chunks), b""), Keylog()):
        assert_tiles(message.tree, len(message.data))


def test_what_is_no_tls_is_told_as_that():
    conversation = Conversation()
    (message,) = conversation.feed("client", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 5)
    assert (message.kind, message.data[:3], message.at_us) == ("not_tls", b"GET", 5)
    assert conversation.feed("client", b"more", 6)[0].kind == "not_tls"


def test_a_message_too_large_to_be_one_is_not_collected():
    conversation = Conversation()
    record = b"\x16\x03\x03\x00\x04\x0b\xff\xff\xff"
    (message,) = conversation.feed("server", record, 0)
    assert message.fault is not None
    assert "16777219 bytes" in message.fault
    assert conversation.feed("server", b"\x16\x03\x03\x00\x04abcd", 0)[0].kind == "encrypted"


def test_what_the_end_cuts_off_is_told():
    conversation = Conversation()
    assert conversation.feed("client", b"\x16\x03\x01\x00\x06\x01\x00\x00\x40\x03\x03" + b"\x16\x03", 0) == []
    cut, rest = conversation.end("client")
    assert (cut.name, cut.fault) == ("client_hello", "the stream ended within this message")
    assert (rest.kind, rest.fault) == ("encrypted", "the stream ended within a record")
    assert sum(m.wire_size for m in (cut, rest)) == 13


def test_a_key_log_is_read_past_what_it_does_not_know():
    random, secret = "aa" * 32, "bb" * 48
    log = Keylog.read(
        f"# comment\n\nCLIENT_RANDOM {random} {secret}\nNONSENSE {random} {secret}\nCLIENT_RANDOM zz yy\n"
    )
    assert len(log) == 1
    assert log.find(bytes.fromhex(random), "CLIENT_RANDOM") == bytes.fromhex(secret)
    assert log.find(bytes.fromhex(random), "EXPORTER_SECRET") is None
    assert secret not in repr(log)


@given(st.binary(max_size=300))
def test_any_text_is_a_key_log_of_what_it_has(text: bytes):
    assert len(Keylog.read(text)) <= text.count(b"\n") + 1
