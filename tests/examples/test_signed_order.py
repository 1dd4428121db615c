"""The signed and sealed example, run as it stands, between two companies."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.message.conftest import Pki

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextlib.contextmanager
def service(place: Path) -> Iterator[int]:
    log = place / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("twoway"), "serve", "signed_order_service:app", "--identity", "api",
             "--port", "0"],
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


def test_an_order_is_signed_by_one_company_and_sealed_for_the_other(tmp_path: Path):
    pki = Pki()
    for name in ("signed_order_service.py", "signed_order_client.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    pki.make("localhost", purpose="server").save(tmp_path / "api")
    pki.identity().save(tmp_path / "orders")
    shutil.copy(tmp_path / "api" / "cert.pem", tmp_path / "partner.pem")
    with service(tmp_path) as port:
        done = subprocess.run(
            [sys.executable, "signed_order_client.py", f"https://localhost:{port}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    assert done.stdout == "{'order_id': 1223, 'status': 'updated', 'by': 'orders'} signed by localhost\n"


def test_the_client_and_the_service_are_about_ten_lines():
    for name, most in (("signed_order_client.py", 8), ("signed_order_service.py", 14)):
        code = (EXAMPLES / name).read_text().split('"""', 2)[2]
        assert len([line for line in code.splitlines() if line.strip()]) <= most
