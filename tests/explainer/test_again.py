"""Who the client is, asked a second time: TLS 1.2 anew, TLS 1.3 afterwards, and certificates that are compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.explainer.conftest import Told
from tests.pki import Issuer
from tests.wire.again import Recorded, asked_later, renegotiated
from tests.wire.test_messages import message, vector
from twoway.credential import certificate_pem
from twoway.explainer.captured import handshakes_in
from twoway.explainer.json_face import as_dict
from twoway.explainer.ladder_svg import as_svg
from twoway.explainer.page import as_html
from twoway.explainer.passages import passages
from twoway.explainer.telling import Knowledge, tell
from twoway.explainer.terminal import Terminal
from twoway.explainer.transcript import Transcript
from twoway.steps import Step
from twoway.wire.events import WireMessage
from twoway.wire.keylog import Keylog
from twoway.wire.messages import decode_message
from twoway.wire.pcapng_writer import write_recording

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROOT = Issuer.root("Acme Root")
SERVER = ROOT.leaf("localhost", dns=("localhost",), purpose="server")
CLIENT = ROOT.leaf("orders")


def captured(recorded: Recorded) -> list[Transcript]:
    chunks = [(sender, data, 1000 * at) for at, (sender, data) in enumerate(recorded.chunks)]
    file = write_recording(
        chunks, ("127.0.0.1", 20000), ("127.0.0.1", 443), began=NOW, secrets=recorded.secrets
    )
    return list(handshakes_in(BytesIO(file), Keylog()))


@pytest.fixture
def later(tmp_path: Path) -> Recorded:
    SERVER.save(tmp_path / "server")
    CLIENT.save(tmp_path / "client")
    (tmp_path / "ca.pem").write_bytes(certificate_pem(ROOT.certificate))
    return asked_later(tmp_path / "server", tmp_path / "client", tmp_path / "ca.pem", tmp_path / "keys.log")


def steps(told: Transcript) -> list[tuple[int, list[str]]]:
    return [(int(one.step), [m.wire.name for _, m in one.messages]) for one in passages(told)]


def test_two_handshakes_of_one_connection_are_two_stories():
    """RFC 5246 §7.4.1: the first is one-way, the second mutual, and each proof verifies over its own messages."""
    first, second = captured(renegotiated(SERVER, CLIENT))
    assert (first.outcome, second.outcome) == ("one_way", "mutual")
    assert (first.renegotiated, second.renegotiated) == (False, True)
    assert second.verdict.endswith("renegotiated)")
    for told in (first, second):
        assert told.sides[0].because.endswith("its signature over the handshake verifies")
    assert second.sides[1].because.endswith("its signature over the handshake verifies")
    assert first.notes[-1].startswith("handshake 1 of 2 of this connection")
    assert second.messages[0].sentence == "the server asks the client to shake hands anew"
    assert second.messages[1].sentence.startswith(
        "the client asks to shake hands anew, under the keys they have"
    )
    assert first.failure is second.failure is None
    assert sum(len(told.messages) for told in (first, second)) == len(renegotiated(SERVER, CLIENT).messages())


def test_a_second_handshake_without_a_certificate_is_told_so():
    _, second = captured(renegotiated(SERVER, None))
    assert second.outcome == "one_way"
    assert "was asked and showed no certificate" in second.verdict


def test_a_declined_request_is_part_of_the_first_story():
    """RFC 5246 §7.2.2: it is a warning; nobody was refused by it."""
    (told,) = captured(renegotiated(SERVER, CLIENT, refused=True))
    sentences = [m.sentence for m in told.messages if m.wire.kind == "alert"]
    assert sentences[0] == "the client declines to shake hands anew; both go on under the keys they have"
    assert told.sides[0].because.endswith("its signature over the handshake verifies")
    assert next(m.step for m in told.messages if m.wire.name == "hello_request") is Step.TALK


def test_a_certificate_asked_for_afterwards_is_told_where_it_came(later: Recorded):
    """RFC 8446 §4.6.2: steps two to five once more, in the order in which they went, and the proof verifies."""
    (told,) = captured(later)
    assert told.outcome == "mutual"
    assert told.verdict.endswith("the client asked afterwards)")
    assert told.sides[1].because.endswith("its signature over the handshake verifies")
    assert steps(told)[4:] == [
        (5, ["application_data"]),
        (2, ["certificate_request"]),
        (3, ["certificate", "certificate_verify", "finished"]),
        (4, ["new_session_ticket", "new_session_ticket"]),
        (5, ["application_data"]),
    ]
    assert as_dict(told)["asked_later"] == list(told.asked_later) != []
    assert told.messages[told.asked_later[0]].sentence.startswith(
        "the server asks the client, now that both talk,"
    )


def test_the_faces_draw_what_came_later_below_what_came_before(later: Recorded):
    (told,) = captured(later)
    for face in (Terminal().draw(told), as_html(told, now=NOW), as_svg(told)):
        talked = face.index("both talk in secret")
        asked = face.index("the server asks afterwards who the client is")
        assert talked < asked < face.index("the server believes the client")


def test_a_refusal_of_what_was_shown_later_is_in_the_fourth_step(later: Recorded):
    messages = later.messages()
    at = max(i for i, m in enumerate(messages) if m.name == "finished")
    alert = next(iter(told_alert(48)))
    told = tell(
        [*messages[: at + 1], alert], Knowledge("client", "server", ending="closed", ended_by="server")
    )
    assert told.outcome == "refused"
    assert told.failure is not None
    assert (told.failure.step, told.failure.evidence["alert"]) == (Step.SERVER_CHECKS, "unknown_ca")
    assert told.client_done_after == at


def told_alert(number: int) -> Sequence[WireMessage]:
    from twoway.wire.events import Epoch
    from twoway.wire.messages import decode_alert

    data = bytes((2, number))
    tree, fault = decode_alert(data)
    yield WireMessage("server", "alert", "alert", None, 9000, Epoch.APPLICATION, 24, data, tree, fault)


# ecdsa-with-SHA256 (RFC 5758 §3.2), and the same with a last arc that nobody registered.
ECDSA, NOBODYS = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040309")


def test_a_signature_algorithm_that_nobody_knows_is_told_by_its_number(told: Told):
    messages = [m.wire for m in told.mutual.messages]
    strange = [
        replace(m, data=m.data.replace(ECDSA, NOBODYS)) if m.name == "certificate" else m for m in messages
    ]
    again = tell(strange, Knowledge("client", "server"))
    for side in again.sides:
        assert side.chain[0].signature == "unknown (1.2.840.10045.4.3.9)"
        assert side.chain[0].mark != "ok"


# -- compressed certificates -------------------------------------------------------------------------------


def compressed(one: WireMessage, algorithm: int = 1) -> WireMessage:
    body = one.data[4:]
    packed = zlib.compress(body)
    data = message(25, algorithm.to_bytes(2, "big") + len(body).to_bytes(3, "big") + vector(3, packed))
    name, tree, fault = decode_message(data, version="TLSv1.3", sender=one.sender)
    return replace(one, name=name, number=25, data=data, tree=tree, fault=fault)


def squeezed(told: Transcript, algorithm: int = 1) -> Transcript:
    messages = [
        m.wire if m.wire.name != "certificate" else compressed(m.wire, algorithm) for m in told.messages
    ]
    return tell(messages, Knowledge("client", "server"))


def test_a_compressed_chain_is_shown_like_any_other(told: Told):
    """RFC 8879 §4. What was signed is another transcript now, so the proofs of this made-up one do not verify."""
    again = squeezed(told.mutual)
    for side, plain in zip(again.sides, told.mutual.sides, strict=True):
        assert [one.subject for one in side.chain] == [
            one.subject for one in plain.chain if one.role != "anchor"
        ]
    sentence = next(m.sentence for m in again.messages if m.wire.name == "compressed_certificate")
    assert "shows who it is: api.acme.example" in sentence
    assert "(compressed to " in sentence
    assert x509.load_der_x509_certificate(again.sides[0].chain[0].der).public_bytes(Encoding.DER)


def test_a_chain_that_cannot_be_opened_is_said_to_be_there(told: Told):
    again = squeezed(told.mutual, algorithm=99)
    assert again.sides[0].chain == ()
    assert again.sides[0].because == "its certificate could not be opened here"
    assert any("algorithm 99, which nothing installed here opens" in note for note in again.notes)
    assert again.outcome != "mutual"
    sentence = next(m.sentence for m in again.messages if m.wire.name == "compressed_certificate")
    assert sentence.endswith("compressed with algorithm 99, which nothing installed here opens")
