"""In which of the five steps a message is."""

from __future__ import annotations

from twoway.explainer.gathered import Gathered
from twoway.steps import Step
from twoway.wire.events import Epoch

_HELLO = frozenset({"client_hello", "hello_retry_request", "hello_request"})
_TICKET = "new_session_ticket"


def step_of(index: int, facts: Gathered) -> Step:
    """The step of the message at `index`; an alert belongs to the check that it answers."""
    message = facts.messages[index]
    if message.kind == "alert":
        return _step_of_alert(index, facts)
    if message.kind == "not_tls":
        return Step.HELLO if index == 0 else Step.SERVER_SHOWS
    if message.kind == "application_data":
        # RFC 8446 §2.3: early data rides with the hello, before anybody has been checked.
        return Step.HELLO if message.epoch is Epoch.EARLY else Step.TALK
    if message.name in _HELLO:
        # A hello behind the handshake was declined; one that was answered begins a story of its own.
        return Step.TALK if _client_has_finished(index, facts) else Step.HELLO
    if message.kind == "encrypted":
        return _step_of_encrypted(index, facts)
    if message.name == "key_update":
        return Step.TALK
    if message.sender == "client":
        return Step.CLIENT_CHECKS
    if index in facts.asked_later:
        return Step.SERVER_SHOWS
    return (
        Step.SERVER_CHECKS
        if _client_has_finished(index, facts) or _ends_in_12(index, facts)
        else Step.SERVER_SHOWS
    )


def _step_of_alert(index: int, facts: Gathered) -> Step:
    message = facts.messages[index]
    if facts.alert != index:
        return Step.TALK if facts.finished else Step.CLIENT_CHECKS
    if _talks_before(index, facts):
        return Step.TALK
    if message.sender == "client":
        return Step.CLIENT_CHECKS
    answered = any(
        m.sender == "client" and m.name in ("finished", "certificate")
        for m in facts.messages[facts.asked_before(index) : index]
    )
    if answered:
        return Step.SERVER_CHECKS
    # Before the client has shown itself a server can only dislike the hello, or a broken message.
    return Step.HELLO if facts.answer is None else Step.SERVER_SHOWS


def _talks_before(index: int, facts: Gathered) -> bool:
    """Whether the server has already let the client in: its application data came first."""
    since = facts.messages[facts.asked_before(index) : index]
    return any(m.kind == "application_data" and m.sender == "server" for m in since)


def _client_has_finished(index: int, facts: Gathered) -> bool:
    finished = facts.place("client", "finished")
    return finished is not None and finished < index


def _ends_in_12(index: int, facts: Gathered) -> bool:
    """In TLS 1.2 a server answers the client's last message with these, unless it resumes."""
    name = facts.messages[index].name
    ends = name in (_TICKET, "change_cipher_spec", "finished")
    return ends and facts.version == "TLSv1.2" and facts.place("server", "server_hello_done") is not None


def _step_of_encrypted(index: int, facts: Gathered) -> Step:
    """Without keys: what TLS 1.3 sends before the client's first encrypted record is the server's showing."""
    message = facts.messages[index]
    ours = next(
        (i for i, m in enumerate(facts.messages) if m.sender == "client" and m.kind == "encrypted"), None
    )
    if message.sender == "server":
        return Step.SERVER_SHOWS if ours is None or index < ours else Step.TALK
    return Step.CLIENT_CHECKS if index == ours else Step.TALK
