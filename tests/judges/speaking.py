"""Talk to the helper programs beside this file: one line asks, one line answers, words parted by tabs.

    serve VERSION IDENTITY TRUST              -> serving PORT
    call PORT VERSION IDENTITY TRUST MANNER   -> answered VERSION BODY | failed WHAT-IT-SAYS
    failure                                   -> failure WHAT-IT-SAYS, the server's oldest one not told yet

IDENTITY is a directory or "-" for none. MANNER is "insist", or "withhold" for a program that keeps a
certificate back which none of the authorities that the server names has issued.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from tests.conftest import interpreter, judge

PROGRAMS = Path(__file__).parent / "programs"
SECONDS = 30.0


def environment() -> dict[str, str]:
    """Ours, without what would lead a program to a proxy, to other authorities, or to other settings."""
    unwanted = ("PYTHON", "NODE_", "JAVA_", "JDK_", "SSL_", "OPENSSL_", "CURL_", "TWOWAY_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and not name.lower().endswith("_proxy")
    }


class Said(Exception):
    """The program failed at what it was asked; the argument is its own sentence."""


class Program:
    """A running helper program; one question at a time."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), bufsize=0
        )
        self._lock = Lock()
        self._rest = b""

    def ask(self, *words: str | int | Path) -> list[str]:
        """The words of the answer without the first; raises Said for "failed"."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write("\t".join(map(str, words)).encode() + b"\n")
            verdict, *found = self._line().split("\t")
        if verdict == "failed":
            raise Said(*found)
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        end = time.monotonic() + SECONDS
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise AssertionError(f"{self._process.args!r} says nothing; exit code {self._process.poll()}")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()  # every program ends with its input
            ended(process)


def ended(process: subprocess.Popen[bytes], seconds: float = 5.0) -> None:
    """Wait for the end of a process, and bring it about when it does not come."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def command_of(name: str, place: Path) -> list[str]:
    """How a helper program is started; skips where what it needs is not installed."""
    if name == "java":
        java, javac = judge("java"), judge("javac")
        classes = place / "classes"
        if not classes.exists():
            subprocess.run(
                [javac, "-d", classes, PROGRAMS / "Ends.java"], check=True, timeout=60, env=environment()
            )
        return [java, "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", str(classes), "Ends"]
    if name == "node":
        return [judge("node"), str(PROGRAMS / "ends.mjs")]
    if name == "gnutls":
        judge("gnutls-cli")  # the library comes with it
        return [interpreter("3"), str(PROGRAMS / "gnutls_ends.py")]
    return [interpreter(name.removeprefix("python")), str(PROGRAMS / "ends.py")]


@contextlib.contextmanager
def program(name: str, place: Path) -> Iterator[Program]:
    """A helper program for as long as the block lasts: java, node, gnutls, or python3.13 and the like."""
    started = Program(command_of(name, place))
    try:
        yield started
    finally:
        started.close()
