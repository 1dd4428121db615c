"""What is recorded is explained later, and a refusal is found by its id, in the log and in the recordings."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import stat
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.gateway.conftest import (
    Backend,
    Ledger,
    Pki,
    ask,
    context_of,
    exactly,
    gateway_of,
    running,
    until,
    wrap,
)
from tests.gateway.program import Program
from twoway.errors import UsageError
from twoway.gateway.addresses import Address


def refused(pki: Pki, port: int) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)), wrap(port, context_of(pki, "stranger")) as sock:
        assert sock.recv(1)


def test_a_recorded_connection_is_explained_with_its_decrypted_messages(
    pki: Pki, backend: Backend, tmp_path: Path, run_twoway: Command
):
    """The capture holds bytes and secrets of one connection, is the owner's alone, and `explain` reads it whole."""
    with running(gateway_of(pki, backend, record=tmp_path / "rec")) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
            sock.unwrap()
        (capture,) = until(lambda: list((tmp_path / "rec").glob("*.pcapng")))
    assert stat.S_IMODE(capture.stat().st_mode) == 0o600
    assert capture.name.endswith("-ok.pcapng")
    done = run_twoway("explain", capture, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["outcome"] == "mutual"
    types = [message["type"] for step in told["steps"] for message in step["messages"]]
    assert "certificate_verify" in types


def test_a_refusal_is_found_by_its_id_in_the_recordings_and_in_the_log(
    pki: Pki, backend: Backend, tmp_path: Path, run_twoway: Command
):
    """The same id in the log line, in refusals.jsonl and in the name of the capture."""
    ledger = Ledger()
    with running(gateway_of(pki, backend, record=tmp_path / "rec", ledger=ledger)) as gateway:
        refused(pki, gateway.ports[0])
        until(lambda: list((tmp_path / "rec").glob("*.pcapng")))
    wanted = ledger.refusals[0].id
    log = tmp_path / "log"
    log.write_text(ledger.text.getvalue())
    for where in (("--record", tmp_path / "rec"), ("--log", log)):
        done = run_twoway("explain", "--refusal", wanted, *where)
        assert done.returncode == 0, done.stderr
        assert "refused in step 4" in done.stdout
        assert "stranger" in done.stdout
    assert (
        f"{wanted}.pcapng" in run_twoway("explain", "--refusal", wanted, "--record", tmp_path / "rec").stdout
    )
    (capture,) = (tmp_path / "rec").glob(f"*-{wanted}.pcapng")
    assert run_twoway("explain", capture).returncode == 1


@pytest.mark.parametrize("megabytes", [0, 3])
def test_a_recording_is_bounded_and_changes_not_a_byte(
    pki: Pki, backend: Backend, tmp_path: Path, megabytes: int
):
    """Beyond its bound a connection goes on as any other: what passes is the same, in both directions."""
    with running(gateway_of(pki, backend, record=tmp_path / "rec")) as gateway:
        block = os.urandom(1 << 16)
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            for _ in range(16 * megabytes or 1):
                sock.sendall(block)
                assert exactly(sock, len(block)) == block
        (capture,) = until(lambda: list((tmp_path / "rec").glob("*.pcapng")))
    assert capture.stat().st_size < 200_000


def test_recording_is_called_a_weakening(pki: Pki, backend: Backend, tmp_path: Path):
    """At every start, with the directory and the word secrets."""
    program = Program(pki, backend, tmp_path, listener='record = "rec"')
    try:
        with wrap(program.port, context_of(pki)) as sock:
            assert ask(sock) == b"ping"
        assert re.search("WITH THEIR SECRETS in .*rec", program.events("weakened")[0]["sentence"])
        until(lambda: list((tmp_path / "rec").glob("*.pcapng")))
    finally:
        program.close()


def test_a_way_out_is_not_recorded(pki: Pki, tmp_path: Path):
    """It says so, and names what explains a way out."""
    with pytest.raises(UsageError) as caught:
        gateway_of(pki, Address(host="127.0.0.1", port=1), kind="client", record=tmp_path)
    assert "twoway explain" in caught.value.remedy


def test_a_client_without_an_address_leaves_no_file(pki: Pki, backend: Backend, tmp_path: Path):
    """A capture has addresses; a client of a UNIX socket has none, and passes all the same."""
    path = tmp_path / "in.sock"
    with running(
        gateway_of(pki, backend, record=tmp_path / "rec", listen=Address(path=str(path)))
    ) as gateway:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            with context_of(pki).wrap_socket(raw, server_hostname="localhost") as sock:
                assert ask(sock) == b"ping"
        until(lambda: not gateway.frontends[0].connections)
    assert not list((tmp_path / "rec").glob("*.pcapng"))
