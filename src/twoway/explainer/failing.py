"""Why a handshake failed, in the shape of a finding: who said no, at which step, to what, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from twoway.explainer.gathered import Gathered
from twoway.explainer.steps import step_of
from twoway.explainer.transcript import Failure, Link, Side
from twoway.steps import Step
from twoway.tls.alerts import AlertReceived, meanings_of, name_of
from twoway.wire.events import Sender

if TYPE_CHECKING:
    from twoway.explainer.telling import Knowledge

_Blame = Literal["client", "server", "network", "config"]
_OTHER: dict[Sender, Sender] = {"client": "server", "server": "client"}


def failure_of(facts: Gathered, known: Knowledge, sides: tuple[Side, Side]) -> Failure:
    """The one cause that the evidence supports, and what else it could be."""
    if known.fault is not None and not isinstance(known.fault, AlertReceived):
        return _ours(facts, known)
    if facts.alert is not None:
        return _alerted(facts, sides)
    if known.fault is not None:
        return _ours(facts, known)
    return _silent(facts, known)


def _ours(facts: Gathered, known: Knowledge) -> Failure:
    """We were there, and know exactly."""
    fault = known.fault
    assert fault is not None
    step = fault.step or _last_step(facts)
    blame: _Blame = _OTHER[known.us] if known.us is not None else "network"
    return Failure(fault.code, blame, str(fault), fault.remedy, step, fault.evidence)


def _last_step(facts: Gathered) -> Step:
    return step_of(len(facts.messages) - 1, facts) if facts.messages else Step.HELLO


def _alerted(facts: Gathered, sides: tuple[Side, Side]) -> Failure:
    assert facts.alert is not None
    message = facts.messages[facts.alert]
    refuser: Sender = message.sender
    refused = _OTHER[refuser]
    step, name = step_of(facts.alert, facts), name_of(facts.alert_number)
    shown = sides[0] if refused == "server" else sides[1]
    faults = [link for link in shown.chain if link.mark == "bad"]
    meant = list(meanings_of(name))
    if refused == "client" and facts.request is not None and facts.chains.get("client") == ():
        return _got_none(facts, name, step)
    summary = f"the {refuser} refused the {refused} with the alert {name}: "
    evidence: dict[str, object] = {"alert": name, "by": refuser, "presented": _presented(shown)}
    if faults:
        first = faults[0]
        evidence |= {"certificate": first.subject, "because": first.because}
        return Failure(
            _code_of(first),
            refused,
            summary + _phrase(first),
            _remedy_of(first, refused),
            step,
            evidence,
            tuple(meant),
        )
    blame: _Blame = refused if shown.chain else refuser
    return Failure(
        f"refused_{name}",
        blame,
        summary + meant[0],
        f"the {refuser}'s log has the exact reason; examine the {refused}'s files with: twoway doctor --files",
        step,
        evidence,
        tuple(meant[1:]),
    )


def _got_none(facts: Gathered, name: str, step: Step) -> Failure:
    return Failure(
        "no_certificate",
        "client",
        f"the server requires a client certificate and got none (alert {name})",
        "give the client an identity of an authority that the server names in its request",
        step,
        {"alert": name, "presented": []},
        ("the client has a certificate and withholds it: no authority or scheme of the request fits it",),
    )


def _silent(facts: Gathered, known: Knowledge) -> Failure:
    who = known.ended_by
    foreign = next((m for m in facts.messages if m.kind == "not_tls"), None)
    if foreign is not None:
        return Failure(
            "not_tls",
            foreign.sender,
            f"the {foreign.sender} does not speak TLS",
            "check the port: plain HTTP, or another protocol, answers there",
            Step.HELLO if foreign.sender == "client" else Step.SERVER_SHOWS,
            {"first_bytes": foreign.data[:40].hex()},
        )
    how = {"reset": "reset the connection", "timeout": "went silent"}.get(known.ending, "hung up")
    step = Step.SERVER_CHECKS if facts.finished else _last_step(facts)
    return Failure(
        "closed_silently",
        who or "network",
        f"the {who or 'network'} {how} in step {int(step)} without saying why",
        "look into that side's log; some servers (Node) refuse a client certificate this way",
        step,
        {"ending": known.ending, "by": who},
        (
            "the server refuses the client's certificate without an alert",
            "something between cut the connection",
        ),
    )


def _presented(side: Side) -> list[str]:
    return [link.subject for link in side.chain if link.role != "anchor"]


def _phrase(link: Link) -> str:
    """A link and what is wrong with it, in one piece of sentence."""
    if link.because.startswith(("expired", "not ", "signed", "for ")):
        return (
            f"{link.subject} is {link.because}"
            if not link.because.startswith("expired")
            else f"{link.subject} {link.because}"
        )
    return f"{link.subject} {link.because}"


def _code_of(link: Link) -> str:
    if link.because.startswith("expired"):
        return "certificate_expired" if link.role == "leaf" else "intermediate_expired"
    if link.because.startswith("not valid before"):
        return "certificate_not_yet_valid"
    if link.because.startswith("for "):
        return "wrong_purpose"
    return "unknown_authority"


def _remedy_of(link: Link, refused: Sender) -> str:
    if link.because.startswith(("expired", "not valid before")):
        return f"renew {link.subject}, and check both clocks"
    if link.because.startswith("for "):
        return f"issue the {refused} a certificate with the {refused} profile"
    return f"give the {refused} an identity whose chain leads to an authority that the other side names or trusts"
