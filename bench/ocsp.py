"""OCSP answers from the cache, over plain HTTP, with the count of changes asked of the store at each.

    python -m bench.ocsp [--seconds 5] [--connections 16] [--json]

`twoway ca serve` on SQLite; wrk asks for the status of one certificate again and again over kept connections, by GET as
browsers do and by POST as OpenSSL does. What counts is the CPU of the server, from /proc: client and server share two
cores here.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from bench.enroll import cpu_of, serving
from bench.serve import free_port
from twoway.authority import Authority

ROUNDS = 3


@contextlib.contextmanager
def responder(place: Path) -> Iterator[tuple[int, int, bytes]]:
    """The process, its plain port, and a request in DER about one certificate that it issued."""
    with Authority.create(place / "pki", name="Bench", no_passphrase=True) as authority:
        leaf, issuer = authority.issue_client("orders").chain
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1())
    port, plain = free_port(), free_port()
    command = [
        str(Path(sys.executable).parent / "twoway"), "ca", "serve", "--ca-dir", str(place / "pki"),
        "--listen", f"127.0.0.1:{port}", "--public-listen", f"127.0.0.1:{plain}", "--no-access-log",
    ]  # fmt: skip
    with serving(command, plain) as pid:
        yield pid, plain, builder.build().public_bytes(Encoding.DER)


def asked(place: Path, port: int, request: bytes) -> dict[str, list[str]]:
    """The arguments for wrk, by method."""
    script = place / "post.lua"
    octets = "".join(f"\\{octet}" for octet in request)
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = "{octets}"\nwrk.headers["Content-Type"] = "application/ocsp-request"\n'
    )
    url = f"http://127.0.0.1:{port}/ocsp"
    return {
        "GET": [f"{url}/{quote(base64.b64encode(request), safe='')}"],
        "POST": ["-s", str(script), url],
    }


def measured(
    program: str, arguments: list[str], pid: int, connections: int, seconds: int
) -> dict[str, float]:
    before = cpu_of(pid)
    command = [program, "-t", "1", "-c", str(connections), "-d", f"{seconds}s", *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_of(pid) - before
    found = re.search(r"(\d+) requests in", printed)
    if found is None or "Non-2xx" in printed:
        raise RuntimeError(printed)
    answers = int(found[1])
    return {
        "per_second": round(answers / seconds),
        "cpu_us": round(used / answers * 1e6),
        "per_core_second": round(answers / used),
    }


def measure(program: str, connections: int, seconds: int) -> dict[str, list[dict[str, float]]]:
    with tempfile.TemporaryDirectory() as directory, responder(Path(directory)) as (pid, port, request):
        ways = asked(Path(directory), port, request)
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, arguments in ways.items():
                rounds[way].append(measured(program, arguments, pid, connections, seconds))
    return rounds


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5, help="of each round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    program = shutil.which("wrk")
    if program is None:
        print("wrk is not installed: apt install wrk")
        return
    rounds = measure(program, options.connections, options.seconds)
    if options.json:
        print(json.dumps(rounds, indent=2))
        return
    for way, found in rounds.items():
        best = max(found, key=lambda one: one["per_core_second"])
        print(
            f"{way:<5} {best['per_core_second']:>6} a second and core ({best['cpu_us']} us of CPU each), "
            f"{best['per_second']} a second beside wrk"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
