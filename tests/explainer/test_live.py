"""A real handshake, told: what was said, who was believed, and where and why it ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from tests.explainer.conftest import Told
from tests.tls.conftest import Pki
from twoway.errors import UsageError
from twoway.explainer.explanation import explain
from twoway.explainer.live import address_of, watch
from twoway.explainer.transcript import Transcript
from twoway.steps import Step
from twoway.tls import ConnectFailed
from twoway.wire.events import Epoch

MUTUAL = [
    ("client", "client_hello", 1),
    ("server", "server_hello", 2),
    ("server", "change_cipher_spec", 2),
    ("server", "encrypted_extensions", 2),
    ("server", "certificate_request", 2),
    ("server", "certificate", 2),
    ("server", "certificate_verify", 2),
    ("server", "finished", 2),
    ("client", "change_cipher_spec", 3),
    ("client", "certificate", 3),
    ("client", "certificate_verify", 3),
    ("client", "finished", 3),
    ("server", "new_session_ticket", 4),
]


def messages(transcript: Transcript) -> list[tuple[str, str, int]]:
    return [(m.wire.sender, m.wire.name, int(m.step)) for m in transcript.messages]


def test_a_mutual_handshake_is_told_message_by_message(told: Told):
    mutual = told.mutual
    assert messages(mutual)[: len(MUTUAL)] == MUTUAL
    assert mutual.outcome == "mutual"
    assert (mutual.version, mutual.group, mutual.resumed) == ("TLSv1.3", "X25519MLKEM768", False)
    assert (mutual.server_name, mutual.alpn) == ("localhost", "http/1.1")
    assert mutual.verdict.startswith(
        "2-way TLS: orders and api.acme.example proved to each other who they are"
    )
    assert mutual.failure is None
    assert mutual.ghosts == ()
    assert all(m.sentence for m in mutual.messages)


def test_both_proofs_are_verified_again_from_the_bytes(told: Told):
    """RFC 8446 §4.4.3: what each side signs, computed from the messages, fits its signature and its key."""
    for transcript in (told.mutual, told.mutual12):
        for side in transcript.sides:
            assert side.mark == "ok"
            assert side.signed
            assert side.because.endswith("its signature over the handshake verifies")
            assert side.signature_scheme == "ecdsa_secp256r1_sha256"
    assert told.mutual.sides[1].signed.startswith(b" " * 64 + b"TLS 1.3, client CertificateVerify\0")


def test_a_proof_that_does_not_fit_is_told(told: Told):
    from dataclasses import replace

    from twoway.explainer.telling import Knowledge, tell

    wires = [m.wire for m in told.mutual.messages]
    place = next(i for i, w in enumerate(wires) if w.sender == "client" and w.name == "certificate_verify")
    wires[place] = replace(wires[place], data=wires[place].data[:-1] + bytes([wires[place].data[-1] ^ 1]))
    again = tell(wires, Knowledge("client", "server"))
    assert again.sides[1].mark == "bad"
    assert "does not hold the key" in again.sides[1].because


def test_the_trust_lane_lights_in_order(told: Told):
    server, client = told.mutual.sides
    assert server.checked_after is not None
    assert client.checked_after is not None
    assert told.mutual.messages[server.checked_after].wire.name == "finished"
    assert server.checked_after < client.checked_after


def test_the_chains_have_a_verdict_for_each_link(told: Told):
    server, client = told.mutual.sides
    assert [(link.role, link.mark) for link in server.chain] == [
        ("leaf", "ok"),
        ("intermediate", "ok"),
        ("anchor", "ok"),
    ]
    assert server.chain[0].names == ("api.acme.example", "localhost")
    assert "which the other side says it accepts" in client.chain[-1].because


@pytest.mark.parametrize("which", ["stranger", "stranger12"])
def test_a_stranger_is_told_where_why_and_what_to_change(told: Told, which: str):
    stranger: Transcript = getattr(told, which)
    failure = stranger.failure
    assert failure is not None
    assert stranger.outcome == "refused"
    assert (failure.code, failure.blame, failure.step) == ("unknown_authority", "client", Step.SERVER_CHECKS)
    assert "Other Root" in failure.summary
    assert "Acme Root" in failure.summary
    assert stranger.ended_at is not None
    assert stranger.messages[stranger.ended_at].wire.name == "alert"
    assert stranger.ghosts[-1].name == "application_data"
    assert stranger.sides[0].mark == "ok"
    assert stranger.sides[1].mark == "bad"


def test_in_tls_1_3_the_client_thinks_it_is_done_before_it_is_refused(told: Told):
    assert told.stranger.client_done_after is not None
    assert told.stranger.ended_at is not None
    assert told.stranger.client_done_after < told.stranger.ended_at
    assert told.stranger.messages[told.stranger.ended_at].wire.epoch is Epoch.APPLICATION
    assert told.stranger12.client_done_after is None


def test_a_client_without_a_certificate_is_told_that_one_was_wanted(told: Told):
    failure = told.nobody.failure
    assert failure is not None
    assert failure.code == "no_certificate"
    assert failure.also_possible
    assert [wish.mark for wish in told.nobody.request or ()] == ["bad", "bad"]


def test_one_way_is_told_from_asked_and_not_shown(told: Told):
    assert told.one_way.outcome == told.asked.outcome == "one_way"
    assert told.one_way.request is None
    assert "was not asked who it is" in told.one_way.verdict
    assert "was asked and showed no certificate" in told.asked.verdict


def test_a_server_that_we_refuse_is_told_as_our_refusal(told: Told):
    failure = told.distrusted.failure
    assert failure is not None
    assert (failure.code, failure.blame, failure.step) == ("unknown_authority", "server", Step.CLIENT_CHECKS)
    assert told.distrusted.sides[0].mark == "bad"
    assert told.distrusted.ghosts[0].name == "certificate"


def test_the_sum_of_all_messages_is_what_travelled(told: Told):
    for transcript in told:
        assert all(m.wire.fault is None for m in transcript.messages)
        assert not any(m.wire.kind == "encrypted" for m in transcript.messages)


def test_an_explanation_prints_itself(told: Told, pki: Pki, request: pytest.FixtureRequest):
    from tests.server.conftest import Ledger, tell
    from twoway.server import background

    with background(tell, identity=pki.server, journal=Ledger()) as server:
        told_again = explain(f"localhost:{server.port}", identity=pki.client)
    assert told_again.mutual
    assert str(told_again).startswith("✓ 2-way TLS")
    assert told_again.as_dict()["outcome"] == "mutual"
    assert told_again.html().startswith("<!doctype html>")
    assert told_again.svg().startswith("<svg")


@pytest.fixture
def answering() -> object:
    threads: list[threading.Thread] = []

    def start(answer: bytes, *, reset: bool = False) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, listener.accept()[0] as sock:
                sock.recv(4096)
                if answer:
                    sock.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(10)


def test_a_server_that_speaks_no_tls_is_told(pki: Pki, answering: Callable[..., int]):
    port = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    transcript = watch(f"localhost:{port}", identity=pki.client, trust=pki.trust)
    assert transcript.failure is not None
    assert transcript.failure.code == "not_tls"
    assert transcript.messages[-1].wire.kind == "not_tls"
    assert "HTTP/1.1 400" in transcript.messages[-1].sentence


def test_a_server_that_hangs_up_on_the_hello_is_told(pki: Pki, answering: Callable[..., int]):
    transcript = watch(f"localhost:{answering(b'')}", identity=pki.client, trust=pki.trust)
    assert transcript.outcome == "failed"
    assert transcript.failure is not None
    assert transcript.failure.code in ("connection_cut", "closed_silently")
    assert transcript.failure.step is Step.HELLO


def test_nobody_there_is_an_error_and_no_story(pki: Pki, unused_port: int):
    with pytest.raises(ConnectFailed):
        watch(f"localhost:{unused_port}", identity=pki.client, trust=pki.trust)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("api.acme.example:8443", ("api.acme.example", 8443)),
        ("api.acme.example", ("api.acme.example", 443)),
        ("https://api.acme.example:1/x", ("api.acme.example", 1)),
        ("[::1]:8443", ("::1", 8443)),
        ("[::1]", ("::1", 443)),
    ],
)
def test_a_target_is_read_as_people_write_it(text: str, address: tuple[str, int]):
    assert address_of(text) == address


@pytest.mark.parametrize("text", ["", ":1", "host:", "host:0", "host:70000", "host:abc"])
def test_a_target_that_is_none_says_how_to_write_one(text: str):
    with pytest.raises(UsageError) as caught:
        address_of(text)
    assert caught.value.remedy
