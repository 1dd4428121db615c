"""The real `twoway serve`, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.server.conftest import until

APP = """
import asyncio, os, traceback

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})

async def failing(scope, receive, send):
    if scope["type"] == "http":
        raise LookupError("no such \\x1b[31morder")

async def never_starts(scope, receive, send):
    try:
        raise LookupError("no database")
    except LookupError:  # as Starlette does it
        await receive()
        await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})

async def waits(scope, receive, send):
    if scope["type"] == "http":
        open("begun", "w").close()
        await asyncio.sleep(60)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    try:
        await receive()
    except asyncio.CancelledError:  # as Starlette does it
        await send({"type": "lifespan.shutdown.failed", "message": traceback.format_exc()})
        raise

not_an_app = 5
"""


class Program:
    """A running `twoway serve`: its port, its process, and what it has written."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        self.port = int(until(lambda: self._found(r'"port": (\d+)')))

    def _found(self, pattern: str) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        match = re.search(pattern, self.log.read_text())
        return match[1] if match else None

    def events(self, name: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [entry for entry in entries if entry["event"] == name]


@contextlib.contextmanager
def program(place: Path, *arguments: str, app: str = "shop:app") -> Iterator[Program]:
    (place / "shop.py").write_text(APP)
    log = place / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("twoway"),
                "serve",
                app,
                "--identity",
                str(place / "api"),
                "--port",
                "0",
                "--log-format",
                "json",
                *arguments,
            ],
            cwd=place,
            stderr=stream,
            stdout=stream,
            text=True,
        )
    try:
        yield Program(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
