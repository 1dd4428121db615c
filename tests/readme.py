"""Finds the examples of a Markdown document and runs them; CONTRIBUTING.md says how blocks are marked."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- run: (\S+)(?: (\S+))? -->\n)?^```(python|console)[ ]*\n(.*?)^```[ ]*$", re.M | re.S
)
_MARKS = ("", "client", "serve", "file", "fails", "skip")

# Runs before every example: names below .example are this machine.
_SITE = """
import socket
_ask = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    return _ask("127.0.0.1" if name and name.endswith(".example") else host, *args, **kwargs)
socket.getaddrinfo = getaddrinfo
"""


@dataclass(frozen=True)
class Block:
    """One example: its language and text, how it is marked, and its line in the document."""

    language: str
    text: str
    line: int
    mark: str = ""
    argument: str = ""


def blocks(document: str) -> list[Block]:
    """Find every example; raises ValueError for a mark that means nothing."""
    found = []
    for match in _BLOCK.finditer(document):
        mark, argument, language, text = match.groups(default="")
        line = document.count("\n", 0, match.start(3)) + 1
        if mark not in _MARKS:
            raise ValueError(f"line {line}: there is no mark {mark!r}; there are {', '.join(_MARKS[1:])}")
        found.append(Block(language, text, line, mark, argument))
    return found


@dataclass
class Workplace:
    """The empty directory in which all examples of one document run, and the servers that they started."""

    directory: Path
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        site = self.directory / ".site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_SITE)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TWOWAY_")},
            "PYTHONPATH": f"{site}{os.pathsep}{self.directory}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def run(self, block: Block) -> None:
        """Run one example; raises AssertionError with what it printed when it does not do what it shows."""
        if block.mark == "skip":
            return
        if block.language == "console":
            self._transcript(block)
        elif block.mark == "file":
            (self.directory / block.argument).write_text(block.text)
        elif block.mark == "serve":
            self._start([sys.executable, "-c", block.text], block)
        else:
            done = self._finish([sys.executable, "-c", block.text])
            assert done.returncode == 0, done.stdout

    def stop(self) -> None:
        for server in self.servers:
            server.terminate()
            server.communicate(timeout=30)

    def _transcript(self, block: Block) -> None:
        shown = re.split(r"^\$ ", block.text, flags=re.M)[1:]
        for number, part in enumerate(shown, 1):
            command, _, expected = re.sub(r"\\\n\s*", "", part).partition("\n")
            last = number == len(shown)
            if block.mark == "serve" and last:
                self._start(["bash", "-c", f"exec {command}"], block)
                return
            done = self._finish(["bash", "-c", command])
            wanted = int(block.argument) if block.mark == "fails" and last else 0
            assert done.returncode == wanted, f"$ {command}\n{done.stdout}"
            if expected.strip():
                pattern = ".*".join(map(re.escape, expected.strip().split("…")))
                assert re.fullmatch(pattern, done.stdout.strip(), re.S), f"$ {command}\n{done.stdout}"

    def _finish(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            start_new_session=True,
        )

    def _start(self, command: list[str], block: Block) -> None:
        port = int(block.argument or 8443)
        assert not _listens(port), f"port {port} is taken: the example cannot be run here"
        server = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.servers.append(server)
        deadline = time.monotonic() + 30
        while not _listens(port):
            assert server.poll() is None, server.communicate()[0]
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.02)  # another process begins to listen without telling us


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
