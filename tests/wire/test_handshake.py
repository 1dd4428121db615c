"""Hellos and certificate requests as facts: real ones byte by byte, broken ones as typed errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tls.conftest import Pki, pki, shake
from twoway.tls import ClientContext, ClientSettings, ServerContext, ServerSettings, Session
from twoway.tls.tap import Tap, make_tappable
from twoway.wire.handshake import (
    read_certificate_request,
    read_client_hello,
    read_message,
    read_server_hello,
)
from twoway.wire.peek import NeedMore, server_name_of
from twoway.wire.reader import Malformed
from twoway.wire.tables import GROUPS, named

__all__ = ["pki"]
VECTORS = Path(__file__).parent / "vectors" / "rfc8448.json"


def recorded(pki: Pki, **client: Any) -> dict[str, bytes]:
    """The bodies of a real handshake's messages by name, seen from the client."""
    context = ClientContext(ClientSettings(pki.client, **client))
    make_tappable(context)
    session = Session(context, server_name="api.acme.example")
    tap = Tap(session)
    outcome = shake(session, Session(ServerContext(ServerSettings(pki.server))))
    assert outcome.server_error is None
    messages = [read_message(one.data) for one in tap.messages if one.content_type == 22]
    return {message.name: message.body for message in reversed(messages)}


def test_a_real_client_hello_tells_what_is_offered(pki: Pki):
    hello = read_client_hello(recorded(pki)["client_hello"])
    assert hello.versions == ("TLSv1.3", "TLSv1.2")
    assert hello.server_name == "api.acme.example"
    assert hello.alpn == ("http/1.1",)
    assert hello.cipher_suites[0] == "TLS_AES_256_GCM_SHA384"
    assert hello.key_shares == ("X25519MLKEM768", "x25519")
    assert set(hello.key_shares) <= set(hello.groups)
    assert "mldsa65" in hello.signature_schemes
    assert not hello.offers_session
    unnamed = [
        n for n in (*hello.groups, *hello.cipher_suites, *hello.signature_schemes) if n.startswith("0x")
    ]
    assert unnamed == []


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_a_real_answer_tells_what_was_chosen(pki: Pki, version: str):
    bodies = recorded(pki, maximum_version=version)
    answer = read_server_hello(bodies["server_hello"])
    assert answer.version == version
    assert answer.group == ("X25519MLKEM768" if version == "TLSv1.3" else None)
    assert not answer.retry
    request = read_certificate_request(bodies["certificate_request"], version)
    assert request.authorities == (pki.root.certificate.subject.public_bytes(),)
    assert "ecdsa_secp256r1_sha256" in request.signature_schemes


def _vectors() -> list[tuple[str, str, bytes]]:
    """Section, field and bytes of every hello and certificate request in the traces."""
    found = []
    for section, events in json.loads(VECTORS.read_text())["sections"].items():
        for event in events:
            for field, text in event["fields"].items():
                if field in ("ClientHello", "ServerHello", "CertificateRequest"):
                    found.append((section, field, bytes.fromhex(text)))
    return found


def test_the_traces_of_rfc_8448_decode():
    """RFC 8448 §3-§7: published handshakes, client authentication included."""
    seen = set()
    for section, field, data in _vectors():
        # One trace cuts the first hello before its binders, which are computed over what stands before them.
        cut = int.from_bytes(data[1:4], "big") != len(data) - 4
        if cut:
            continue
        message = read_message(data)
        seen.add((section[0], field))
        if field == "ClientHello":
            hello = read_client_hello(message.body)
            assert "TLSv1.3" in hello.versions
            assert hello.server_name == "server"
            assert hello.offers_session == (section[0] == "4")
        elif field == "CertificateRequest":
            assert (
                "ecdsa_secp256r1_sha256"
                in read_certificate_request(message.body, "TLSv1.3").signature_schemes
            )
        else:
            answer = read_server_hello(message.body)
            assert answer.version == "TLSv1.3"
            if answer.retry:
                seen.add((section[0], "HelloRetryRequest"))
            assert answer.resumes == (section[0] == "4")
    assert {
        ("3", "ClientHello"),
        ("4", "ServerHello"),
        ("5", "HelloRetryRequest"),
        ("6", "CertificateRequest"),
    } <= seen


def test_every_cut_of_a_real_message_is_malformed_with_its_place(pki: Pki):
    body = recorded(pki)["client_hello"]
    for length in range(0, len(body), 7):
        with pytest.raises(Malformed) as caught:
            read_client_hello(body[:length])
        assert 0 <= caught.value.offset <= length
    with pytest.raises(Malformed, match="the end"):
        read_client_hello(body + b"\0")


_HELLO = bytes.fromhex("0303" + "11" * 32 + "00" + "00021301" + "0100" + "0000")


@given(st.binary(max_size=300))
def test_any_bytes_are_facts_or_malformed(data: bytes):
    for read in (
        read_message,
        read_client_hello,
        read_server_hello,
        lambda one: read_certificate_request(one, "TLSv1.3"),
        lambda one: read_certificate_request(one, "TLSv1.2"),
    ):
        try:
            read(data)  # type: ignore[operator]
        except Malformed as fault:
            assert fault.offset <= len(data)


def test_an_extension_that_comes_twice_is_malformed():
    """RFC 8446 §4.2."""
    twice = bytes.fromhex("002b0003020304") * 2
    body = _HELLO[:-2] + len(twice).to_bytes(2, "big") + twice
    with pytest.raises(Malformed, match="again"):
        read_client_hello(body)


def test_names_of_numbers():
    assert named(GROUPS, 0x11EC) == "X25519MLKEM768"
    assert named(GROUPS, 0x1A1A) == "GREASE"
    assert named(GROUPS, 0x4242) == "0x4242"


# -- the server name, out of bytes that may not all be there ------------------------------------------


def records(pki: Pki, name: str | None = "api.acme.example") -> bytes:
    session = Session(ClientContext(ClientSettings(pki.client)), server_name=name)
    session.advance()
    return session.outgoing()


def test_the_server_name_is_found_as_soon_as_the_hello_is_whole(pki: Pki):
    data = records(pki)
    answers = [server_name_of(data[:length]) for length in range(len(data) + 1)]
    assert answers[-1] == "api.acme.example"
    assert set(answers[:-1]) == {NeedMore}


def test_a_hello_without_a_name_has_none(pki: Pki):
    assert server_name_of(records(pki, "192.0.2.1")) is None


def test_a_hello_in_many_records_is_put_together(pki: Pki):
    data = records(pki)
    message = data[5:]
    pieces = b"".join(
        b"\x16\x03\x01" + len(message[i : i + 50]).to_bytes(2, "big") + message[i : i + 50]
        for i in range(0, len(message), 50)
    )
    assert server_name_of(pieces) == "api.acme.example"


@given(st.binary(max_size=200))
def test_looking_for_a_name_never_fails(data: bytes):
    found = server_name_of(b"\x16\x03\x01" + data)
    assert found is NeedMore or found is None or isinstance(found, str)
