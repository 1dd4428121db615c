"""Clients as their users start them, with their own defaults: a command each, for https://localhost:PORT/."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conftest import asset, interpreter, judge
from tests.doctor.servers import go_server
from tests.judges.speaking import PROGRAMS, ended, environment
from twoway.wire.conversation import Conversation
from twoway.wire.events import WireMessage

SECONDS = 40.0
Command = Callable[[int, Path], list[str]]

_NODE = "require('https').get(process.argv[1], (answer) => answer.pipe(process.stdout))"
_PYTHON = """
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1]).read())
except urllib.error.HTTPError as error:
    print(error, error.read())
"""


def url(port: int) -> str:
    return f"https://localhost:{port}/"


def _openssl(port: int, place: Path) -> list[str]:
    return [judge("openssl"), "s_client", "-connect", f"localhost:{port}"]


def _curl(port: int, place: Path) -> list[str]:
    return [judge("curl"), "-q", "-sS", url(port)]


def _gnutls(port: int, place: Path) -> list[str]:
    return [judge("gnutls-cli"), "--port", str(port), "localhost"]


def _go(port: int, place: Path) -> list[str]:
    return [str(go_server()), "call", url(port), "-", "-"]


def _java(port: int, place: Path) -> list[str]:
    return [judge("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(PROGRAMS / "Call.java"), url(port)]


def _node(port: int, place: Path) -> list[str]:
    return [judge("node"), "-e", _NODE, url(port)]


def _python(port: int, place: Path) -> list[str]:
    return [interpreter("3"), "-c", _PYTHON, url(port)]


def _rustls(port: int, place: Path) -> list[str]:
    asset("rustls", "pyreqwest", "__init__.py")
    return [sys.executable, str(PROGRAMS / "rustls_call.py"), url(port)]


def _chromium(port: int, place: Path) -> list[str]:
    command = [judge("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", f"--user-data-dir={place}/chromium", "--dump-dom"]
    return [*command, url(port)]


def _firefox(port: int, place: Path) -> list[str]:
    profile = place / "firefox"
    profile.mkdir(exist_ok=True)
    command = [judge("firefox-esr"), "--headless", "--no-remote", "--profile", str(profile)]
    return [*command, "--screenshot", str(place / "firefox.png"), url(port)]


CALLERS: dict[str, Command] = {
    "openssl": _openssl,
    "curl": _curl,
    "gnutls": _gnutls,
    "go": _go,
    "java": _java,
    "node": _node,
    "python": _python,
    "rustls": _rustls,
    "chromium": _chromium,
    "firefox": _firefox,
}


def hello_of(name: str, place: Path) -> WireMessage:
    """The first ClientHello that this program sends, decoded; the program is ended when it has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        command = CALLERS[name](listener.getsockname()[1], place)
        with _started(command, place), listener.accept()[0] as sock:
            sock.settimeout(SECONDS)
            conversation, end = Conversation(), time.monotonic() + SECONDS
            while time.monotonic() < end:
                data = sock.recv(65536)
                assert data, f"{name} ended without a hello"
                for message in conversation.feed("client", data, 0):
                    assert message.name == "client_hello", message
                    return message
    raise AssertionError(f"{name} sends no hello")


@contextlib.contextmanager
def _started(command: list[str], place: Path) -> Iterator[None]:
    home = environment() | {"HOME": str(place)}
    with subprocess.Popen(
        command, env=home, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()
            ended(process)


def said_by(name: str, address: str, place: Path) -> str:
    """What this program prints when it is sent to an address of its own choice, http:// too."""
    if name == "go":
        command = [str(go_server()), "call", address, "-", "-"]
    else:
        command = [*CALLERS[name](0, place)[:-1], address]
        command = [word.replace("require('https')", "require('http')") for word in command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=environment(), stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr
