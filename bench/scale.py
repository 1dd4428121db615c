"""What one core of a gateway carries, and what more workers, reloads and restarts cost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench._rivals import Rival, twoway
from bench.gateway import HANDSHAKES, ROUNDS, Load, backend, running, spent
from bench.serve import memory
from twoway.authority import Authority
from twoway.tls import client_context

_TRIES = 60


def gateway(place: Path, behind: int, workers: int) -> Rival:
    more = ("--allow-anyone-proven", "--workers", str(workers), "--admin", str(place / "admin"))
    return twoway(place, behind, *more)


def shares(load: Load) -> float:
    """Of so many offered tickets, which part is taken; each is the newest one that was given."""
    taken, session = 0, load.exchange()
    for _ in range(_TRIES):
        with load.connect(session) as sock:
            taken += bool(sock.session_reused)
            sock.sendall(b"E" + b"m" * 100)
            sock.recv(4096)
            session = sock.session
    return taken / _TRIES


def ask(place: Path, verb: str) -> float:
    """Seconds that an order takes until it is answered, with the start of the program that gives it."""
    program = str(Path(sys.executable).parent / "twoway")
    began = time.perf_counter()
    subprocess.run(
        [program, "gateway", verb, "--admin", str(place / "admin")], check=True, capture_output=True
    )
    return time.perf_counter() - began


def restart_under_load(place: Path, load: Load) -> tuple[float, int, int]:
    """Seconds of a restart, and how many exchanges went well and failed meanwhile."""
    stop, done, failed = threading.Event(), [0], [0]

    def work() -> None:
        while not stop.is_set():
            try:
                load.exchange()
                done[0] += 1
            except OSError:
                failed[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    seconds = ask(place, "restart")
    time.sleep(0.5)
    stop.set()
    thread.join()
    return seconds, done[0], failed[0]


def main() -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        place = Path(name)
        authority = Authority.create(place / "pki", name="Bench", passphrase=b"bench")
        authority.issue_server("localhost").save(place / "api")
        authority.issue_client("load").save(place / "load")
        authority.close()
        behind = stack.enter_context(backend(place))
        load = Load(client_context(place / "load"))
        costs: dict[int, list[float]] = {1: [], 2: []}
        held: dict[int, list[float]] = {1: [], 2: [], 4: []}
        found: dict[str, float] = {}
        for _ in range(ROUNDS):
            for workers in held:
                with running(gateway(place, behind, workers), place, load) as pid:
                    held[workers].append(memory(pid) / 2**20)
                    if workers in costs:
                        for _ in range(40):
                            load.exchange()
                        work = [load.exchange] * HANDSHAKES
                        costs[workers].append(
                            spent(pid, lambda work=work: [one() for one in work]) / HANDSHAKES * 1e3
                        )  # type: ignore[misc]
        with running(gateway(place, behind, 2), place, load) as pid:
            found["resumed_by_two"] = shares(load)
            found["reload_seconds"] = ask(place, "reload")
            found["resumed_by_two_after_a_reload"] = shares(load)
            found["restart_seconds"], done, failed = restart_under_load(place, load)
            found["exchanges_during_a_restart"], found["failed_during_a_restart"] = done, failed
            status = json.loads(
                subprocess.run(
                    [str(Path(sys.executable).parent / "twoway"), "gateway", "status", "--json", "--admin", str(place / "admin")],
                    capture_output=True,
                ).stdout
            )  # fmt: skip
            os.kill(status["pid"], signal.SIGTERM)
    print(f"medians of {ROUNDS} interleaved runs; server-side CPU, all processes of the gateway")
    for workers, values in held.items():
        line = f"{workers} worker{'s' * (workers > 1):2} {statistics.median(values):7.1f} MiB"
        if workers in costs:
            cost = statistics.median(costs[workers])
            line += f"  {cost:6.3f} ms a handshake and exchange, {1000 / cost:5.0f} a second and core"
        print(line)
    one, two = (statistics.median(costs[workers]) for workers in (1, 2))
    print(f"two workers to one: {two / one:.3f}x")
    for key, value in found.items():
        print(f"{key.replace('_', ' ')}: {value:.2f}")


if __name__ == "__main__":
    main()
