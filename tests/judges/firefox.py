"""A real headless Firefox, driven over its own Marionette protocol: only as far as to see its error pages."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import judge
from tests.judges.speaking import ended, environment

SECONDS = 60.0
_SETTINGS = """
user_pref("marionette.port", 0);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("dom.security.https_first", false);
user_pref("dom.security.https_only_mode", false);
"""
# What stands at the end of the error page; the page itself is laid out anew in every version.
_CODE = """
const told = document.getFailedCertSecurityInfo ? document.getFailedCertSecurityInfo() : null;
const net = document.getNetErrorInfo ? document.getNetErrorInfo() : null;
return [told && told.errorCodeString, net && net.errorCodeString, document.documentURI].filter(Boolean).join(" ");
"""


class Firefox:
    """One session; a question at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._buffer, self._number = b"", 0
        self._take()
        self.ask("WebDriver:NewSession", {})

    def close(self) -> None:
        self._socket.close()

    def opened(self, url: str) -> str:
        """What the browser says when this page does not open."""
        told = self.ask("WebDriver:Navigate", {"url": url})
        found = self.ask("WebDriver:ExecuteScript", {"script": _CODE, "args": [], "sandbox": "system"})
        return f"{told} {found}"

    def ask(self, command: str, parameters: dict[str, Any]) -> object:
        """The answer, or the error that stands for it."""
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(str(len(message)).encode() + b":" + message)
        _, _, error, value = self._take()
        return value if error is None else error

    def _take(self) -> Any:
        while b":" not in self._buffer:
            self._buffer += self._socket.recv(65536)
        size, _, self._buffer = self._buffer.partition(b":")
        while len(self._buffer) < int(size):
            self._buffer += self._socket.recv(65536)
        message, self._buffer = self._buffer[: int(size)], self._buffer[int(size) :]
        return json.loads(message)


@contextlib.contextmanager
def firefox(place: Path, *trusts: Path) -> Iterator[Firefox]:
    """A browser with a profile of its own that believes these authorities."""
    profile = place / "firefox"
    profile.mkdir()
    (profile / "user.js").write_text(_SETTINGS)
    believe(profile, *trusts)
    command = [judge("firefox-esr"), "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
    with (place / "firefox.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment() | {"HOME": str(place)})
    try:
        started = Firefox(_port(profile, process))
        with contextlib.closing(started):
            yield started
    finally:
        process.terminate()
        ended(process)


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    said, end = profile / "MarionetteActivePort", time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        if said.exists() and (text := said.read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("Firefox opens no port for Marionette")


def believe(database: Path, *trusts: Path) -> None:
    """Make an NSS database with these authorities in it, as `certutil` (NSS) does it."""
    database.mkdir(parents=True, exist_ok=True)
    certutil = judge("certutil")
    subprocess.run([certutil, "-N", "-d", f"sql:{database}", "--empty-password"], check=True, timeout=30)
    for number, trust in enumerate(trusts):
        added = ["-A", "-d", f"sql:{database}", "-n", f"acme {number}", "-t", "C,,", "-i", str(trust)]
        subprocess.run([certutil, *added], check=True, timeout=30)
