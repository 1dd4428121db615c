"""Refusals in ACME's form: problem documents with the standard's error types (RFC 8555 §6.7)."""

from __future__ import annotations

import json

from starlette.responses import Response

from twoway.enroll.problem import MEDIA_TYPE, Problem

NAMESPACE = "urn:ietf:params:acme:error:"

# What others refuse, in ACME's words. What is not here is "malformed" below 500 and "serverInternal" from there on.
_TYPES = {
    "request_name_refused": "rejectedIdentifier",
    "request_name_needed": "rejectedIdentifier",
    "call_name_has_role": "rejectedIdentifier",
    "request_key_not_accepted": "badCSR",
    "request_unreadable": "badCSR",
    "request_unproven": "badCSR",
    "request_too_large": "badCSR",
    "certificate_already_revoked": "alreadyRevoked",
    "certificate_not_issued_here": "unauthorized",
    "call_credential_refused": "unauthorized",
    "call_not_permitted": "unauthorized",
}


def document(kind: str, detail: str, **more: object) -> dict[str, object]:
    """A problem of the standard's type `kind`, as a challenge, an order or a subproblem has it."""
    return {"type": NAMESPACE + kind, "detail": detail, **more}


def as_acme(problem: Problem) -> Response:
    """The problem as ACME's clients read it; `code` and `remedy` are there as everywhere."""
    usual = "serverInternal" if problem.status >= 500 else "malformed"
    kind = str(problem.more.get("acme", _TYPES.get(problem.code, usual)))
    body: dict[str, object] = {**problem.as_dict(), "type": NAMESPACE + kind}
    if "subproblems" in problem.more:
        body["subproblems"] = problem.more["subproblems"]
    headers = {"cache-control": "no-store"}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    if "location" in problem.more:
        headers["location"] = str(problem.more["location"])
    content = json.dumps(body, ensure_ascii=False).encode()
    return Response(content, problem.status, headers, MEDIA_TYPE)
