"""What a server writes about itself: one line a request, one a refusal, one a change; text or JSON, to stderr.

Whatever came from outside is escaped: a name in a certificate cannot break a line or move a cursor.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from twoway.credential import printable
from twoway.errors import TwowayError
from twoway.tls import Refusal

Application = Callable[..., Any]
_MOST = 4000  # characters of one sentence: a remedy is never cut short


class Journal:
    """Writes events to a stream, each in one line and one write."""

    def __init__(self, form: str = "text", stream: TextIO | None = None, *, access: bool = True) -> None:
        self.form, self.access = form, access
        self._stream = stream

    def refused(self, refusal: Refusal) -> None:
        """A connection that was turned away, with everything that helps."""
        if self.form == "json":
            self._write(refusal.as_line())
            return
        shown = " <- ".join(str(one["subject"]) for one in refusal.presented) or "no certificate"
        verdict = "refused by the client" if refusal.by == "peer" else "refused"
        self._write(
            f"{_clock(refusal.at)} {verdict} id={refusal.id} from={refusal.address or '-'} "
            f"step={int(refusal.step)} code={refusal.code} alert={refusal.alert or '-'} "
            f"presented={_told(shown)!r}: {_told(refusal.reason)}; remedy: {_told(refusal.remedy)}"
        )

    def event(self, name: str, sentence: str, **facts: object) -> None:
        """Something about the server itself: started, reloaded, draining."""
        now = datetime.now(UTC)
        if self.form == "json":
            record = {
                "event": name,
                "at": now.isoformat(timespec="milliseconds"),
                "sentence": sentence,
                **facts,
            }
            self._write(json.dumps(record, default=str))
        else:
            self._write(f"{_clock(now)} {name}: {_told(sentence)}")

    def fault(self, name: str, sentence: str, error: BaseException) -> None:
        """Something about the server that went wrong, with its remedy."""
        remedy = error.remedy if isinstance(error, TwowayError) else ""
        told = str(error) if isinstance(error, TwowayError) else f"{type(error).__name__}: {error}"
        self.event(
            name, f"{sentence}: {told}" + (f"; remedy: {remedy}" if remedy else ""), error=told, remedy=remedy
        )

    def failed(self, sentence: str, traceback: str) -> None:
        """The application failed: what it raised and, for whoever wrote it, where; the lines are indented."""
        if self.form == "json":
            self.event("application-failed", sentence, traceback=traceback)
            return
        lines = [f"{_clock(datetime.now(UTC))} application-failed: {_told(sentence)}"]
        lines += [f"    {_told(line)}" for line in traceback.splitlines()]
        self._write("\n".join(lines))

    def request(self, scope: dict[str, Any], status: int, size: int, seconds: float) -> None:
        """One request that was answered, or one WebSocket that has ended (status 101), with who asked."""
        method = scope.get("method", "GET")
        peer = scope["extensions"]["twoway"]["peer"]
        client = scope.get("client")
        address = f"{client[0]}:{client[1]}" if client else "-"
        now = datetime.now(UTC)
        if self.form == "json":
            record = {
                "event": "request",
                "at": now.isoformat(timespec="milliseconds"),
                "peer": peer.describe() if peer else None,
                "fingerprint": peer.fingerprint if peer else None,
                "address": address,
                "method": method,
                "path": scope["path"],
                "status": status,
                "bytes": size,
                "ms": round(seconds * 1000, 2),
                "tls": peer.tls_version if peer else None,
                "resumed": peer.resumed if peer else None,
            }
            self._write(json.dumps(record))
            return
        who = printable(peer.describe()) if peer else "-"
        how = f"{peer.tls_version} {'resumed' if peer.resumed else 'full'}" if peer else "-"
        self._write(
            f"{_clock(now)} {who} {address} {method} {printable(scope['path'])} "
            f"{status} {size}B {seconds * 1000:.1f}ms {how}"
        )

    def _write(self, line: str) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            return  # a log that is gone must not take the service with it


def _told(text: str) -> str:
    return printable(text, _MOST)


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def with_access_log(application: Application, journal: Journal) -> Application:
    """The application, with one line a request in the journal."""

    async def logged(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        began, status, size = time.perf_counter(), 500, 0

        async def counted(message: dict[str, Any]) -> None:
            nonlocal status, size
            kind = message["type"]
            if kind == "http.response.body":
                size += len(message.get("body", b""))
            elif kind == "websocket.send":
                size += len(message.get("bytes") or (message.get("text") or "").encode())
            elif kind in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and status != 101:
                status = 403
            await send(message)

        try:
            await application(scope, receive, counted)
        finally:
            journal.request(scope, status, size, time.perf_counter() - began)

    return logged
