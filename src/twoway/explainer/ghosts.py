"""What should have followed, had nobody refused: the rest of the ladder."""

from __future__ import annotations

from twoway.explainer.gathered import Gathered
from twoway.explainer.transcript import Ghost
from twoway.steps import Step
from twoway.wire.events import Sender

_Row = tuple[Sender, str, Step, str]

# RFC 8446 §2, figure 1, and what a server sends when it has believed the client.
_FULL_13: tuple[_Row, ...] = (
    ("client", "client_hello", Step.HELLO, "the client asks"),
    ("server", "server_hello", Step.SERVER_SHOWS, "the server chooses"),
    ("server", "encrypted_extensions", Step.SERVER_SHOWS, "the server answers the rest of the hello"),
    ("server", "certificate_request", Step.SERVER_SHOWS, "the server asks for the client's certificate"),
    ("server", "certificate", Step.SERVER_SHOWS, "the server shows who it is"),
    ("server", "certificate_verify", Step.SERVER_SHOWS, "the server proves it"),
    ("server", "finished", Step.SERVER_SHOWS, "the server confirms"),
    ("client", "certificate", Step.CLIENT_CHECKS, "the client shows who it is"),
    ("client", "certificate_verify", Step.CLIENT_CHECKS, "the client proves it"),
    ("client", "finished", Step.CLIENT_CHECKS, "the client confirms"),
    ("server", "new_session_ticket", Step.SERVER_CHECKS, "the server has believed the client"),
    ("client", "application_data", Step.TALK, "both talk"),
)
# RFC 5246 §7.3, figure 1.
_FULL_12: tuple[_Row, ...] = (
    ("client", "client_hello", Step.HELLO, "the client asks"),
    ("server", "server_hello", Step.SERVER_SHOWS, "the server chooses"),
    ("server", "certificate", Step.SERVER_SHOWS, "the server shows who it is"),
    ("server", "server_key_exchange", Step.SERVER_SHOWS, "the server proves it"),
    ("server", "certificate_request", Step.SERVER_SHOWS, "the server asks for the client's certificate"),
    ("server", "server_hello_done", Step.SERVER_SHOWS, "the server has said all"),
    ("client", "certificate", Step.CLIENT_CHECKS, "the client shows who it is"),
    ("client", "client_key_exchange", Step.CLIENT_CHECKS, "the client sends its half of the key"),
    ("client", "certificate_verify", Step.CLIENT_CHECKS, "the client proves it"),
    ("client", "change_cipher_spec", Step.CLIENT_CHECKS, "the client encrypts from here on"),
    ("client", "finished", Step.CLIENT_CHECKS, "the client confirms"),
    ("server", "change_cipher_spec", Step.SERVER_CHECKS, "the server encrypts from here on"),
    ("server", "finished", Step.SERVER_CHECKS, "the server has believed the client"),
    ("client", "application_data", Step.TALK, "both talk"),
)
_REQUEST = ("server", "certificate_request")
_CLIENT_SHOWS = {("client", "certificate"), ("client", "certificate_verify")}


def ghosts_of(facts: Gathered, ended_at: int | None) -> tuple[Ghost, ...]:
    """The messages of a full handshake that are missing behind `ended_at`; none where that cannot be said."""
    if ended_at is None or facts.encrypted or facts.resumed:
        return ()
    rows = _FULL_12 if facts.version == "TLSv1.2" else _FULL_13
    came = {(m.sender, m.name) for m in facts.messages[: ended_at + 1]}
    last = max((i for i, row in enumerate(rows) if row[:2] in came), default=-1)
    asked = _REQUEST in came or facts.version is None
    shows = facts.chains.get("client") != ()
    return tuple(
        Ghost(*row)
        for row in rows[last + 1 :]
        if not (row[:2] in _CLIENT_SHOWS and not (asked and shows)) and row[:2] not in came
    )
