"""From the messages of one connection to its Transcript: the steps, who was believed, how it ended and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509

from twoway.errors import TwowayError
from twoway.explainer.chains import links_of
from twoway.explainer.checklist import wishes
from twoway.explainer.failing import failure_of
from twoway.explainer.gathered import Gathered
from twoway.explainer.ghosts import ghosts_of
from twoway.explainer.sentences import sentence_of
from twoway.explainer.signed import signed_by, verifies
from twoway.explainer.steps import step_of
from twoway.explainer.transcript import Failure, Mark, Message, Outcome, Side, Transcript
from twoway.tls.alerts import name_of
from twoway.trust import Trust
from twoway.wire.events import Epoch, Sender, WireMessage

Ending = Literal["open", "closed", "reset", "timeout"]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known about a connection besides its bytes.

    `us` is the side we were ourselves, with `fault` what we raised; `ending` how the transport ended, `ended_by`
    who did that. The trusts, where known, are whom each side believes. `renegotiated` says that an earlier handshake
    of the same connection protects this one.
    """

    client: str
    server: str
    began: datetime | None = None
    client_trust: Trust | None = None
    server_trust: Trust | None = None
    us: Sender | None = None
    fault: TwowayError | None = None
    ending: Ending = "open"
    ended_by: Sender | None = None
    keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    renegotiated: bool = False


def tell(messages: Sequence[WireMessage], known: Knowledge) -> Transcript:
    """Tell one handshake. Never raises for what the bytes hold."""
    facts = Gathered.of(messages)
    sides = (_side("server", facts, known), _side("client", facts, known))
    outcome = _outcome(facts, known)
    failure = failure_of(facts, known, sides) if outcome in ("refused", "failed") else None
    ended_at = _ended_at(facts, known) if failure is not None else None
    finished = facts.client_ends
    request = facts.request
    return Transcript(
        client=known.client,
        server=known.server,
        began=known.began,
        outcome=outcome,
        verdict=_verdict(outcome, facts, sides, failure),
        version=facts.version,
        cipher_suite=facts.answer.cipher_suite if facts.answer is not None else None,
        group=_group(facts),
        server_name=facts.hello.server_name if facts.hello is not None else None,
        alpn=_alpn(facts),
        resumed=facts.resumed,
        messages=tuple(
            Message(message, step_of(index, facts), sentence_of(index, facts))
            for index, message in enumerate(facts.messages)
        ),
        ghosts=ghosts_of(facts, ended_at),
        sides=sides,
        request=wishes(request, sides[1].chain, facts.version or "") if request is not None else None,
        failure=failure,
        client_done_after=finished if facts.version == "TLSv1.3" and failure is not None else None,
        ended_at=ended_at,
        keys=known.keys,
        notes=(*known.notes, *_notes(facts)),
        renegotiated=known.renegotiated,
        asked_later=tuple(facts.asked_later),
    )


def _at(known: Knowledge, facts: Gathered) -> datetime:
    return known.began or datetime.now(UTC)


# -- the two sides ---------------------------------------------------------------------------------------


def _side(role: Sender, facts: Gathered, known: Knowledge) -> Side:
    trust = known.client_trust if role == "server" else known.server_trust
    ders = facts.chains.get(role, ())
    accepted = facts.request.authorities if role == "client" and facts.request is not None else ()
    chain = links_of(ders, role, at=_at(known, facts), trust=trust, accepted=accepted)
    signed, scheme = signed_by(role, facts), _scheme(role, facts)
    proof = _proof(role, facts, signed)
    mark, because = _believed(role, facts, known)
    if proof is False:
        mark, because = "bad", "its signature does not verify: it does not hold the key of its certificate"
    elif proof and mark == "ok":
        because = f"{because}; its signature over the handshake verifies"
    return Side(role, chain, mark, because, _checked_after(role, facts, mark), signed, scheme)


def _scheme(role: Sender, facts: Gathered) -> str | None:
    if (proof := facts.proofs.get(role)) is not None:
        return proof.scheme
    return facts.key_exchange.scheme if role == "server" and facts.key_exchange is not None else None


def _proof(role: Sender, facts: Gathered, signed: bytes) -> bool | None:
    chain = facts.chains.get(role)
    verify, exchange = facts.proofs.get(role), facts.key_exchange
    if not chain or not signed:
        return None
    if verify is not None:
        scheme, signature = verify.scheme, verify.signature
    elif role == "server" and exchange is not None:
        scheme, signature = exchange.scheme, exchange.signature
    else:
        return None
    try:
        key = x509.load_der_x509_certificate(chain[0]).public_key()
    except Exception:  # noqa: BLE001 - whatever the parser raises, nothing can be verified with it
        return None
    return verifies(key, scheme, signature, signed)


def _believed(role: Sender, facts: Gathered, known: Knowledge) -> tuple[Mark, str]:
    """Whether the other side has believed this one, as far as its behaviour shows."""
    other: Sender = "client" if role == "server" else "server"
    alert = facts.messages[facts.alert] if facts.alert is not None else None
    if facts.chains.get(role) == ():
        return "unknown", f"the {role} showed no certificate"
    if alert is not None and alert.sender == other and role in facts.chains:
        return "bad", f"the {other} refused it with {name_of(facts.alert_number)}"
    if known.us == other and known.fault is not None and role in facts.chains and alert is None:
        return "bad", str(known.fault)
    if role == "server":
        return _server_believed(facts)
    if role not in facts.chains:
        if facts.resumed:
            return "unknown", "a resumed session: who the client is was proven in an earlier handshake"
        return (
            "unknown",
            "the server did not ask the client who it is" if facts.request is None else "not shown",
        )
    place = _last_of_client(facts)
    went_on = facts.after(place, "server")
    if went_on is not None and (went_on.kind != "encrypted" or facts.version == "TLSv1.2"):
        return "ok", f"the server went on with {went_on.name} after it"
    return "unknown", "the server has not yet said anything after it"


def _server_believed(facts: Gathered) -> tuple[Mark, str]:
    if "server" not in facts.chains:
        if facts.resumed and facts.place("client", "finished") is not None:
            return "ok", "a resumed session: only who made it with the client can know its keys"
        if facts.place("server", "certificate") is not None:
            return "unknown", "its certificate could not be opened here"
        return (
            "unknown",
            "the server has not shown who it is" if not facts.encrypted else "hidden: no key at hand",
        )
    if facts.place("client", "finished") is not None:
        return "ok", "the client went on after it"
    return "unknown", "the client has not answered it"


def _last_of_client(facts: Gathered) -> int | None:
    place = facts.client_ends
    return place if place is not None else facts.place("client", "certificate_verify")


def _checked_after(role: Sender, facts: Gathered, mark: Mark) -> int | None:
    if mark == "unknown":
        return None
    if role == "server":
        name = "server_hello_done" if facts.version == "TLSv1.2" and not facts.resumed else "finished"
        place = facts.place("server", name)
        return place if place is not None else facts.place("server", "certificate")
    place = _last_of_client(facts)
    return place if place is not None else facts.place("client", "certificate")


# -- how it ended ------------------------------------------------------------------------------------------


def _outcome(facts: Gathered, known: Knowledge) -> Outcome:
    if facts.alert is not None:
        return "refused" if facts.answer is not None else "failed"
    if known.fault is not None:
        return "refused" if facts.answer is not None else "failed"
    if any(m.kind == "not_tls" for m in facts.messages):
        return "failed"
    cut = known.ending in ("reset", "closed", "timeout")
    if facts.finished:
        unheard = not any(m.sender == "server" for m in facts.messages[(_last_of_client(facts) or 0) + 1 :])
        if cut and unheard and facts.version == "TLSv1.3" and known.ended_by == "server":
            return "refused"
        return "mutual" if facts.chains.get("client") else "one_way"
    if facts.encrypted:
        return "unfinished"
    return "failed" if cut else "unfinished"


def _ended_at(facts: Gathered, known: Knowledge) -> int | None:
    if facts.alert is not None:
        return facts.alert
    return len(facts.messages) - 1 if facts.messages else None


def _verdict(outcome: Outcome, facts: Gathered, sides: tuple[Side, Side], failure: Failure | None) -> str:
    server, client = (_name(side) for side in sides)
    under = f"{facts.version}, {_group(facts) or 'no key exchange'}" if facts.version else ""
    if facts.messages and facts.messages[0].epoch is Epoch.APPLICATION:
        under += ", renegotiated"
    if outcome == "mutual" and facts.shown.get("client", 0) > min(
        facts.asked_later, default=len(facts.messages)
    ):
        under += ", the client asked afterwards"
    if failure is not None:
        return f"{'refused' if outcome == 'refused' else 'failed'} in step {int(failure.step)}: {failure.summary}"
    if outcome == "mutual":
        return f"2-way TLS: {client} and {server} proved to each other who they are ({under})"
    if facts.resumed and facts.finished:
        return f"a resumed session: who both are was proven in an earlier handshake ({under})"
    if outcome == "one_way":
        why = (
            "was asked and showed no certificate" if facts.request is not None else "was not asked who it is"
        )
        return f"one-way TLS: {server} proved who it is; the client {why} ({under})"
    if facts.encrypted:
        return f"{facts.version}: the rest is encrypted, and no key log opens it"
    return "the handshake did not end while it was watched"


def _name(side: Side) -> str:
    if not side.chain:
        return f"the {side.role}"
    leaf = side.chain[0]
    return leaf.names[0] if leaf.names else leaf.subject


def _group(facts: Gathered) -> str | None:
    if facts.answer is not None and facts.answer.group is not None:
        return facts.answer.group
    return facts.key_exchange.group if facts.key_exchange is not None else None


def _alpn(facts: Gathered) -> str | None:
    for message in facts.messages:
        if message.name in ("server_hello", "encrypted_extensions"):
            chosen = message.tree.find("protocol_name")
            if chosen is not None and message.sender == "server":
                value = chosen.value
                return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return None


def _notes(facts: Gathered) -> tuple[str, ...]:
    notes = [f"does not decode: {fault}" for fault in facts.faults]
    notes += facts.unopened
    if facts.encrypted:
        notes.append("some records were not opened: give their secrets with --keylog FILE")
    return tuple(notes)


def moment(began: datetime, at_us: int) -> datetime:
    """When a message went, by the clock."""
    return began + timedelta(microseconds=at_us)
