"""Killed at any moment, an authority has handed out nothing that it does not remember."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.authority.conftest import MakeAuthority
from twoway.authority import Authority

STORES = ("sqlite", "postgresql")

# Each line is written by one write(2) after the certificate was returned: what is on the pipe was handed out.
ISSUE_UNTIL_KILLED = """
import os, sys, threading
from twoway.authority import Authority
authority = Authority.open(sys.argv[1])
def issue():
    while True:
        leaf = authority.issue_client("orders").leaf
        os.write(1, b"%x\\n" % leaf.serial_number)
        if leaf.serial_number % 5 == 0:
            authority.revoke(leaf, "superseded")
for _ in range(6):
    threading.Thread(target=issue).start()
"""


def test_sigkill_at_any_moment_loses_nothing_that_was_handed_out(
    make_authority: MakeAuthority, tmp_path: Path
) -> None:
    """Ten rounds of killing; the store opens, the log holds together, and no serial comes twice."""
    authority = make_authority()
    path = authority.directory
    authority.close()
    chance = random.Random(2986)
    handed_out: list[str] = []
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", ISSUE_UNTIL_KILLED, path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 80)):
            handed_out.append(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
        handed_out += [line for line in rest if line]
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
    with Authority.open(path) as survivor:
        remembered = {record.serial for record in survivor.list()}
        assert len(handed_out) > 100
        assert len(set(handed_out)) == len(handed_out)
        assert set(handed_out) <= remembered
        assert survivor.verify_audit().certificates == len(remembered)
        survivor.issue_client("after all that")
        survivor.crl_pem()


CREATE_AND_STOP = """
import os, signal, sys
import twoway.authority.founding as founding
def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(founding, sys.argv[2], stop)
from twoway.authority import Authority
Authority.create(sys.argv[1], name="Acme", no_passphrase=True)
"""


def test_sigkill_while_an_authority_is_made_leaves_no_half_one(tmp_path: Path) -> None:
    """What remains has another name, and the directory can be made at the next attempt."""
    for step in ("write_private", "write_public", "_enter", "Publishing"):
        done = subprocess.run([sys.executable, "-c", CREATE_AND_STOP, tmp_path / "pki", step])
        assert done.returncode == -signal.SIGKILL
        assert not (tmp_path / "pki").exists()
    Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True).close()
