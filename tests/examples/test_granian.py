"""The example with granian behind the gateway, run as it stands."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.integrations.conftest import Callers, callers, pki
from tests.server.conftest import until

__all__ = ["callers", "pki"]
EXAMPLES = Path(__file__).parents[2] / "examples" / "frameworks"


def test_granian_behind_the_gateway_learns_who_calls(callers: Callers, tmp_path: Path, unused_port: int):
    callers.pki.server.save(tmp_path / "api")
    text = (EXAMPLES / "granian_behind_gateway.py").read_text()
    inner, outer = (match.split() for match in re.findall(r"^(?:Run it|and): +(.*)$", text, re.M))
    inner[inner.index("--port") + 1] = str(unused_port)
    outer[outer.index("--target") + 1] = f"127.0.0.1:{unused_port}"
    outer[outer.index("--listen") + 1] = "127.0.0.1:0"
    log = tmp_path / "log"
    running = []
    with log.open("w") as stream:
        for words, out in ((inner, subprocess.DEVNULL), (outer, stream)):
            command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
            environment = {"PYTHONPATH": str(EXAMPLES)}
            running.append(
                subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=subprocess.STDOUT)
            )
    try:
        until(lambda: _listens(unused_port), 30)
        port = int(until(lambda: _port(log), 30))
        assert callers.ask(port, who="reports").json == {"by": "reports"}
        done = callers.ask(port, "/order/update", method="POST", body={"order_id": 1223})
        assert done.json == {"order_id": 1223, "by": "orders"}
        refused = callers.ask(port, "/order/update", "reports", method="POST", body={"order_id": 1223})
        assert (refused.status, refused.json["code"]) == (403, "not_allowed")
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def _port(log: Path) -> str | None:
    found = re.search(r"listening\b.*?127\.0\.0\.1:(\d+)|127\.0\.0\.1:(\d+) ->", log.read_text())
    return (found[1] or found[2]) if found else None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
