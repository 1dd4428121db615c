"""Issuance over HTTPS with authentication, audit and a durable commit, beside `cfssl serve` over plain HTTP with none.

    python -m bench.enroll [--seconds 5] [--clients 8] [--json]

Ours: `twoway ca serve` on SQLite with `synchronous=FULL`; each client has a connection of mutual TLS, its certificate a
role, and posts signing requests (P-256) to `/sign`; each answer is a chain whose row and audit entry are on the disk.
cfssl: Debian's `cfssl serve`, plain HTTP, no authentication, no store; the same requests to `/api/v1/cfssl/sign`.
Both are asked by the same load generator (raw sockets, keep-alive, one thread a client; ours with OpenSSL from
Python's ssl module), and both have one CA of P-256. The CPU of each server is read from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.issuance import signing_request
from bench.serve import free_port
from twoway.authority import Authority

ROUNDS = 3


class Load:
    """A number of clients, each with one connection, that ask the same thing again and again."""

    def __init__(self, connect: Callable[[], socket.socket], request: bytes, status: bytes) -> None:
        self._connect, self._request, self._status = connect, request, status

    def run(self, clients: int, seconds: float) -> tuple[int, float]:
        """How many answers there were, in how many seconds."""
        counts, errors = [0] * clients, []
        begin, stop = threading.Barrier(clients + 1), threading.Event()

        def work(index: int) -> None:
            try:
                with self._connect() as line:
                    self._ask(line)
                    begin.wait()
                    while not stop.is_set():
                        self._ask(line)
                        counts[index] += 1
            except BaseException as error:
                errors.append(error)
                begin.abort()

        threads = [threading.Thread(target=work, args=(index,)) for index in range(clients)]
        for thread in threads:
            thread.start()
        with contextlib.suppress(threading.BrokenBarrierError):
            begin.wait()
            started = time.perf_counter()
            time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return sum(counts), time.perf_counter() - started

    def _ask(self, line: socket.socket) -> None:
        line.sendall(self._request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(line)
        head, _, body = data.partition(b"\r\n\r\n")
        if self._status not in head.partition(b"\r\n")[0]:
            raise RuntimeError(f"{head!r} {body[:500]!r}")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if length is None:  # chunked: cfssl's answers are that when they are long
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more(line)
            return
        while len(body) < int(length[1]):
            body += self._more(line)

    @staticmethod
    def _more(line: socket.socket) -> bytes:
        data = line.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def post(path: str, body: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.contextmanager
def ours(place: Path, store: str | None = None) -> Iterator[tuple[Load, int]]:
    with Authority.create(place / "pki", name="Bench", no_passphrase=True, store=store) as authority:
        authority.issue_client("operator").save(place / "operator")
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "twoway"), "ca", "serve", "--ca-dir", str(place / "pki"),
        "--listen", f"127.0.0.1:{port}", "--role", "operator:cn=operator", "--no-access-log",
    ]  # fmt: skip
    context = ssl.create_default_context(cafile=place / "operator" / "ca.pem")
    context.load_cert_chain(place / "operator" / "cert.pem", place / "operator" / "key.pem")

    def connect() -> socket.socket:
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(line, server_hostname="localhost")

    request = post("/sign?profile=client", signing_request(), "application/pkcs10")
    with serving(command, port) as pid:
        yield Load(connect, request, b" 201 "), pid


@contextlib.contextmanager
def cfssl(place: Path, program: str) -> Iterator[tuple[Load, int]]:
    names = {"CN": "Bench", "key": {"algo": "ecdsa", "size": 256}}
    made = subprocess.run(
        [program, "gencert", "-initca", "-"],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(made.stdout)
    (place / "ca.pem").write_text(answer["cert"])
    (place / "ca-key.pem").write_text(answer["key"])
    usages = {"usages": ["signing", "client auth"], "expiry": "2160h"}
    (place / "config.json").write_text(json.dumps({"signing": {"default": usages}}))
    port = free_port()
    command = [
        program, "serve", "-address", "127.0.0.1", "-port", str(port), "-loglevel", "5",
        "-ca", str(place / "ca.pem"), "-ca-key", str(place / "ca-key.pem"), "-config", str(place / "config.json"),
    ]  # fmt: skip

    def connect() -> socket.socket:
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    body = json.dumps({"certificate_request": signing_request().decode()}).encode()
    with serving(command, port) as pid:
        yield Load(connect, post("/api/v1/cfssl/sign", body, "application/json"), b" 200 "), pid


@contextlib.contextmanager
def serving(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} did not start") from None
                time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(load: Load, pid: int, clients: int, seconds: float) -> dict[str, float]:
    load.run(clients, 0.5)
    before = cpu_of(pid)
    answers, took = load.run(clients, seconds)
    used = cpu_of(pid) - before
    return {"per_second": round(answers / took), "cpu_ms": round(used / answers * 1000, 3)}


def measure(clients: int, seconds: float) -> dict[str, Any]:
    program = shutil.which("cfssl")
    rounds: dict[str, list[dict[str, float]]] = {"twoway": [], "cfssl": []}
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        place = Path(directory)
        (place / "cfssl").mkdir()
        servers = {"twoway": stack.enter_context(ours(place))}
        if program is not None:
            servers["cfssl"] = stack.enter_context(cfssl(place / "cfssl", program))
        for _ in range(ROUNDS):
            for name, (load, pid) in servers.items():
                rounds[name].append(measured(load, pid, clients, seconds))
        with Authority.open(place / "pki") as authority:
            checked = authority.verify_audit()
    best = {name: max(found, key=lambda one: one["per_second"]) for name, found in rounds.items() if found}
    report: dict[str, Any] = {
        "clients": clients,
        "rounds": rounds,
        "best": best,
        "audit": {"rows": checked.rows, "certificates": checked.certificates},
    }
    if "cfssl" in best:
        report["ratio"] = round(best["twoway"]["per_second"] / best["cfssl"]["per_second"], 2)
    return report


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--clients", type=int, default=8, help="at once, each with one connection")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    report = measure(options.clients, options.seconds)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{'server':<10} {'certificates/s':>15} {'CPU ms each':>12}   of each round")
    for name, best in report["best"].items():
        rounds = ", ".join(str(one["per_second"]) for one in report["rounds"][name])
        print(f"{name:<10} {best['per_second']:>15} {best['cpu_ms']:>12}   {rounds}")
    if "ratio" in report:
        print(f"twoway : cfssl = {report['ratio']} (to reach 0.35, aimed at 0.5)")
    else:
        print("cfssl is not installed: apt install golang-cfssl")
    print(f"the audit log holds together over {report['audit']['certificates']} certificates")


if __name__ == "__main__":
    main(sys.argv[1:])
