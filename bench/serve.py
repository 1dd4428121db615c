"""Server CPU for mutual TLS: `twoway serve`, uvicorn, hypercorn and granian side by side in one run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twoway.authority import Authority
from twoway.tls import client_context

ROUNDS, CONNECTIONS, REQUESTS, IDLE = 5, 400, 900, 300
NAGLE = 50
KEPT = 3  # connections that each carry REQUESTS: some servers close after a thousand
_TICKS = os.sysconf("SC_CLK_TCK")
_APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@dataclass
class Peer:
    """One server under measurement: its name and how it is started on a port."""

    name: str
    version: str
    command: list[str]


def peers(place: Path, port: int) -> list[Peer]:
    key, cert, ca = (str(place / "api" / name) for name in ("key.pem", "cert.pem", "ca.pem"))
    here = str(Path(sys.executable).parent)
    at = ["--host", "127.0.0.1", "--port", str(port)]
    found = [
        Peer("twoway", importlib.metadata.version("twoway"), [f"{here}/twoway", "serve", "app:app", "--identity", str(place / "api"), "--no-access-log", *at]),
        Peer("uvicorn", importlib.metadata.version("uvicorn"), [f"{here}/uvicorn", "app:app", *at, "--ssl-keyfile", key, "--ssl-certfile", cert, "--ssl-ca-certs", ca, "--ssl-cert-reqs", "2", "--no-access-log", "--log-level", "warning", "--http", "httptools", "--loop", "uvloop"]),
    ]  # fmt: skip
    if _has("hypercorn"):
        found.append(Peer("hypercorn", importlib.metadata.version("hypercorn"), [f"{here}/hypercorn", "app:app", "-b", f"127.0.0.1:{port}", "--keyfile", key, "--certfile", cert, "--ca-certs", ca, "--verify-mode", "CERT_REQUIRED", "--log-level", "warning", "-k", "uvloop"]))  # fmt: skip
    if _has("granian"):
        found.append(Peer("granian", importlib.metadata.version("granian"), [f"{here}/granian", "app:app", "--interface", "asgi", *at, "--workers", "1", "--ssl-keyfile", key, "--ssl-certificate", cert, "--ssl-ca", ca, "--ssl-client-verify", "--no-access-log", "--log-level", "warning", "--http", "1"]))  # fmt: skip
    return found


def _has(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    total = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory(pid: int) -> int:
    """Proportional set size of the tree, in bytes."""
    total = 0
    for one in tree(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def connect(port: int, context: ssl.SSLContext, *, nagle: bool = False) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not nagle)
    return context.wrap_socket(sock, server_hostname="localhost")


def ask(sock: ssl.SSLSocket) -> None:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"ok"):
        part = sock.recv(65536)
        if not part:
            raise ConnectionError("the server closed")
        answer += part


@contextlib.contextmanager
def started(peer: Peer, place: Path, port: int, context: ssl.SSLContext) -> Iterator[int]:
    with (place / f"{peer.name}.log").open("ab") as log:
        process = subprocess.Popen(peer.command, cwd=place, stdout=log, stderr=log)
    try:
        for _ in range(500):
            if process.poll() is not None:
                raise RuntimeError(f"{peer.name} ended: {(place / f'{peer.name}.log').read_text()[-2000:]}")
            with contextlib.suppress(OSError), connect(port, context) as sock:
                ask(sock)
                break
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(pid: int, port: int, context: ssl.SSLContext) -> dict[str, float]:
    """CPU a new connection with one request, CPU a keep-alive request, the slowest exchange, memory when idle.

    And how long a new connection with one request takes a client that leaves Nagle's algorithm on: it waits for
    whatever is not acknowledged.
    """
    for _ in range(30):
        with connect(port, context) as sock:
            ask(sock)
    before = cpu_seconds(pid)
    for _ in range(CONNECTIONS):
        with connect(port, context) as sock:
            ask(sock)
    fresh = (cpu_seconds(pid) - before) / CONNECTIONS
    patient = []
    for _ in range(NAGLE):
        began = time.perf_counter()
        with connect(port, context, nagle=True) as sock:
            ask(sock)
        patient.append(time.perf_counter() - began)
    slowest = kept = 0.0
    for _ in range(KEPT):
        with connect(port, context) as sock:
            for _ in range(50):
                ask(sock)
            before = cpu_seconds(pid)
            for _ in range(REQUESTS):
                began = time.perf_counter()
                ask(sock)
                slowest = max(slowest, time.perf_counter() - began)
            kept += cpu_seconds(pid) - before
    kept /= KEPT * REQUESTS
    base = memory(pid)
    idle = []
    try:
        for _ in range(IDLE):
            sock = connect(port, context)
            ask(sock)
            idle.append(sock)
        held = (memory(pid) - base) / IDLE
    finally:
        for sock in idle:
            sock.close()
    return {
        "fresh_ms": fresh * 1e3,
        "kept_us": kept * 1e6,
        "slowest_ms": slowest * 1e3,
        "nagle_ms": statistics.median(patient) * 1e3,
        "idle_kb": held / 1024,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "app.py").write_text(_APP)
        authority = Authority.create(place / "pki", name="Bench", passphrase=b"bench")
        authority.issue_server("localhost").save(place / "api")
        authority.issue_client("load").save(place / "load")
        authority.close()
        context = client_context(place / "load")
        port = free_port()
        rivals = peers(place, port)
        runs: dict[str, list[dict[str, float]]] = {rival.name: [] for rival in rivals}
        for _ in range(ROUNDS):
            for rival in rivals:
                with started(rival, place, port, context) as pid:
                    runs[rival.name].append(measure(pid, port, context))
    report(rivals, runs)


def report(rivals: list[Peer], runs: dict[str, list[dict[str, float]]]) -> None:
    result = {
        name: {key: statistics.median(run[key] for run in all_) for key in all_[0]}
        for name, all_ in runs.items()
    }
    base = result["uvicorn"]
    print(
        f"{ssl.OPENSSL_VERSION} in the interpreter; medians of {ROUNDS} interleaved runs, ratios to uvicorn"
    )
    print(f"{'':22}{'new connection':>20}{'keep-alive':>20}{'idle':>18}{'slowest':>10}{'with Nagle':>13}")
    for rival in rivals:
        row = result[rival.name]
        print(
            f"{rival.name + ' ' + rival.version:22}"
            f"{row['fresh_ms']:9.2f} ms {row['fresh_ms'] / base['fresh_ms']:6.2f}x"
            f"{row['kept_us']:10.1f} us {row['kept_us'] / base['kept_us']:5.2f}x"
            f"{row['idle_kb']:9.1f} KB {row['idle_kb'] / base['idle_kb']:4.2f}x"
            f"{row['slowest_ms']:7.1f} ms{row['nagle_ms']:10.1f} ms"
        )
    if "--json" in sys.argv:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
