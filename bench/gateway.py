"""Server CPU of a mutual-TLS relay: `twoway gateway`, nginx, HAProxy, hitch and stunnel side by side."""

from __future__ import annotations

import contextlib
import datetime
import json
import resource
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench._rivals import Rival, rivals, started, twoway
from bench._written import write
from bench.serve import cpu_seconds, free_port, memory
from twoway.authority import Authority
from twoway.authority.crl import Entry, build, pem
from twoway.tls import client_context

ROUNDS, HANDSHAKES, IDLE, PINGS = 5, 400, 400, 2000
RULES, ENTRIES = 1_000, 100_000
BULK, SMALL = 256 << 20, 48 << 20
_BLOCK = b"x" * 65536

# First byte of a connection: E echoes each message, S swallows and tells how much, D sends as much as is asked.
_BACKEND = """
import contextlib, socket, sys, threading, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
threading.stack_size(256 * 1024)
def serve(sock):
    block = b"x" * 65536
    with sock, contextlib.suppress(OSError, ValueError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = sock.recv(1)
        if kind == b"E":
            while data := sock.recv(65536):
                sock.sendall(data)
        elif kind == b"S":
            left = int(sock.recv(16))
            while left > 0:
                left -= len(sock.recv(262144))
            sock.sendall(b"done")
        elif kind == b"D":
            left, size = map(int, sock.recv(32).split())
            for _ in range(left // size):
                sock.sendall(block[:size])
def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
accept(listener)
"""


class Load:
    """The client's side: the same calls against every rival."""

    def __init__(self, context: ssl.SSLContext, port: int = 0) -> None:
        self.context, self.port = context, port

    def connect(self, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(sock, server_hostname="localhost", session=session)

    def exchange(self, session: ssl.SSLSession | None = None) -> ssl.SSLSession | None:
        """A handshake and one short message there and back."""
        with self.connect(session) as sock:
            if session is not None and not sock.session_reused:
                raise RuntimeError("the session was not resumed")
            sock.sendall(b"E" + b"m" * 100)
            got = 0
            while got < 100:
                part = sock.recv(4096)
                if not part:
                    raise ConnectionError("closed early")
                got += len(part)
            return sock.session

    def upload(self, total: int, size: int) -> None:
        with self.connect() as sock:
            sock.sendall(b"S")
            time.sleep(0.02)
            sock.sendall(f"{total:16}".encode())
            time.sleep(0.02)
            block = _BLOCK[:size]
            for _ in range(total // size):
                sock.sendall(block)
            if sock.recv(4) != b"done":
                raise ConnectionError("not everything arrived")

    def download(self, total: int, size: int) -> None:
        with self.connect() as sock:
            sock.sendall(b"D")
            time.sleep(0.02)
            sock.sendall(f"{total} {size}".encode())
            left = total
            buffer = memoryview(bytearray(262144))
            while left > 0:
                count = sock.recv_into(buffer)
                if not count:
                    raise ConnectionError("closed early")
                left -= count

    def pings(self, count: int) -> list[float]:
        """Seconds of each exchange over one open connection."""
        times = []
        with self.connect() as sock:
            sock.sendall(b"E")
            for _ in range(count):
                began = time.perf_counter()
                sock.sendall(b"p" * 64)
                got = 0
                while got < 64:
                    got += len(sock.recv(4096))
                times.append(time.perf_counter() - began)
        return times


@contextlib.contextmanager
def running(rival: Rival, place: Path, load: Load) -> Iterator[int]:
    """The rival started, and the load aimed at it."""
    load.port = rival.port
    with started(rival, place, load.exchange) as pid:
        yield pid


def spent(pid: int, work: object) -> float:
    before = cpu_seconds(pid)
    work()  # type: ignore[operator]
    return cpu_seconds(pid) - before


def measure(pid: int, load: Load, *, everything: bool = True) -> dict[str, float]:
    """Milliseconds a handshake, seconds a GB in both directions (mean), kilobytes an idle connection."""
    for _ in range(30):
        load.exchange()
    found = {
        "handshake_ms": spent(pid, lambda: [load.exchange() for _ in range(HANDSHAKES)]) / HANDSHAKES * 1e3
    }
    if not everything:
        return found
    gigabyte = 1 << 30
    for key, total, size in (("bulk_64k", BULK, 65536), ("bulk_1k", SMALL, 1024)):
        both = spent(pid, lambda t=total, s=size: load.upload(t, s))
        both += spent(pid, lambda t=total, s=size: load.download(t, s))
        found[key] = both / 2 / total * gigabyte
    base = memory(pid)
    idle = []
    try:
        for _ in range(IDLE):
            sock = load.connect()
            sock.sendall(b"Em")
            sock.recv(1)
            idle.append(sock)
        found["idle_kb"] = (memory(pid) - base) / IDLE / 1024
    finally:
        for sock in idle:
            sock.close()
    return found


@contextlib.contextmanager
def backend(place: Path) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", _BACKEND, str(port)], cwd=place)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        place = Path(name)
        authority = Authority.create(place / "pki", name="Bench", passphrase=b"bench")
        authority.issue_server("localhost").save(place / "api")
        authority.issue_client("load").save(place / "load")
        (place / "crl.pem").write_bytes(large_list(authority))
        authority.close()
        behind = stack.enter_context(backend(place))
        load = Load(client_context(place / "load"))
        everybody = rivals(place, behind)
        runs: dict[str, list[dict[str, float]]] = {rival.name: [] for rival in everybody}
        resumed: list[float] = []
        for _ in range(ROUNDS):
            for rival in everybody:
                with running(rival, place, load) as pid:
                    runs[rival.name].append(measure(pid, load))
                    if rival.name == "twoway":
                        resumed.append(_resumed(pid, load))
        extra = _alone(place, behind, load)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    report(everybody, runs, resumed, extra)


def _resumed(pid: int, load: Load) -> float:
    session = load.exchange()

    def work() -> None:
        nonlocal session
        for _ in range(HANDSHAKES):
            session = load.exchange(session)

    return spent(pid, work) / HANDSHAKES * 1e3


def large_list(authority: Authority) -> bytes:
    """Lists of the authority's CAs as PEM; the issuing one's has many serial numbers of nobody."""
    now = datetime.datetime.now(datetime.UTC)
    issuing = authority.cas.publishing(now)[0]
    entries = [Entry(secrets.randbits(159), int(now.timestamp()), "superseded") for _ in range(ENTRIES)]
    large = build(
        authority.cas.signer(issuing, "sign a large list"),
        number=1000,
        this_update=now.replace(microsecond=0),
        next_update=now.replace(microsecond=0) + datetime.timedelta(days=7),
        entries=entries,
    )
    return b"".join(map(pem, (large, *authority.crls()[1:])))


def _alone(place: Path, behind: int, load: Load) -> dict[str, float]:
    """What only concerns ourselves: a large policy and list, many idle connections, latency."""
    rules = "".join(f'[[allow]]\nuri = "spiffe://bench.example/service/{n}"\n' for n in range(RULES))
    (place / "policy.toml").write_text(rules + '[[allow]]\ncn = "load"\n')
    found: dict[str, float] = {}
    plain, heavy = [], []
    for _ in range(ROUNDS):
        with running(twoway(place, behind), place, load) as pid:
            plain.append(measure(pid, load, everything=False)["handshake_ms"])
        rival = twoway(place, behind, "--policy", str(place / "policy.toml"), "--crl", str(place / "crl.pem"))
        with running(rival, place, load) as pid:
            heavy.append(measure(pid, load, everything=False)["handshake_ms"])
    found["policy_ratio"] = statistics.median(heavy) / statistics.median(plain)
    with running(twoway(place, behind), place, load) as pid:
        times = sorted(load.pings(PINGS))
        found["ping_p50_ms"], found["ping_p99_ms"] = times[PINGS // 2] * 1e3, times[PINGS * 99 // 100] * 1e3
        before = measure(pid, load, everything=False)["handshake_ms"]
        held = [load.connect() for _ in range(5000)]
        found["with_5000_idle_ratio"] = measure(pid, load, everything=False)["handshake_ms"] / before
        for sock in held:
            sock.close()
    return found


def report(
    everybody: list[Rival],
    runs: dict[str, list[dict[str, float]]],
    resumed: list[float],
    extra: dict[str, float],
) -> None:
    result = {
        name: {key: statistics.median(run[key] for run in all_) for key in all_[0]}
        for name, all_ in runs.items()
    }
    others = [result[name] for name in ("nginx", "haproxy") if name in result]
    best = {key: min(one[key] for one in others) for key in others[0]} if others else result["twoway"]
    print(f"medians of {ROUNDS} interleaved runs; ratios to the better of nginx and HAProxy")
    print(f"{'':10}{'handshake':>18}{'bulk 64 KiB':>20}{'bulk 1 KiB':>20}{'idle':>20}")
    for rival in everybody:
        row = result[rival.name]
        print(
            f"{rival.name:10}"
            + f"{row['handshake_ms']:9.3f} ms {row['handshake_ms'] / best['handshake_ms']:5.2f}x"
            + "".join(f"{row[key]:8.2f} s/GB {row[key] / best[key]:5.2f}x" for key in ("bulk_64k", "bulk_1k"))
            + f"{row['idle_kb']:9.1f} KB {row['idle_kb'] / best['idle_kb']:5.2f}x"
        )
    for rival in everybody:
        print(f"  {rival.name}: {rival.version}")
    full = result["twoway"]["handshake_ms"]
    middle = statistics.median(resumed)
    print(f"resumed handshake {middle:.3f} ms, {middle / full:.2f}x the full one")
    print(
        f"with a policy of {RULES + 1:,} rules and a list of {ENTRIES:,} {extra['policy_ratio']:.3f}x; with 5,000 idle {extra['with_5000_idle_ratio']:.3f}x"
    )
    print(
        f"request over an open connection: p50 {extra['ping_p50_ms']:.3f} ms, p99 {extra['ping_p99_ms']:.3f} ms"
    )
    if "--json" in sys.argv:
        print(json.dumps({"table": result, "resumed_ms": middle, **extra}))
    write(
        "gateway",
        "Server CPU and memory of a mutual-TLS relay: less is better",
        result,
        {
            "handshake_ms": "handshake, ms",
            "bulk_64k": "bulk in 64 KiB, s per GB",
            "bulk_1k": "bulk in 1 KiB, s per GB",
            "idle_kb": "idle connection, KB",
        },
        notes=[
            f"medians of {ROUNDS} interleaved runs, one worker each, `python -m bench gateway`",
            *(f"{rival.name}: {rival.version}" for rival in everybody),
        ],
        more={"resumed_ms": middle, **extra},
    )


if __name__ == "__main__":
    main()
