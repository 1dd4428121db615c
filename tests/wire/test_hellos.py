"""The hellos of real programs (vectors/hellos.json): each decodes wholly, by name, and encodes back to its bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.wire.hellos import check, encoded, extensions_of, unnamed
from tests.wire.test_messages import client_hello, extension, vector
from twoway.wire.messages import decode_message

VECTORS = json.loads((Path(__file__).parent / "vectors" / "hellos.json").read_text())["hellos"]
HELLOS = {row["program"]: bytes.fromhex(row["hello"]) for row in VECTORS}
# What each of these programs is known to send, beyond what all do.
SENDS = {
    "curl": {"post_handshake_auth", "encrypt_then_mac", "padding", "application_layer_protocol_negotiation"},
    "gnutls": {"record_size_limit", "status_request"},
    "go": {"signature_algorithms_cert", "signed_certificate_timestamp"},
    "java": {"status_request_v2", "signature_algorithms_cert"},
    "chromium": {
        "grease",
        "encrypted_client_hello",
        "application_settings",
        "compress_certificate",
        "trust_anchors",
    },
    "firefox": {
        "delegated_credential",
        "encrypted_client_hello",
        "compress_certificate",
        "record_size_limit",
    },
    "rustls": {"extended_master_secret", "status_request"},
}


@pytest.mark.parametrize("program", HELLOS)
def test_a_real_hello_decodes_wholly_and_by_name(program: str):
    hello = check(HELLOS[program])
    assert set(hello.versions) >= {"TLSv1.3", "TLSv1.2"}
    assert hello.server_name in ("localhost", None)
    assert {"supported_groups", "signature_algorithms", "key_share"} <= set(extensions_of(HELLOS[program]))


@pytest.mark.parametrize("program", SENDS)
def test_what_a_program_is_known_for_is_told(program: str):
    assert SENDS[program] <= set(extensions_of(HELLOS[program]))


def test_post_quantum_shares_are_named():
    """draft-ietf-tls-ecdhe-mlkem: both browsers and rustls begin with one."""
    for program in ("chromium", "firefox", "rustls"):
        assert check(HELLOS[program]).key_shares[:2].count("X25519MLKEM768") == 1, program


def test_trust_anchors_are_told_as_relative_object_identifiers():
    """draft-ietf-tls-trust-anchor-ids-04 §4."""
    data = client_hello(extension(0xCA34, vector(2, vector(1, b"\x82\xdf\x13\x02\x01") + vector(1, b"\x81"))))
    _, tree, fault = decode_message(data, version=None, sender="client")
    told = tree.find("trust_anchors")
    assert fault is None
    assert told is not None
    assert told.text == "44947.2.1, 81"


def test_an_unknown_extension_would_be_noticed():
    data = client_hello(extension(0x1234, b"abc"))
    _, tree, _ = decode_message(data, version=None, sender="client")
    assert unnamed(tree) == [
        "extension_4660: extension_4660",
        "extension_4660: data",
        "extension_type 0x1234",
    ]
    assert encoded(tree) == data
