"""The admin socket: a UNIX socket of the owner alone; one JSON object a line in, one a line out (see desk.py)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from twoway.errors import ConfigError
from twoway.gateway.desk import BadRequest, Desk, read_request
from twoway.gateway.loop import READ, WRITE, Loop

_MAX_LINE = 65536
_MAX_CLIENTS = 16
_MAX_PATH = 107  # unix(7)


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


class GatewaySaidNo(ConfigError):
    """A running gateway did not do what it was asked for."""

    code = "gateway_said_no"

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer

    def __str__(self) -> str:
        return self.answer

    @property
    def remedy(self) -> str:
        return "its log says more; `twoway gateway check FILE` tries what the next start would do"


class AdminPlaceTaken(ConfigError):
    """Something is at the path of the admin socket that is not to be replaced, or nothing can be there."""

    code = "admin_place_taken"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the admin socket cannot be at {self.path}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "choose a path of its own in a directory that exists"


def check_place(path: str | Path, *, taken: bool = False) -> None:
    """Raises AdminPlaceTaken for what is no socket, or one that a gateway answers at, unless it may be `taken`."""
    place = Path(path)
    if not place.parent.is_dir():
        raise AdminPlaceTaken(str(path), f"there is no directory {place.parent}")
    if len(os.fsencode(f"{path}.{2**22}")) > _MAX_PATH:
        raise AdminPlaceTaken(str(path), "the path is too long for a socket")
    if place.is_symlink() or (place.exists() and not place.is_socket()):
        raise AdminPlaceTaken(str(path), "a file is there that is no socket")
    if taken or not place.exists():
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(str(path))
        raise AdminPlaceTaken(str(path), "another gateway answers there")


class Admin:
    """Answers on the gateway's own loop; who may open the socket may do everything here.

    Made under another name, and given its own by `start`: a gateway that does not come up leaves the socket of
    the one that runs alone.
    """

    def __init__(self, desk: Desk, loop: Loop, path: str | Path) -> None:
        self._desk, self._loop, self.path = desk, loop, str(path)
        self._made = f"{self.path}.{os.getpid()}"
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._made)
            self._sock.bind(self._made)
        except OSError as error:
            self._sock.close()
            raise AdminUnreachable(self.path, error.strerror or str(error)) from None
        finally:
            os.umask(before)
        self._clients: set[_Client] = set()
        self._has_path = False

    def take_path(self) -> None:
        """Be found under the path that was asked for; raises AdminUnreachable."""
        try:
            os.replace(self._made, self.path)
        except OSError as error:
            raise AdminUnreachable(self.path, error.strerror or str(error)) from None
        self._has_path = True

    def start(self) -> None:
        """Answer from now on, under the path that was asked for; raises AdminUnreachable."""
        self._sock.listen(8)
        if not self._has_path:
            self.take_path()
        self._loop.watch(self._sock.fileno(), self._on_accept, READ)

    def own(self, uid: int, gid: int) -> None:
        """Make the socket somebody else's, who will then be its owner."""
        os.chown(self._made, uid, gid)

    def close(self, *, leave_path: bool = False) -> None:
        """Answer no more. `leave_path`: the path is another process's by now."""
        if self._sock.fileno() < 0:
            return
        for client in tuple(self._clients):
            client.end()
        self._loop.forget(self._sock.fileno())
        self._sock.close()
        if not leave_path:
            with contextlib.suppress(OSError):
                Path(self.path if self._has_path else self._made).unlink(missing_ok=True)

    def _on_accept(self, _: int) -> None:
        try:
            sock, _address = self._sock.accept()
        except OSError:
            return
        if len(self._clients) >= _MAX_CLIENTS:
            sock.close()
            return
        self._clients.add(_Client(self._desk, self._loop, sock, self._clients))


class _Client:
    """One who asks: its requests are answered one after the other."""

    def __init__(self, desk: Desk, loop: Loop, sock: socket.socket, others: set[_Client]) -> None:
        self._desk, self._loop, self._sock, self._others = desk, loop, sock, others
        self._asked, self._answer = bytearray(), bytearray()
        self._waits = False
        sock.setblocking(False)
        loop.watch(sock.fileno(), self._on_event, READ)

    def end(self) -> None:
        if self._sock.fileno() >= 0:
            self._others.discard(self)
            self._loop.close(self._sock)

    def _on_event(self, events: int) -> None:
        try:
            if self._answer:
                del self._answer[: self._sock.send(self._answer)]
            elif events & READ:
                data = self._sock.recv(_MAX_LINE)
                self._asked += data
                if not data or len(self._asked) > _MAX_LINE:
                    self.end()
                    return
        except BlockingIOError:
            pass
        except OSError:
            self.end()
            return
        self._go_on()

    def _go_on(self) -> None:
        """Take the next request, if the last one has been answered and its answer has been taken."""
        while not self._answer and not self._waits and b"\n" in self._asked:
            line, _, rest = bytes(self._asked).partition(b"\n")
            self._asked[:] = rest
            self._waits = True
            try:
                self._desk.ask(read_request(line), self._reply)
            except BadRequest as error:
                self._reply({"error": str(error)})
        if self._sock.fileno() >= 0:
            self._loop.rewatch(self._sock.fileno(), self._on_event, WRITE if self._answer else READ)

    def _reply(self, answer: dict[str, Any]) -> None:
        self._waits = False
        if self._sock.fileno() < 0:
            return
        self._answer += json.dumps(answer, default=str).encode() + b"\n"
        self._loop.rewatch(self._sock.fileno(), self._on_event, WRITE)


def ask(path: str | Path, request: dict[str, Any], *, timeout: float = 10.0) -> dict[str, Any]:
    """Ask a running gateway, blocking; raises AdminUnreachable."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = bytearray()
            while not answer.endswith(b"\n"):
                part = sock.recv(65536)
                if not part:
                    raise AdminUnreachable(str(path), "it hung up")
                answer += part
    except OSError as error:
        raise AdminUnreachable(str(path), error.strerror or str(error)) from None
    found: dict[str, Any] = json.loads(answer)
    return found
