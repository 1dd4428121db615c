"""The traces of RFC 8448: every secret of the key schedule, every record opened, every message byte-exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.wire.test_messages import assert_tiles
from twoway.wire.conversation import Conversation
from twoway.wire.events import Epoch, WireMessage
from twoway.wire.keylog import Keylog
from twoway.wire.schedule import (
    derive_secret,
    expand,
    expand_label,
    extract,
    finished_key,
    suite_of,
    traffic_keys,
)

# RFC 8448, sections 3 to 7, as hexadecimal digits (see "source" within).
VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "vectors" / "rfc8448.json").read_text()
)["sections"]
SECTIONS = list(VECTORS)
ROWS = [(section, row) for section in SECTIONS for row in VECTORS[section] if row["fields"]]
LABELS = {
    "tls13 c e traffic": "CLIENT_EARLY_TRAFFIC_SECRET",
    "tls13 c hs traffic": "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "tls13 s hs traffic": "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "tls13 c ap traffic": "CLIENT_TRAFFIC_SECRET_0",
    "tls13 s ap traffic": "SERVER_TRAFFIC_SECRET_0",
}
PRF = "sha256"  # all five traces use TLS_AES_128_GCM_SHA256
SUITE = suite_of("TLS_AES_128_GCM_SHA256")


def octets(row: dict[str, Any], name: str) -> bytes:
    text = row["fields"][name].split(" ")[0]
    return b"" if text in ("(empty)", "0") else bytes.fromhex(text)


def ids(pair: tuple[str, dict[str, Any]]) -> str:
    return f"{pair[0][:2]}{pair[1]['actor']}-{pair[1]['what']}"


@pytest.mark.parametrize("pair", [pair for pair in ROWS if pair[1]["what"].startswith("extract")], ids=ids)
def test_each_extraction(pair: tuple[str, dict[str, Any]]):
    row = pair[1]
    assert extract(octets(row, "salt"), octets(row, "IKM"), PRF) == octets(row, "secret")


@pytest.mark.parametrize("pair", [pair for pair in ROWS if "expanded" in pair[1]["fields"]], ids=ids)
def test_each_derivation(pair: tuple[str, dict[str, Any]]):
    row = pair[1]
    wanted = octets(row, "expanded")
    assert expand(octets(row, "PRK"), octets(row, "info"), len(wanted), PRF) == wanted
    label = row["what"].split('"')[1].removeprefix("tls13 ") if '"' in row["what"] else ""
    if row["what"].startswith("derive secret"):
        assert derive_secret(octets(row, "PRK"), label, octets(row, "hash"), PRF) == wanted
    elif row["what"].startswith("generate resumption"):
        assert expand_label(octets(row, "PRK"), label, octets(row, "hash"), 32, PRF) == wanted
    else:
        assert finished_key(octets(row, "PRK"), PRF) == wanted


@pytest.mark.parametrize("pair", [pair for pair in ROWS if "key expanded" in pair[1]["fields"]], ids=ids)
def test_the_keys_of_each_direction(pair: tuple[str, dict[str, Any]]):
    row = pair[1]
    assert SUITE is not None
    keys = traffic_keys(octets(row, "PRK"), SUITE)
    assert (keys.key, keys.iv) == (octets(row, "key expanded"), octets(row, "iv expanded"))
    assert keys.key.hex() not in repr(keys)


def keylog_of(section: str) -> Keylog:
    rows = VECTORS[section]
    # The last ClientHello's random: a retry repeats it (RFC 8446 §4.1.2).
    random = next(octets(row, "ClientHello")[6:38] for row in rows if "ClientHello" in row["fields"])
    log = Keylog()
    for row in rows:
        label = LABELS.get(row["what"].split('"')[1] if '"' in row["what"] else "")
        if label and "expanded" in row["fields"]:
            log.add(f"{label} {random.hex()} {octets(row, 'expanded').hex()}".encode())
    return log


@pytest.mark.parametrize("section", SECTIONS)
def test_each_record_opens_to_what_was_sent(section: str):
    """Client authentication (6), retry (5), early data (4), and compatibility mode (7) included."""
    conversation, told = Conversation(keylog_of(section)), list[WireMessage]()
    travelled = 0
    for row in (row for row in VECTORS[section] if "complete record" in row["fields"]):
        record = octets(row, "complete record")
        messages = conversation.feed(row["actor"], record, travelled)
        travelled += len(record)
        assert b"".join(m.data for m in messages) == octets(row, "payload"), row["what"]
        assert {m.sender for m in messages} == {row["actor"]}
        told += messages
    for message in told:
        assert message.fault is None
        assert message.tree.find("undecoded") is None
        assert_tiles(message.tree, len(message.data))
    assert not [m for m in told if m.kind == "encrypted"]
    assert sum(m.wire_size for m in told) == travelled
    assert conversation.version == "TLSv1.3"
    assert conversation.cipher_suite == "TLS_AES_128_GCM_SHA256"


def names(section: str, keylog: Keylog | None = None) -> list[tuple[str, str, Epoch]]:
    conversation, told = Conversation(keylog_of(section) if keylog is None else keylog), list[WireMessage]()
    for row in (row for row in VECTORS[section] if "complete record" in row["fields"]):
        told += conversation.feed(row["actor"], octets(row, "complete record"), 0)
    return [(m.sender, m.name, m.epoch) for m in told]


def test_client_authentication_is_told_message_by_message():
    section = next(section for section in SECTIONS if section.startswith("6."))
    plain, handshake, application = Epoch.PLAIN, Epoch.HANDSHAKE, Epoch.APPLICATION
    assert names(section)[:12] == [
        ("client", "client_hello", plain),
        ("server", "server_hello", plain),
        ("server", "encrypted_extensions", handshake),
        ("server", "certificate_request", handshake),
        ("server", "certificate", handshake),
        ("server", "certificate_verify", handshake),
        ("server", "finished", handshake),
        ("client", "certificate", handshake),
        ("client", "certificate_verify", handshake),
        ("client", "finished", handshake),
        ("client", "alert", application),
        ("server", "alert", application),
    ]


def test_without_secrets_the_rest_is_told_as_encrypted():
    section = next(section for section in SECTIONS if section.startswith("6."))
    told = names(section, Keylog())
    assert [name for _, name, _ in told[:2]] == ["client_hello", "server_hello"]
    assert {name for _, name, _ in told[2:]} == {"encrypted"}


def test_early_data_travels_in_an_epoch_of_its_own():
    section = next(section for section in SECTIONS if section.startswith("4."))
    told = names(section)
    assert ("client", "application_data", Epoch.EARLY) in told
    assert ("client", "end_of_early_data", Epoch.EARLY) in told
    assert ("client", "finished", Epoch.HANDSHAKE) in told


def test_a_direction_that_arrives_first_waits_for_the_hello_of_the_other():
    """Captures do not keep the order between directions; the messages come out as they do in order."""
    for section in SECTIONS:
        conversation, told = Conversation(keylog_of(section)), list[WireMessage]()
        rows = [row for row in VECTORS[section] if "complete record" in row["fields"]]
        for actor in ("client", "server"):
            for row in rows:
                if row["actor"] == actor:
                    told += conversation.feed(actor, octets(row, "complete record"), 0)
        for actor in ("client", "server"):
            wanted = b"".join(octets(row, "payload") for row in rows if row["actor"] == actor)
            assert b"".join(m.data for m in told if m.sender == actor) == wanted, section
