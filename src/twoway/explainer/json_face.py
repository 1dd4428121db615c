"""A Transcript as JSON, in the shape that programs may rely on."""

from __future__ import annotations

from typing import Any

from twoway.explainer.transcript import Failure, Ghost, Link, Message, Side, Transcript
from twoway.steps import Step


def as_dict(transcript: Transcript, *, redact: bool = False) -> dict[str, Any]:
    """Everything in the transcript, ready for JSON; `redact` leaves out what went under application keys.

    `steps` are always five, in order; `failure` is a finding as `twoway doctor --json` has them, or None.
    """
    return {
        "outcome": transcript.outcome,
        "verdict": transcript.verdict,
        "peer": {"client": transcript.client, "server": transcript.server},
        "began": transcript.began.isoformat(timespec="milliseconds") if transcript.began else None,
        "version": transcript.version,
        "cipher_suite": transcript.cipher_suite,
        "group": transcript.group,
        "server_name": transcript.server_name,
        "alpn": transcript.alpn,
        "resumed": transcript.resumed,
        "renegotiated": transcript.renegotiated,
        "asked_later": list(transcript.asked_later),
        "steps": [_step(step, transcript, redact) for step in Step],
        "sides": {side.role: _side(side) for side in transcript.sides},
        "certificate_request": [
            {"asked": wish.asked, "shown": wish.shown, "mark": wish.mark} for wish in transcript.request
        ]
        if transcript.request is not None
        else None,
        "failure": _failure(transcript.failure) if transcript.failure is not None else None,
        "client_done_after": transcript.client_done_after,
        "ended_at": transcript.ended_at,
        "notes": list(transcript.notes),
    }


def _step(step: Step, transcript: Transcript, redact: bool) -> dict[str, Any]:
    return {
        "number": int(step),
        "title": step.title,
        "messages": [
            _message(index, message, redact)
            for index, message in enumerate(transcript.messages)
            if message.step is step
        ],
        "missing": [_ghost(ghost) for ghost in transcript.ghosts if ghost.step is step],
    }


def _message(index: int, message: Message, redact: bool) -> dict[str, Any]:
    wire = message.wire
    hidden = redact and wire.kind == "application_data"
    return {
        "index": index,
        "from": wire.sender,
        "type": wire.name,
        "kind": wire.kind,
        "epoch": str(wire.epoch),
        "bytes": wire.wire_size,
        "at_us": wire.at_us,
        "sentence": message.sentence,
        "data": None if hidden else wire.data.hex(),
        "fields": []
        if hidden
        else [child.as_dict() for child in wire.tree.children] or [wire.tree.as_dict()],
        "fault": wire.fault,
    }


def _ghost(ghost: Ghost) -> dict[str, Any]:
    return {"from": ghost.sender, "type": ghost.name, "sentence": ghost.sentence}


def _side(side: Side) -> dict[str, Any]:
    return {
        "mark": side.mark,
        "because": side.because,
        "checked_after": side.checked_after,
        "signature_scheme": side.signature_scheme,
        "signed": side.signed.hex() or None,
        "chain": [_link(link) for link in side.chain],
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "role": link.role,
        "subject": link.subject,
        "issuer": link.issuer,
        "serial": link.serial,
        "fingerprint": link.fingerprint,
        "key_type": link.key_type,
        "signature": link.signature,
        "names": list(link.names),
        "usages": list(link.usages),
        "not_before": link.not_before.isoformat(),
        "not_after": link.not_after.isoformat(),
        "mark": link.mark,
        "because": link.because,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "severity": "error",
        "blame": failure.blame,
        "summary": failure.summary,
        "evidence": failure.evidence,
        "remedy": failure.remedy,
        "also_possible": list(failure.also_possible),
        "step": int(failure.step),
    }
