"""Server CPU of HTTP requests over open mutual-TLS connections: `twoway gateway server --http`, nginx, a Python proxy."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench._http_rivals import http_rivals, plain_nginx
from bench._rivals import Rival, started
from bench.gateway import Load
from bench.serve import cpu_seconds, free_port
from twoway.authority import Authority
from twoway.tls import client_context

ROUNDS, REQUESTS, TOGETHER = 5, 12_000, 8
_GET = (
    b"GET /orders/1223?expand=items HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip\r\nX-Request-Id: 7d9f3f50a1\r\nCookie: session=0123456789abcdef\r\n\r\n"
)
_POST = (
    b"POST /orders HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n"
    b"Content-Type: application/json\r\nContent-Length: 512\r\n\r\n" + b"x" * 512
)


class HttpLoad(Load):
    """The client's side: so many connections, a request on each, then all the answers."""

    def once(self) -> None:
        with self.connect() as sock:
            sock.sendall(_GET)
            if not sock.recv(65536).startswith(b"HTTP/1.1 200"):
                raise ConnectionError("no 200")

    def requests(self, count: int, request: bytes) -> None:
        socks = [self.connect() for _ in range(TOGETHER)]
        try:
            for _ in range(count // TOGETHER):
                for sock in socks:
                    sock.sendall(request)
                for sock in socks:
                    got = b""
                    while not got.endswith(b"ok\n"):
                        part = sock.recv(65536)
                        if not part:
                            raise ConnectionError("closed early")
                        got += part
        finally:
            for sock in socks:
                sock.close()


def measure(pid: int, load: HttpLoad) -> dict[str, float]:
    """Requests that one core of the server's CPU carries in a second."""
    found = {}
    for name, request in (("GET", _GET), ("POST 512", _POST)):
        load.requests(800, request)
        before = cpu_seconds(pid)
        load.requests(REQUESTS, request)
        found[name] = REQUESTS / (cpu_seconds(pid) - before)
    return found


@contextlib.contextmanager
def target(place: Path) -> Iterator[int]:
    """nginx that answers every request with a few bytes, or nothing to measure against."""
    port = free_port()
    command = plain_nginx(place, port)
    process = subprocess.Popen(command, cwd=place)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    rounds = 1 if "--quick" in sys.argv else ROUNDS
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        place = Path(name)
        authority = Authority.create(place / "pki", name="Bench", passphrase=b"bench")
        authority.issue_server("localhost").save(place / "api")
        authority.issue_client("load").save(place / "load")
        authority.close()
        behind = stack.enter_context(target(place))
        load = HttpLoad(client_context(place / "load"))
        everybody = http_rivals(place, behind)
        runs: dict[str, list[dict[str, float]]] = {rival.name: [] for rival in everybody}
        for _ in range(rounds):
            for rival in everybody:
                load.port = rival.port
                with started(rival, place, load.once) as pid:
                    runs[rival.name].append(measure(pid, load))
    report(everybody, runs, rounds)


def report(everybody: list[Rival], runs: dict[str, list[dict[str, float]]], rounds: int) -> None:
    result = {
        name: {key: statistics.median(run[key] for run in all_) for key in all_[0]}
        for name, all_ in runs.items()
    }
    ours = result["twoway"]
    print(f"requests/s for each core of server CPU, {TOGETHER} open connections; medians of {rounds} runs")
    print(f"{'':16}" + "".join(f"{key:>20}" for key in ours))
    for rival in everybody:
        row = result[rival.name]
        print(f"{rival.name:16}" + "".join(f"{row[key]:12,.0f} {row[key] / ours[key]:6.2f}x" for key in row))
    for rival in everybody:
        print(f"  {rival.name}: {rival.version}")
    if "--json" in sys.argv:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
