"""Foreign servers that demand a client certificate: one port for each key type and TLS version."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.conftest import judge
from tests.judges.identities import VERSIONS, Identities
from tests.judges.speaking import ended, environment, program

SERVERS = ("openssl", "gnutls", "java", "node", "python3.13", "nginx", "uvicorn")
Everybody = Mapping[str, Identities]
Ports = dict[tuple[str, str], int]
_SECONDS = 20.0

STOCK_APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})
"""
# The numbers of ssl.PROTOCOL_TLS_SERVER and of ssl.PROTOCOL_TLSv1_2, as uvicorn's command line takes them.
_UVICORN_VERSIONS = {"TLSv1.3": "17", "TLSv1.2": "5"}


@contextlib.contextmanager
def server(name: str, everybody: Everybody, place: Path) -> Iterator[Ports]:
    """All ports of the foreign server of this name, ready, for as long as the block lasts."""
    start = {"openssl": _openssl, "nginx": _nginx, "uvicorn": _uvicorn}.get(name)
    if start is not None:
        with start(everybody, place) as ports:
            yield ports
        return
    with program(name, place) as started:
        yield {
            (key_type, version): int(
                started.ask("serve", version, identities.directory("server"), identities.trust)[0]
            )
            for key_type, identities in everybody.items()
            for version in VERSIONS
        }


@contextlib.contextmanager
def _openssl(everybody: Everybody, place: Path) -> Iterator[Ports]:
    """One `s_server` a port; `-www` tells about the connection in a page, the client's certificate with it."""

    def command(identities: Identities, version: str) -> list[str]:
        own = identities.directory("server")
        return [
            *(judge("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www", f"-tls1_{version[-1]}"),
            *("-cert", f"{own}/cert.pem", "-cert_chain", f"{own}/cert.pem", "-key", f"{own}/key.pem"),
            *("-CAfile", str(identities.trust), "-Verify", "3", "-verify_return_error", "-x509_strict"),
        ]

    with _processes(everybody, place / "s_server", command, r"ACCEPT 127\.0\.0\.1:(\d+)") as ports:
        yield ports


@contextlib.contextmanager
def _uvicorn(everybody: Everybody, place: Path) -> Iterator[Ports]:
    """Stock uvicorn from its command line, one process a port, as people start it."""
    (place / "stock.py").write_text(STOCK_APP)

    def command(identities: Identities, version: str) -> list[str]:
        return [*uvicorn_command(identities, place), "--ssl-version", _UVICORN_VERSIONS[version]]

    with _processes(everybody, place / "uvicorn", command, r"running on https://127\.0\.0\.1:(\d+)") as ports:
        yield ports


def uvicorn_command(identities: Identities, place: Path) -> list[str]:
    """A stock uvicorn for the application `stock.py` in `place`."""
    own = identities.directory("server")
    return [
        *(sys.executable, "-m", "uvicorn", "stock:app", "--app-dir", str(place), "--port", "0"),
        *("--ssl-certfile", f"{own}/cert.pem", "--ssl-keyfile", f"{own}/key.pem"),
        *("--ssl-ca-certs", str(identities.trust), "--ssl-cert-reqs", "2"),
    ]


@contextlib.contextmanager
def _processes(
    everybody: Everybody, logs: Path, command: Callable[[Identities, str], list[str]], ready: str
) -> Iterator[Ports]:
    """Start them all at once, then wait for each to say its port."""
    logs.mkdir()
    with contextlib.ExitStack() as stack:
        started = {}
        for key_type, identities in everybody.items():
            for version in VERSIONS:
                log = logs / f"{key_type}-{version}.log"
                started[key_type, version] = stack.enter_context(logged(command(identities, version), log))
        yield {which: int(said(process, log, ready)) for which, (process, log) in started.items()}


@contextlib.contextmanager
def logged(
    command: list[str], log: Path, cwd: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process whose output goes to a file, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(), cwd=cwd
        )
    try:
        yield process, log
    finally:
        process.terminate()
        ended(process)


def said(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    """What the pattern's group matches in the log, as soon as it is there."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if found := re.search(pattern, log.read_text()):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"{process.args!r} did not become ready: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def _nginx(everybody: Everybody, place: Path) -> Iterator[Ports]:
    """One nginx with a `server` block a port; it cannot be asked for a free one, so they are found before."""
    prefix = place / "nginx"
    prefix.mkdir()
    for _ in range(3):
        ports = dict(
            zip(((k, v) for k in everybody for v in VERSIONS), free_ports(len(everybody) * 2), strict=True)
        )
        (prefix / "nginx.conf").write_text(_nginx_conf(everybody, ports))
        command = [judge("nginx"), "-p", str(prefix), "-c", "nginx.conf", "-e", "stderr"]
        with logged(command, prefix / "nginx.log") as (process, _):
            if _accepting(process, ports):
                yield ports
                return
    raise AssertionError((prefix / "nginx.log").read_text())


def _nginx_conf(everybody: Everybody, ports: Ports) -> str:
    paths = "".join(
        f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    blocks = []
    for (key_type, version), port in ports.items():
        own = everybody[key_type].directory("server")
        blocks.append(f"""
        server {{
            listen 127.0.0.1:{port} ssl;
            ssl_protocols {version};
            ssl_certificate {own}/cert.pem;
            ssl_certificate_key {own}/key.pem;
            ssl_client_certificate {everybody[key_type].trust};
            ssl_verify_client on;
            ssl_verify_depth 3;
            location / {{ return 200 '{{"pem": "$ssl_client_escaped_cert", "version": "$ssl_protocol"}}'; }}
        }}""")
    return (
        "daemon off; master_process off; pid nginx.pid; error_log stderr warn; events {}\n"
        f"http {{ access_log off; default_type application/json; {paths} {''.join(blocks)} }}\n"
    )


def _accepting(process: subprocess.Popen[bytes], ports: Ports) -> bool:
    end = time.monotonic() + _SECONDS
    for port in ports.values():
        while True:
            if process.poll() is not None or time.monotonic() > end:
                return False
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
    return process.poll() is None


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listened on a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in found]
