"""The admin socket: a UNIX socket of the owner alone; one JSON object a line in, one a line out.

{"do": "status"} · {"do": "connections"} · {"do": "cut", "listener": NAME, "number": N} · {"do": "reload"} · {"do": "drain"}
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twoway.errors import ConfigError
from twoway.gateway.faults import OutlivedLimit
from twoway.gateway.loop import READ, WRITE

if TYPE_CHECKING:
    from twoway.gateway.running import Gateway

_MAX_LINE = 65536
_MAX_CLIENTS = 16


class AdminUnreachable(ConfigError):
    """No gateway answers at an admin socket."""

    code = "admin_unreachable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"no gateway answers at {self.path}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "start the gateway with --admin PATH, as the same user, and pass the same path"


class Admin:
    """Answers on the gateway's own loop; who may open the socket may do everything here."""

    def __init__(self, gateway: Gateway, path: str | Path) -> None:
        self._gateway, self.path = gateway, str(path)
        if gateway.options.workers > 1:
            self.path = f"{self.path}.{os.getpid()}"
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        before = os.umask(0o177)
        try:
            self._sock.bind(self.path)
        except OSError as error:
            self._sock.close()
            raise AdminUnreachable(self.path, error.strerror or str(error)) from None
        finally:
            os.umask(before)
        self._clients: dict[int, tuple[socket.socket, bytearray, bytearray]] = {}

    def start(self) -> None:
        self._sock.listen(8)
        self._gateway.loop.watch(self._sock.fileno(), self._on_accept, READ)

    def close(self) -> None:
        if self._sock.fileno() < 0:
            return
        for sock, _, _ in self._clients.values():
            sock.close()
        self._sock.close()
        Path(self.path).unlink(missing_ok=True)

    def _on_accept(self, _: int) -> None:
        try:
            sock, _address = self._sock.accept()
        except OSError:
            return
        if len(self._clients) >= _MAX_CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        fd = sock.fileno()
        self._clients[fd] = sock, bytearray(), bytearray()
        self._gateway.loop.watch(fd, lambda events: self._on_client(fd, events), READ)

    def _on_client(self, fd: int, events: int) -> None:
        sock, asked, answer = self._clients[fd]
        try:
            if not answer:
                data = sock.recv(_MAX_LINE)
                asked += data
                if not data or len(asked) > _MAX_LINE:
                    self._end(fd)
                    return
                while b"\n" in asked:
                    line, _, rest = bytes(asked).partition(b"\n")
                    asked[:] = rest
                    answer += json.dumps(self._answer(line), default=str).encode() + b"\n"
            sent = sock.send(answer) if answer else 0
            del answer[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._end(fd)
            return
        self._gateway.loop.rewatch(fd, lambda events: self._on_client(fd, events), WRITE if answer else READ)

    def _end(self, fd: int) -> None:
        sock, _, _ = self._clients.pop(fd)
        self._gateway.loop.close(sock)

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            act = request["do"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": 'expected one JSON object a line, with a key "do"'}
        if act == "status":
            return status(self._gateway)
        if act == "connections":
            return {"connections": [_told(one) for f in self._gateway.frontends for one in f.connections]}
        if act == "cut":
            return {"cut": self._cut(request)}
        if act == "reload":
            self._gateway.request_reload()
            return {"reload": "asked for"}
        if act == "drain":
            self._gateway.stop()
            return {"drain": "begun"}
        return {"error": f"there is no {act!r}; there are status, connections, cut, reload, drain"}

    def _cut(self, request: dict[str, Any]) -> int:
        """By number, or every connection of a peer by its fingerprint."""
        cut = 0
        for frontend in self._gateway.frontends:
            if request.get("listener") not in (None, frontend.name):
                continue
            for one in tuple(frontend.connections):
                by_number = request.get("number") is not None and one.number == request["number"]
                by_peer = one.peer is not None and one.peer.fingerprint == request.get("fingerprint")
                if by_number or by_peer:
                    one.cut(OutlivedLimit("cut by the operator"))
                    cut += 1
        return cut


def status(gateway: Gateway) -> dict[str, Any]:
    """The whole gateway as one JSON object."""
    return {
        "pid": os.getpid(),
        "uptime_seconds": round(gateway.loop.now - gateway.began, 1),
        "draining": gateway.draining,
        "ready": not gateway.draining and all(f.backend.is_ready for f in gateway.frontends),
        "listeners": [frontend.status() for frontend in gateway.frontends],
    }


def _told(connection: Any) -> dict[str, Any]:
    peer, relay, frontend = connection.peer, connection.relay, connection.frontend
    up, down = relay.carried if relay is not None else (0, 0)
    return {
        "listener": frontend.name,
        "number": connection.number,
        "stage": connection.stage,
        "address": connection.told_address,
        "peer": peer.describe() if peer is not None else None,
        "fingerprint": peer.fingerprint if peer is not None else None,
        "tls": peer.tls_version if peer is not None else None,
        "resumed": peer.resumed if peer is not None else None,
        "seconds": round(frontend.loop.now - connection.since, 1),
        "up": up,
        "down": down,
    }


def ask(path: str | Path, request: dict[str, Any], *, timeout: float = 5.0) -> dict[str, Any]:
    """Ask a running gateway, blocking; raises AdminUnreachable."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = sock.recv(65536)
                if not part:
                    raise AdminUnreachable(str(path), "it hung up")
                answer += part
    except OSError as error:
        raise AdminUnreachable(str(path), error.strerror or str(error)) from None
    found: dict[str, Any] = json.loads(answer)
    return found
