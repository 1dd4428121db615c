"""The examples for frameworks and servers, each run as its first lines say, with real callers."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.conftest import Callers, callers, pki
from twoway.errors import TwowayError
from twoway.tls import ClientContext, ClientSettings, TlsSocket

__all__ = ["callers", "pki"]
EXAMPLES = Path(__file__).parents[2] / "examples" / "frameworks"
SERVING = re.compile(r"(?:serving|running on|listening at)\b.*?:(\d+)\b(?!\])", re.I)
EVERY = [path.name for path in sorted(EXAMPLES.glob("*_orders.py"))]


def command_of(example: str) -> list[str]:
    """The command after `Run it:`, on a free port."""
    found = re.search(r"^Run it: (.*)$", (EXAMPLES / example).read_text(), re.M)
    assert found, f"{example} does not say how it is run"
    words = shlex.split(found[1])
    words[0] = str(Path(sys.executable).with_name(words[0]))
    words[1] = str(EXAMPLES / words[1]) if words[1].endswith(".py") else words[1]
    if "--bind" in words:
        return [*words[:-1], "127.0.0.1:0"]
    return [*words, "--port", "0"]


@contextlib.contextmanager
def running(example: str, place: Path) -> Iterator[int]:
    log = place / "log"
    environment = {"PYTHONPATH": str(EXAMPLES), "TWOWAY_IDENTITY": "api"}
    with log.open("w") as stream:
        process = subprocess.Popen(
            command_of(example), cwd=place, stdout=stream, stderr=stream, env=environment
        )
    try:
        end = time.monotonic() + 30
        while not (match := SERVING.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)  # another process begins to listen without telling us
        yield int(match[1])
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("example", EVERY)
def test_orders_may_update_and_reports_learn_why_not(callers: Callers, tmp_path: Path, example: str):
    callers.pki.server.save(tmp_path / "api")
    order = {"order_id": 1223}
    with running(example, tmp_path) as port:
        assert callers.ask(port, who="reports").json == {"by": "reports"}
        done = callers.ask(port, "/order/update", method="POST", body=order)
        assert done.json == {"order_id": 1223, "by": "orders"}
        refused = callers.ask(port, "/order/update", "reports", method="POST", body=order)
        assert (refused.status, refused.json["code"]) == (403, "not_allowed")
        assert "no allow rule matches" in refused.json["detail"]
        for nobody in (callers.pki.stranger, None):
            context = ClientContext(ClientSettings(nobody, callers.pki.trust))
            with (
                pytest.raises(TwowayError) as turned_away,
                TlsSocket.connect("localhost", port, context) as sock,
            ):
                sock.recv()
            assert turned_away.value.step == 4  # the server checks


def test_examples_are_short():
    for example in EVERY:
        lines = [line for line in (EXAMPLES / example).read_text().splitlines() if line.strip()]
        assert len(lines) <= 45, example
