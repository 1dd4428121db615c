"""Servers of others as they are set up, with what they write when they refuse somebody, and at a bad start."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import judge
from tests.doctor.servers import go_server
from tests.judges.identities import Identities
from tests.judges.servers import _accepting, free_ports, logged, said
from tests.judges.speaking import environment

_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_SECONDS = 10.0
# port, directory of the server's identity, who is trusted, a directory to work in
Command = Callable[[int, Path, Identities, Path], list[str]]


def _nginx(port: int, own: Path, identities: Identities, place: Path) -> list[str]:
    paths = "".join(f"{one}_temp_path {one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(
        "daemon off; master_process off; pid nginx.pid; error_log stderr info; events {}\n"
        f"http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3; "
        f"ssl_certificate {own}/cert.pem; ssl_certificate_key {own}/key.pem; ssl_verify_client on; "
        f"ssl_client_certificate {identities.trust}; ssl_crl {identities.directory('server')}/crl.pem; "
        "ssl_verify_depth 3; location / { return 200 'ok'; } } }\n"
    )
    return [judge("nginx"), "-p", str(place), "-c", "nginx.conf", "-e", "stderr"]


def _haproxy(port: int, own: Path, identities: Identities, place: Path) -> list[str]:
    (place / "both.pem").write_bytes((own / "cert.pem").read_bytes() + (own / "key.pem").read_bytes())
    crl = identities.directory("server") / "crl.pem"
    (place / "haproxy.cfg").write_text(
        "global\n  log stdout format raw local0 info\n"
        "defaults\n  mode http\n  log global\n  option httplog\n"
        "  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n"
        f"frontend fe\n  bind 127.0.0.1:{port} ssl crt {place}/both.pem ca-file {identities.trust} "
        f"verify required crl-file {crl}\n  http-request return status 200\n"
    )
    return [judge("haproxy"), "-db", "-f", str(place / "haproxy.cfg")]


def _openssl(port: int, own: Path, identities: Identities, place: Path) -> list[str]:
    command = [judge("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-www"]
    command += ["-cert", f"{own}/cert.pem", "-cert_chain", f"{own}/cert.pem", "-key", f"{own}/key.pem"]
    return [*command, "-CAfile", str(identities.trust), "-Verify", "3", "-verify_return_error"]


def _go(port: int, own: Path, identities: Identities, place: Path) -> list[str]:
    return [str(go_server()), str(own)]


COMMANDS: dict[str, Command] = {"nginx": _nginx, "HAProxy": _haproxy, "openssl": _openssl, "Go": _go}


@dataclass(frozen=True)
class Server:
    """A running server and its log."""

    port: int
    log: Path

    def says(self, act: Callable[[], object]) -> str:
        """What it writes about what `act` does to it."""
        before, end = len(self.log.read_bytes()), time.monotonic() + _SECONDS
        act()
        while time.monotonic() < end:
            if text := self.log.read_bytes()[before:].decode("utf-8", "replace"):
                time.sleep(0.05)  # the rest of what it writes in one go
                return text + self.log.read_bytes()[before + len(text.encode()) :].decode("utf-8", "replace")
            time.sleep(0.01)
        raise AssertionError(f"{self.log} says nothing")

    def answer_to_http(self) -> str:
        """What it answers to somebody who forgot TLS."""
        with socket.create_connection(("127.0.0.1", self.port), _SECONDS) as sock:
            sock.settimeout(_SECONDS)
            sock.sendall(_GET)
            got = b""
            with contextlib.suppress(ConnectionError):
                while part := sock.recv(65536):
                    got += part
        return got.decode("latin-1")


@contextlib.contextmanager
def refusing(name: str, identities: Identities, place: Path) -> Iterator[Server]:
    """A server of this name that demands a certificate of Acme and knows who is revoked."""
    place.mkdir()
    own = identities.directory("server")
    for _ in range(3):
        (port,) = free_ports(1)
        log = place / "log"
        with logged(COMMANDS[name](port, own, identities, place), log) as (process, _):
            if name == "Go":
                yield Server(int(said(process, log, r"serving (\d+)")), log)
                return
            if _accepting(process, {("", ""): port}):
                yield Server(port, log)
                return
    raise AssertionError(log.read_text())


def at_start(name: str, own: Path, identities: Identities, place: Path) -> str:
    """What it says when it is started with this identity, with which it cannot start."""
    place.mkdir()
    (port,) = free_ports(1)
    done = subprocess.run(
        COMMANDS[name](port, own, identities, place),
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr
