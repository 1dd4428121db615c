"""The real program as the tests start it: `twoway gateway run FILE`, its log, and clients that never stop."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.gateway.conftest import Backend, Pki, context_of, exactly, until
from twoway.credential import chain_pem

TWOWAY = str(Path(sys.executable).with_name("twoway"))


class Program:
    """A gateway of its own process, with one listener "api" in front of `backend`; ended by `close`.

    `environment` and `wrapper` (a command that ends by running the one behind it) are for those who start it
    in a special way.
    """

    def __init__(
        self,
        pki: Pki,
        backend: Backend,
        place: Path,
        *,
        gateway: str = "",
        listener: str = "",
        listen: str = "127.0.0.1:0",
        environment: dict[str, str] | None = None,
        wrapper: Sequence[str] = (),
        keep: Sequence[int] = (),
    ) -> None:
        self.place, self.log = place, place / "log"
        identity = place / "api"
        if not identity.exists():
            pki.server.save(identity)
            (identity / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
        self.file = place / "gateway.toml"
        self.file.write_text(
            f'[gateway]\nadmin = "admin"\nlog_format = "json"\ndrain_seconds = 10\n{gateway}\n'
            f'[[listener]]\nkind = "server"\nname = "api"\nlisten = "{listen}"\ntarget = "{backend.address}"\n'
            f'identity = "api"\nallow = "cn=orders"\n{listener}\n'
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, TWOWAY, "gateway", "run", str(self.file)],
                stderr=log,
                pass_fds=keep,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def admin(self) -> Path:
        return self.place / "admin"

    @property
    def port(self) -> int:
        return int(until(lambda: self.events("listening"), 30)[0]["port"])

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the log says under this name; lines of other programs are passed over."""
        found = []
        text = self.log.read_text()  # the last line may still be on its way
        for line in text[: text.rfind("\n") + 1].splitlines():
            if line.startswith("{") and (entry := json.loads(line))["event"] == name:
                found.append(entry)
        return found

    def ask(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`twoway gateway VERB` against this gateway."""
        command = [TWOWAY, "gateway", verb, "--admin", str(self.admin), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.ask("status", "--json").stdout)
        return told

    def pids(self) -> list[int]:
        """Every process of this gateway, successors too: all are of its session."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (OSError, ValueError):
                continue
            if entry.name.isdigit() and int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(entry.name))
        return found

    def close(self) -> None:
        """End every process of it, whatever it does."""
        for pid in self.pids():
            os.kill(pid, 9)
        self.process.wait(10)
        until(lambda: not self.pids())


class Load:
    """Clients that connect, ask and leave, again and again; `failures` are what went wrong."""

    def __init__(self, pki: Pki, port: int, clients: int = 3, credential: Any = "client") -> None:
        self.done = 0
        self.failures: list[BaseException] = []
        self._port, self._context = port, context_of(pki, credential)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                once(self._port, self._context)
                self.done += 1
            except Exception as error:
                self.failures.append(error)

    def more(self, count: int) -> None:
        """Wait until so many more have succeeded."""
        before = self.done
        until(lambda: self.done >= before + count or self.failures, 30)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def once(port: int, context: ssl.SSLContext) -> None:
    """Connect, ask, hear the answer, leave."""
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as sock:
            sock.sendall(b"ping")
            assert exactly(sock, 4) == b"ping"
