"""The examples, run as they stand: the service with `twoway serve`, the client with Python."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.tls.conftest import Pki, pki

__all__ = ["pki"]
EXAMPLES = Path(__file__).parents[2] / "examples"


@contextlib.contextmanager
def service(place: Path) -> Iterator[int]:
    log = place / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("twoway"), "serve", "order_service:app", "--identity", "api", "--port", "0"],
            cwd=place, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while not (match := re.search(r"serving: https://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield int(match[1])
    finally:
        process.terminate()
        process.wait(20)


def test_the_client_updates_an_order_at_the_service(pki: Pki, tmp_path: Path):
    for name in ("order_service.py", "order_client.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    pki.server.save(tmp_path / "api")
    pki.client.save(tmp_path / "orders")
    with service(tmp_path) as port:
        done = subprocess.run(
            [sys.executable, "order_client.py", f"https://localhost:{port}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "200 {'order_id': 1223, 'status': 'updated', 'by': 'orders'}\n"


def test_the_examples_are_short():
    """Ten lines of Python for the client; the service is one application of about as many."""
    for name, most in (("order_client.py", 10), ("order_service.py", 20)):
        code = [
            line
            for line in (EXAMPLES / name).read_text().splitlines()
            if line.strip() and not line.startswith('"""')
        ]
        assert len(code) <= most
