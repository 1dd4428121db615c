"""Whether a refused client reads the exact alert: six kinds of foreign client, `twoway serve` beside stock uvicorn.

    python -m bench.alerts [--connections 100] [--beside 20] [--json]

Every client speaks TLS 1.3 and writes its request before it reads. Half of the connections show no certificate
(certificate_required), half one of an unknown authority (unknown_ca). All kinds call at the same time. A connection
counts as delivered when the client itself names exactly that alert.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.judges.clients import Call, client
from tests.judges.identities import Identities, issue_all
from tests.judges.servers import STOCK_APP, logged, said, uvicorn_command

HERE = f"python{sys.version_info.major}.{sys.version_info.minor}"
KINDS = ("openssl", "curl", "gnutls", "node", "java", HERE)
CAUSES = {"no certificate": (None, "certificate_required"), "unknown authority": ("stranger", "unknown_ca")}
_VERSIONS = {
    "openssl": ["openssl", "version"],
    "curl": ["curl", "--version"],
    "gnutls": ["gnutls-cli", "--version"],
    "node": ["node", "--version"],
    "java": ["java", "--version"],
}


@dataclass
class Count:
    """What became of the refusals of one kind of client for one cause."""

    kind: str
    cause: str
    asked: int = 0
    delivered: int = 0
    otherwise: Counter[str] = field(default_factory=Counter)


def version_of(kind: str) -> str:
    if kind == HERE:
        return f"{platform.python_version()}, {ssl.OPENSSL_VERSION}"
    said = subprocess.run(_VERSIONS[kind], capture_output=True, text=True, check=True).stdout
    return " ".join(said.splitlines()[0].split()[:2])


def refuse(kind: str, call: Call, port: int, identities: Identities, connections: int) -> list[Count]:
    """Let one kind of client be refused that often, for both causes by turns."""
    counts = {cause: Count(kind, cause) for cause in CAUSES}
    for number in range(connections):
        cause, count = list(counts.items())[number % 2]
        who, alert = CAUSES[cause]
        answer = call(port, "TLSv1.3", identities.directory(who) if who else None, identities.trust)
        if answer.body is not None:
            raise AssertionError(f"{kind} with {cause} was let in")
        count.asked += 1
        if answer.alert == alert:
            count.delivered += 1
        else:
            count.otherwise[answer.alert or _end_of(answer.said)] += 1
    return list(counts.values())


def _end_of(said: str) -> str:
    """The last line that a client said, without what differs from call to call."""
    last = (said.strip().splitlines() or ["nothing at all"])[-1]
    return re.sub(r"\b[0-9A-F]{8,}:|:\.\./\S+", "", last).strip()


@contextlib.contextmanager
def twoway_server(identities: Identities, place: Path) -> Iterator[int]:
    command = [str(Path(sys.executable).with_name("twoway")), "serve", "stock:app", "--port", "0"]
    command += ["--identity", str(identities.directory("server")), "--log-format", "json"]
    with _serving(command, place, "twoway.log", r'"port": (\d+)') as port:
        yield port


@contextlib.contextmanager
def uvicorn_server(identities: Identities, place: Path, loop: str) -> Iterator[int]:
    command = [*uvicorn_command(identities, place), "--loop", loop]
    with _serving(command, place, f"uvicorn-{loop}.log", r"https://127\.0\.0\.1:(\d+)") as port:
        yield port


@contextlib.contextmanager
def _serving(command: list[str], place: Path, log: str, ready: str) -> Iterator[int]:
    with logged(command, place / log, cwd=place) as (process, path):
        yield int(said(process, path, ready))


def measure(
    server: contextlib.AbstractContextManager[int],
    calls: dict[str, Call],
    identities: Identities,
    connections: int,
) -> list[Count]:
    """All kinds of client at the same time against one server."""
    with server as port, ThreadPoolExecutor(len(calls)) as pool:
        for call in calls.values():  # whoever is proven gets in: the rest is refused for its own reason
            answer = call(port, "TLSv1.3", identities.directory("client"), identities.trust)
            assert answer.body is not None, answer.said
        runs = [
            pool.submit(refuse, kind, call, port, identities, connections) for kind, call in calls.items()
        ]
        return [count for run in runs for count in run.result()]


def report(name: str, counts: list[Count]) -> dict[str, object]:
    asked, delivered = sum(c.asked for c in counts), sum(c.delivered for c in counts)
    print(f"\n{name}: {delivered} of {asked} refused clients read the exact alert")
    for count in counts:
        others = "; ".join(f"{number} x {what}" for what, number in count.otherwise.most_common(2))
        print(
            f"  {count.kind:12}{count.cause:20}{count.delivered:5} / {count.asked:<5}{others[:130]}".rstrip()
        )
    return {
        "delivered": delivered,
        "asked": asked,
        "rows": [{**vars(c), "otherwise": dict(c.otherwise)} for c in counts],
    }


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.alerts")
    parser.add_argument("--connections", type=int, default=100, help="a kind of client, against twoway serve")
    parser.add_argument("--beside", type=int, default=20, help="a kind of client, against uvicorn")
    parser.add_argument("--json", action="store_true", help="print the figures once more, as JSON")
    options = parser.parse_args(arguments)
    result: dict[str, object] = {}
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        identities = issue_all(place / "p256", "p256")
        (place / "stock.py").write_text(STOCK_APP)
        calls: dict[str, Call] = {}
        for kind in KINDS:
            try:
                calls[kind] = stack.enter_context(client(kind, place))
            except pytest.skip.Exception as missing:
                print(f"{kind} is left out: {missing}")
        versions = {kind: version_of(kind) for kind in calls}
        print("; ".join(f"{kind}: {version}" for kind, version in versions.items()))
        ours = measure(twoway_server(identities, place), calls, identities, options.connections)
        result["twoway"] = report(f"twoway {importlib.metadata.version('twoway')}", ours)
        for loop in ("uvloop", "asyncio"):
            theirs = measure(uvicorn_server(identities, place, loop), calls, identities, options.beside)
            label = f"uvicorn {importlib.metadata.version('uvicorn')} on {loop}"
            result[f"uvicorn on {loop}"] = report(label, theirs)
    if options.json:
        print(json.dumps({"versions": versions, "cores": os.cpu_count(), **result}))


if __name__ == "__main__":
    main(sys.argv[1:])
