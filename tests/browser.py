"""A real headless Chromium, driven over WebDriver (W3C) with nothing but HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Browser:
    """One session: open a page, run a script in it, emulate a colour scheme and a size, take a picture."""

    def __init__(self, port: int, profile: str, arguments: tuple[str, ...] = ()) -> None:
        self._port = port
        options = {"args": [*_FLAGS, f"--user-data-dir={profile}", *arguments]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session: str = self._ask("POST", "/session", wanted)["sessionId"]

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{answer['error']}: {answer['message']}")
        return answer

    def _do(self, path: str, body: object) -> Any:
        return self._ask("POST", f"/session/{self._session}{path}", body)

    def open(self, page: Path) -> None:
        self._do("/url", {"url": page.resolve().as_uri()})

    def opened(self, url: str) -> str:
        """The words of the page at this address, or of the error that stands in its place."""
        try:
            self._do("/url", {"url": url})
        except AssertionError as error:
            return str(error)
        return str(self.run("return document.documentElement.innerText"))

    def run(self, script: str, *arguments: object) -> Any:
        """The value that `script` returns; a promise is waited for."""
        return self._do("/execute/sync", {"script": script, "args": list(arguments)})

    def emulate(self, *, scheme: str, width: int, height: int = 1200) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._cdp("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._cdp("Emulation.setDeviceMetricsOverride", size)

    def scripting(self, *, on: bool) -> None:
        self._cdp("Emulation.setScriptExecutionDisabled", {"value": not on})

    def _cdp(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._do("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def picture(self) -> bytes:
        return base64.b64decode(self._ask("GET", f"/session/{self._session}/screenshot"))

    def complaints(self) -> list[str]:
        """What the console says that is an error or a warning."""
        entries = self._do("/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def quit(self) -> None:
        self._ask("DELETE", f"/session/{self._session}")


@contextmanager
def browser(chromedriver: str, *, home: Path | None = None) -> Iterator[Browser]:
    """A browser of its own profile; both it and its driver are gone afterwards. It believes whom `home` believes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen(
            [chromedriver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | ({"HOME": str(home)} if home is not None else {}),
        )
        try:
            assert driver.stdout is not None
            port = next(
                int(line.rsplit("port ", 1)[1].rstrip(".\n"))
                for line in driver.stdout
                if "successfully on port" in line
            )
            page = Browser(port, profile)
            try:
                yield page
            finally:
                page.quit()
        finally:
            driver.terminate()
            driver.wait(10)
            if driver.stdout is not None:
                driver.stdout.close()
