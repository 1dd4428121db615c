"""What the gateway itself answers when it does not pass a request on: a page, JSON or plain text; pure.

RFC 9457 for JSON. The id leads to the full record in the gateway's log; here is nothing that is not for
whoever asked.
"""

from __future__ import annotations

import html
import json
from datetime import datetime
from email.utils import format_datetime

from twoway.gateway.http.faults import REASONS

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{status} {title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}}
code{{background:#eee;color:#1a1a1a;padding:.1em .3em}}</style></head>
<body><h1>{status} {title}</h1><p>{reason}.</p>{remedy}
<p>For the operator: <code>twoway explain --refusal {id} --log FILE</code></p></body></html>
"""


def answer(
    status: int,
    *,
    refusal: str,
    at: datetime,
    code: str,
    reason: str,
    remedy: str = "",
    accept: bytes = b"",
    close: bool,
    bodyless: bool,
) -> bytes:
    """A whole response; without its body for HEAD."""
    title = REASONS.get(status, "Error")
    kind, body = _body(status, title, refusal, code, reason, remedy, accept.lower())
    lines = [
        f"HTTP/1.1 {status} {title}",
        f"Date: {format_datetime(at, usegmt=True)}",  # RFC 9110 §6.6.1
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        *(["Connection: close"] if close else []),
        "\r\n",
    ]
    head = "\r\n".join(lines).encode("ascii")
    return head if bodyless else head + body


def _body(
    status: int, title: str, id_: str, code: str, reason: str, remedy: str, accept: bytes
) -> tuple[str, bytes]:
    if b"json" in accept:
        problem = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": reason,
            "code": code,
            "remedy": remedy,
            "refusal": id_,
        }
        return "application/problem+json", json.dumps(problem).encode() + b"\n"
    if b"text/html" in accept:
        page = _PAGE.format(
            status=status,
            title=html.escape(title),
            reason=html.escape(reason),
            remedy=f"<p>{html.escape(remedy)}.</p>" if remedy else "",
            id=html.escape(id_),
        )
        return "text/html; charset=utf-8", page.encode()
    hint = f"hint: {remedy}\n" if remedy else ""
    return (
        "text/plain; charset=utf-8",
        f"{status} {title}: {reason}\n{hint}refusal: {id_} ({code})\n".encode(),
    )
