"""Handshake messages as trees: every byte in exactly one leaf, whatever the bytes are."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.wire.fields import Field
from twoway.wire.handshake import RETRY_RANDOM
from twoway.wire.messages import (
    decode_alert,
    decode_change_cipher_spec,
    decode_data,
    decode_message,
)
from twoway.wire.tables import EXTENSIONS, MESSAGES

VERSIONS = ("TLSv1.3", "TLSv1.2", None)
SUITES = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_NULL_SHA",
    None,
)


def leaves(tree: Field) -> list[Field]:
    return [field for _, field in tree.walk() if not field.children]


def assert_tiles(tree: Field, size: int) -> None:
    """Leaves one after the other cover all bytes; children cover their parents."""
    assert (tree.start, tree.end) == (0, size)
    at = 0
    for leaf in leaves(tree) if size else []:
        assert leaf.start == at
        at = leaf.end
    assert at == size
    for _, field in tree.walk():
        if field.children:
            assert field.children[0].start == field.start
            assert field.children[-1].end == field.end


def vector(octets: int, data: bytes) -> bytes:
    return len(data).to_bytes(octets, "big") + data


def message(number: int, body: bytes) -> bytes:
    return bytes([number]) + vector(3, body)


def extension(number: int, data: bytes) -> bytes:
    return number.to_bytes(2, "big") + vector(2, data)


def client_hello(*extensions: bytes) -> bytes:
    return message(
        1,
        b"\3\3"
        + b"r" * 32
        + vector(1, b"s" * 32)
        + vector(2, b"\x13\x01\xc0\x2b\x0a\x0a")
        + b"\1\0"
        + vector(2, b"".join(extensions)),
    )


@given(
    st.sampled_from([*MESSAGES, 99]),
    st.binary(max_size=400),
    st.sampled_from(VERSIONS),
    st.sampled_from(SUITES),
)
def test_any_body_of_any_message_is_tiled(number: int, body: bytes, version: str | None, suite: str | None):
    data = message(number, body)
    _, tree, _ = decode_message(data, version=version, sender="server", cipher_suite=suite)
    assert_tiles(tree, len(data))


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_tiled(data: bytes):
    assert_tiles(decode_message(data, version=None, sender="client")[1], len(data))
    assert_tiles(decode_alert(data)[0], len(data))
    assert_tiles(decode_change_cipher_spec(data)[0], len(data))
    assert_tiles(decode_data(data), len(data))


@given(
    st.lists(st.tuples(st.sampled_from([*EXTENSIONS, 0x1A1A, 999]), st.binary(max_size=60)), max_size=12),
    st.sampled_from([1, 2, 8, 13, 4]),
)
def test_any_extension_in_any_message_is_tiled(given_: list[tuple[int, bytes]], number: int):
    extensions = vector(2, b"".join(extension(*one) for one in given_))
    bodies = {
        1: b"\3\3" + b"r" * 32 + b"\0" + b"\0\2\x13\x01" + b"\1\0",
        2: b"\3\3" + b"r" * 32 + b"\0" + b"\x13\x01\0",
        8: b"",
        13: b"\0",
        4: bytes(8) + b"\0" + b"\0\1t",
    }
    data = message(number, bodies[number] + extensions)
    _, tree, _ = decode_message(data, version="TLSv1.3", sender="server")
    assert_tiles(tree, len(data))


def test_what_is_wrong_in_an_extension_stays_in_it():
    data = client_hello(extension(0, b"\0\x99broken"), extension(16, vector(2, vector(1, b"h2"))))
    name, tree, fault = decode_message(data, version=None, sender="client")
    assert name == "client_hello"
    assert fault is not None
    assert "server_name_list" in fault
    assert tree.find("undecoded") is not None
    alpn = tree.find("application_layer_protocol_negotiation")
    assert alpn is not None
    assert alpn.text == "h2"


def test_an_extension_that_comes_twice_is_a_fault():
    _, _, fault = decode_message(
        client_hello(extension(23, b""), extension(23, b"")), version=None, sender="client"
    )
    assert fault == "client_hello: extension 23 comes twice"


def test_bytes_behind_a_message_are_a_fault():
    _, tree, fault = decode_message(message(14, b"") + b"more", version="TLSv1.2", sender="server")
    assert fault is not None
    assert "4 more bytes" in fault
    assert_tiles(tree, 8)


GREETING = [
    (0, vector(2, b"\0" + vector(2, b"api.acme.example")), "server_name", "api.acme.example"),
    (1, b"\2", "max_fragment_length", "1024 bytes"),
    (5, b"\1\0\0\0\0", "status_request", "ocsp"),
    (10, vector(2, b"\x11\xec\x00\x1d"), "supported_groups", "X25519MLKEM768, x25519"),
    (11, b"\1\0", "ec_point_formats", "uncompressed"),
    (13, vector(2, b"\x04\x03\x09\x04"), "signature_algorithms", "ecdsa_secp256r1_sha256, mldsa44"),
    (15, b"\1", "heartbeat", ""),
    (
        16,
        vector(2, vector(1, b"h2") + vector(1, b"http/1.1")),
        "application_layer_protocol_negotiation",
        "h2, http/1.1",
    ),
    (17, vector(2, b"\2" + vector(2, b"\0\0\0\0")), "status_request_v2", "ocsp_multi"),
    (18, b"", "signed_certificate_timestamp", "asked for"),
    (19, vector(1, b"\2\0"), "client_certificate_type", ""),
    (21, bytes(17), "padding", "17 bytes"),
    (22, b"", "encrypt_then_mac", "present"),
    (23, b"", "extended_master_secret", "present"),
    (27, vector(1, b"\0\2\0\1"), "compress_certificate", "brotli, zlib"),
    (28, b"\x40\x01", "record_size_limit", "16385 bytes"),
    (34, vector(2, b"\x04\x03"), "delegated_credential", "ecdsa_secp256r1_sha256"),
    (35, b"", "session_ticket", "none yet"),
    (
        41,
        vector(2, vector(2, b"id") + b"\0\0\0\1") + vector(2, vector(1, b"b" * 32)),
        "pre_shared_key",
        "1 offered",
    ),
    (42, b"", "early_data", "present"),
    (43, vector(1, b"\3\4\3\3"), "supported_versions", "TLSv1.3, TLSv1.2"),
    (44, vector(2, b"cookie"), "cookie", "6 bytes"),
    (45, b"\1\1", "psk_key_exchange_modes", "psk_dhe_ke"),
    (
        47,
        vector(2, vector(2, bytes.fromhex("300f310d300b06035504030c0441636d65"))),
        "certificate_authorities",
        "CN=Acme",
    ),
    (48, vector(2, vector(1, b"\x55\x1d\x25") + vector(2, b"v")), "oid_filters", ""),
    (49, b"", "post_handshake_auth", "present"),
    (50, vector(2, b"\x08\x07"), "signature_algorithms_cert", "ed25519"),
    (51, vector(2, b"\x00\x1d" + vector(2, b"k" * 32)), "key_share", "x25519"),
    (57, b"anything", "quic_transport_parameters", "8 bytes"),
    (17513, vector(2, vector(1, b"h2")), "application_settings_old", "h2"),
    (65037, b"\0\0\1\0\1\7" + vector(2, b"e") + vector(2, b"p"), "encrypted_client_hello", "outer"),
    (65281, b"\0", "renegotiation_info", "initial"),
    (0x3A3A, b"\0", "grease", "1 bytes"),
    (4242, b"xyz", "extension_4242", "3 bytes"),
    (14, vector(2, b"\0\1") + b"\0", "use_srtp", ""),
]


@pytest.mark.parametrize(("number", "data", "name", "text"), GREETING, ids=[row[2] for row in GREETING])
def test_each_extension_of_a_client_hello_is_told(number: int, data: bytes, name: str, text: str):
    _, tree, fault = decode_message(client_hello(extension(number, data)), version=None, sender="client")
    assert fault is None
    found = tree.find(name)
    assert found is not None
    assert found.text == text
    assert tree.find("undecoded") is None


def test_a_hello_retry_request_is_told_from_a_server_hello():
    body = b"\3\3%b\0\x13\x01\0" + vector(2, extension(43, b"\3\4") + extension(51, b"\0\x17"))
    retry = message(2, body.replace(b"%b", RETRY_RANDOM))
    name, tree, fault = decode_message(retry, version=None, sender="server")
    assert (name, fault) == ("hello_retry_request", None)
    group = tree.find("selected_group")
    assert group is not None
    assert group.text == "secp256r1 (0x0017)"
    shared = extension(43, b"\3\4") + extension(51, b"\0\x1d" + vector(2, b"k" * 32)) + extension(41, b"\0\0")
    hello = message(2, b"\3\3" + b"r" * 32 + b"\0\x13\x02\0" + vector(2, shared))
    name, tree, fault = decode_message(hello, version=None, sender="server")
    assert (name, fault) == ("server_hello", None)
    assert tree.find("selected_version").text == "TLSv1.3 (0x0304)"  # type: ignore[union-attr]


ECDHE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
REST = [
    (0, b"", None, None, "hello_request", None),
    (
        4,
        bytes(4) + b"\0\0\0\1" + b"\1n" + b"\0\1t" + vector(2, extension(42, b"\0\0\x40\0")),
        "TLSv1.3",
        None,
        "new_session_ticket",
        "max_early_data_size",
    ),
    (
        4,
        b"\0\0\x1c\x20" + vector(2, b"ticket"),
        "TLSv1.2",
        None,
        "new_session_ticket",
        "ticket_lifetime_hint",
    ),
    (5, b"", "TLSv1.3", None, "end_of_early_data", None),
    (8, b"\0\0", "TLSv1.3", None, "encrypted_extensions", "extensions_length"),
    (
        11,
        b"\0" + vector(3, vector(3, b"der") + vector(2, extension(5, b"\1" + vector(3, b"ocsp")))),
        "TLSv1.3",
        None,
        "certificate",
        "ocsp_response",
    ),
    (11, vector(3, vector(3, b"der")), "TLSv1.2", None, "certificate", "asn1_cert"),
    (
        12,
        b"\3\0\x1d" + vector(1, b"k" * 32) + b"\4\3" + vector(2, b"sig"),
        "TLSv1.2",
        ECDHE,
        "server_key_exchange",
        "named_curve",
    ),
    (
        12,
        vector(2, b"p") + vector(2, b"g") + vector(2, b"y") + b"\4\1" + vector(2, b"s"),
        "TLSv1.2",
        "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
        "server_key_exchange",
        "dh_p",
    ),
    (
        13,
        b"\1c" + vector(2, extension(13, vector(2, b"\4\3"))),
        "TLSv1.3",
        None,
        "certificate_request",
        "signature_scheme",
    ),
    (
        13,
        vector(1, b"\1\x40") + vector(2, b"\4\3") + vector(2, vector(2, b"0\0")),
        "TLSv1.2",
        None,
        "certificate_request",
        "certificate_type",
    ),
    (14, b"", "TLSv1.2", None, "server_hello_done", None),
    (15, b"\4\3" + vector(2, b"sig"), "TLSv1.3", None, "certificate_verify", "signature"),
    (16, vector(1, b"k" * 32), "TLSv1.2", ECDHE, "client_key_exchange", "ecdh_yc"),
    (16, vector(2, b"y"), "TLSv1.2", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "client_key_exchange", "dh_yc"),
    (
        16,
        vector(2, b"pms"),
        "TLSv1.2",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "client_key_exchange",
        "encrypted_pre_master_secret",
    ),
    (20, b"v" * 12, "TLSv1.2", None, "finished", "verify_data"),
    (22, b"\1" + vector(3, b"ocsp"), "TLSv1.2", None, "certificate_status", "ocsp_response"),
    (24, b"\1", "TLSv1.3", None, "key_update", "request_update"),
    (
        25,
        b"\0\1" + b"\0\0\4" + vector(3, zlib.compress(b"\0\0\0\0")),
        "TLSv1.3",
        None,
        "compressed_certificate",
        "uncompressed_length",
    ),
    (67, vector(1, b"h2") + vector(1, b"pad"), "TLSv1.2", None, "next_protocol", "selected_protocol"),
    (254, b"h" * 32, "TLSv1.3", None, "message_hash", "hash"),
    (99, b"xyz", "TLSv1.3", None, "message_99", "body"),
]


@pytest.mark.parametrize(("number", "body", "version", "suite", "name", "field"), REST)
def test_each_message_is_told(
    number: int, body: bytes, version: str | None, suite: str | None, name: str, field: str | None
):
    data = message(number, body)
    found, tree, fault = decode_message(data, version=version, sender="server", cipher_suite=suite)
    assert (found, fault) == (name, None)
    assert tree.find("undecoded") is None
    assert field is None or tree.find(field) is not None
    assert_tiles(tree, len(data))


@pytest.mark.parametrize(
    "packed", [b"no zlib at all", zlib.compress(b"x" * 10_000_000), zlib.compress(b"four")]
)
def test_a_compressed_certificate_that_lies_about_its_size_is_a_fault(packed: bytes):
    """RFC 8879 §4: and a bomb is opened no further than what it announces."""
    data = message(25, b"\0\1\0\0\5" + vector(3, packed))
    _, tree, fault = decode_message(data, version="TLSv1.3", sender="server")
    assert fault is not None
    assert fault.startswith("compressed_certificate")
    assert_tiles(tree, len(data))


def test_a_name_that_does_not_decode_is_shown_as_it_is():
    for der in (b"\x30\x80", b"\x30\x03abc", b"", b"\x30\x06\x31\x04\x30\x02\x06\x00"):
        data = message(13, b"\0" + vector(2, extension(47, vector(2, vector(2, der)))))
        _, tree, _ = decode_message(data, version="TLSv1.3", sender="server")
        assert_tiles(tree, len(data))
        name = tree.find("distinguished_name")
        assert (name.text if name else der.hex()) == der.hex()


def test_an_alert_is_told_by_its_name():
    tree, fault = decode_alert(b"\2\x30")
    assert (tree.text, fault) == ("unknown_ca", None)
    assert decode_alert(b"\2")[1] is not None
    assert decode_change_cipher_spec(b"\1")[1] is None
