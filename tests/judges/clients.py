"""Foreign clients: each makes one request with one identity, and tells what came of it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.conftest import asset, judge
from tests.doctor.servers import go_server
from tests.judges.speaking import PROGRAMS, Program, Said, environment, program
from twoway.tls.alerts import NAMES

REQUEST = b"GET /whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CLIENTS = ("openssl", "curl", "gnutls", "java", "node", "python3.13")
_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What a foreign client got: a body, or the sentence with which it failed."""

    body: str | None
    said: str

    @property
    def alert(self) -> str | None:
        """The alert that the client says it received, by its registered name."""
        return alert_in(self.said)


class Call(Protocol):
    """One request: the port, the TLS version, an identity directory or None, and a trust bundle."""

    def __call__(
        self, port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True
    ) -> Answer: ...


# Each family of libraries has its own words for an alert; all of them name it.
_BY_NUMBER = re.compile(r"SSL alert number (\d+)|Received alert \[(\d+)\]")
_BY_NAME = re.compile(r"(?:sslv3|tlsv1|tlsv13) alert ([a-z ]+)|Received fatal alert: ([a-z_]+)")


def alert_in(said: str) -> str | None:
    """The alert that a program's sentence names, None when it names none."""
    if found := _BY_NUMBER.search(said):
        return NAMES[int(found[1] or found[2])]
    if found := _BY_NAME.search(said):
        name = (found[1] or found[2]).strip().replace(" ", "_")
        assert name in NAMES.values(), name
        return name
    return None


def _run(command: list[str | Path], typed: bytes = b"") -> tuple[str, str]:
    """Run it to its end. Its input does not end before: some take that for the end of the connection."""
    reading, writing = os.pipe()
    try:
        os.write(writing, typed)
        done = subprocess.run(
            command, stdin=reading, capture_output=True, timeout=_SECONDS, env=environment()
        )
    finally:
        os.close(reading)
        os.close(writing)
    return done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def openssl(port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True) -> Answer:
    """`s_client` exits with 0 and says "Verify return code: 0 (ok)" even when it was refused: only words count."""
    command: list[str | Path] = [judge("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-quiet"]
    command += ["-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error"]
    command += ["-x509_strict", "-CAfile", trust, f"-tls1_{version[-1]}"]
    if identity:
        cert = identity / "cert.pem"
        command += ["-cert", cert, "-cert_chain", cert, "-key", identity / "key.pem"]
    return _answer(*_run(command, REQUEST))


def curl(port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True) -> Answer:
    command: list[str | Path] = [judge("curl"), "-q", "-sS", "-i", "--http1.1", "--cacert", trust]
    command += [f"--tlsv1.{version[-1]}", "--tls-max", f"1.{version[-1]}"]
    command += ["--resolve", f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/whoami"]
    if identity:
        command += ["--cert", identity / "cert.pem", "--key", identity / "key.pem"]
    return _answer(*_run(command))


def gnutls(port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True) -> Answer:
    command: list[str | Path] = [judge("gnutls-cli"), "--port", str(port), "--x509cafile", trust]
    command += ["--verify-hostname", "localhost", "--sni-hostname", "localhost", "--logfile", "/dev/stderr"]
    command += ["--priority", f"NORMAL:-VERS-ALL:+VERS-TLS1.{version[-1]}"]
    if identity:
        command += ["--x509certfile", identity / "cert.pem", "--x509keyfile", identity / "key.pem"]
    return _answer(*_run([*command, "127.0.0.1"], REQUEST))


def go(port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True) -> Answer:
    """net/http with its own choice of versions."""
    out, err = _run([go_server(), "call", f"https://localhost:{port}/whoami", trust, identity or "-"])
    head, _, body = out.partition("\n")
    return Answer(body if head.startswith("200") else None, f"{out}\n{err}")


def rustls(port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True) -> Answer:
    """reqwest on rustls, from Python, with its own choice of versions."""
    asset("rustls", "pyreqwest", "__init__.py")
    command = [sys.executable, PROGRAMS / "rustls_call.py", f"https://localhost:{port}/whoami"]
    out, err = _run([*command, trust, identity or "-"])
    head, _, body = out.partition("\n")
    return Answer(body if head == "answered" else None, f"{out}\n{err}")


def _answer(out: str, err: str) -> Answer:
    _, found, body = out.partition("\r\n\r\n")
    return Answer(body if found else None, f"{out}\n{err}")


def spoken(started: Program) -> Call:
    """The client inside a helper program."""

    def call(port: int, version: str, identity: Path | None, trust: Path, *, insist: bool = True) -> Answer:
        try:
            spoke, body = started.ask(
                "call", port, version, identity or "-", trust, "insist" if insist else "withhold"
            )
        except Said as error:
            return Answer(None, str(error))
        assert spoke == version
        return Answer(body, "")

    return call


@contextlib.contextmanager
def client(name: str, place: Path) -> Iterator[Call]:
    """The foreign client of this name, for as long as the block lasts."""
    alone: dict[str, Call] = {"openssl": openssl, "curl": curl, "gnutls": gnutls, "go": go, "rustls": rustls}
    if name in alone:
        yield alone[name]
    else:
        with program(name, place) as started:
            yield spoken(started)
