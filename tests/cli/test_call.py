"""`twoway call` as a person types it."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.server import background
from twoway.tls import server_context

__all__ = ["pki"]


@pytest.fixture
def url(pki: Pki, tmp_path: Path) -> Iterator[str]:
    pki.client.save(tmp_path / "orders")
    pki.stranger.save(tmp_path / "stranger")
    with background(tell, identity=pki.server, journal=Ledger()) as server:
        yield f"https://localhost:{server.port}"


def test_a_call_prints_the_body(run_twoway: Command, url: str, tmp_path: Path):
    done = run_twoway(
        "call",
        f"{url}/order/update",
        "--identity",
        tmp_path / "orders",
        "--json-body",
        '{"order_id": 1223}',
        "-H",
        "xyz-Client-Id: abc",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["peer"]["common_name"] == "orders"
    assert told["length"] == 18
    assert ["content-type", "application/json"] in told["headers"]
    assert ["xyz-client-id", "abc"] in told["headers"]
    assert done.stderr == ""


def test_verbose_tells_the_five_steps(run_twoway: Command, url: str, tmp_path: Path):
    done = run_twoway("call", url, "--identity", tmp_path / "orders", "-v")
    assert [line[0] for line in done.stderr.splitlines()[:5]] == list("12345")
    assert "X25519MLKEM768" in done.stderr


def test_a_body_may_come_from_a_file_or_stdin_and_go_to_a_file(run_twoway: Command, url: str, tmp_path: Path):
    (tmp_path / "body").write_bytes(b"y" * 5000)
    done = run_twoway(
        "call", url, "--identity", tmp_path / "orders", "-d", f"@{tmp_path / 'body'}", "-o", tmp_path / "out"
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert json.loads((tmp_path / "out").read_text())["length"] == 5000
    done = run_twoway("call", url, "--identity", tmp_path / "orders", "-d", "@-", typed="abc")
    assert json.loads(done.stdout)["length"] == 3


def test_json_has_everything_in_one_object(run_twoway: Command, url: str, tmp_path: Path):
    answer = json.loads(run_twoway("call", url, "--identity", tmp_path / "orders", "--json").stdout)
    assert answer["status"] == 200
    assert answer["server"]["names"]["dns"] == ["api.acme.example", "localhost"]


@pytest.mark.parametrize(("who", "alert"), [("nobody", "certificate_required"), ("stranger", "unknown_ca")])
def test_a_refusal_is_two_lines_and_exit_status_1(
    run_twoway: Command, url: str, tmp_path: Path, who: str, alert: str
):
    ca = ["--trust", tmp_path / "orders" / "ca.pem"]
    identity = ["--identity", tmp_path / who] if who != "nobody" else []
    done = run_twoway("call", url, *identity, *ca, "-o", tmp_path / "out")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("twoway: error: ")
    assert alert in lines[0]
    assert lines[1].startswith("twoway: hint: ")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["localhost/x"], "write it whole"),
        (["https://localhost/", "-d", "a", "--json-body", "{}"], "exclude"),
        (["https://localhost/", "--json-body", "{x"], "not JSON"),
        (["https://localhost/", "-H", "no colon"], "Name: value"),
        (["https://localhost/", "-H", "a: b\r\nc: d"], "one line"),
        (["https://localhost/", "-d", "@absent"], "absent"),
        (["http://localhost/"], "https"),
    ],
)
def test_what_is_asked_wrongly_says_how_to_ask(
    run_twoway: Command, url: str, tmp_path: Path, arguments: list[str], words: str
):
    done = run_twoway("call", *arguments, "--identity", tmp_path / "orders")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_status_is_exit_status_1(run_twoway: Command, pki: Pki, tmp_path: Path):
    async def missing(scope, receive, send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"none"})

    pki.client.save(tmp_path / "orders")
    with background(missing, identity=pki.server, journal=Ledger()) as server:
        done = run_twoway(
            "call", f"https://localhost:{server.port}/", "--identity", tmp_path / "orders", "-i"
        )
    assert done.returncode == 1
    assert done.stdout.startswith("HTTP/1.1 404 ")
    assert done.stdout.endswith("none")


def test_a_device_is_written_to_and_stays_a_device(run_twoway: Command, url: str, tmp_path: Path):
    done = run_twoway("call", url, "--identity", tmp_path / "orders", "-o", "/dev/null")
    assert done.returncode == 0, done.stderr
    assert Path("/dev/null").is_char_device()


def test_a_large_body_from_stdin_arrives_whole(run_twoway: Command, url: str, tmp_path: Path):
    done = run_twoway("call", url, "--identity", tmp_path / "orders", "-d", "@-", typed="z" * 300_000)
    assert json.loads(done.stdout)["length"] == 300_000


def test_an_answer_that_is_none_is_exit_status_1(run_twoway: Command, pki: Pki, tmp_path: Path):
    """A protocol error of the server is the server's fault and no internal error of ours."""
    pki.client.save(tmp_path / "orders")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with (
                listener.accept()[0] as sock,
                server_context(pki.server).wrap_socket(sock, server_side=True) as tls,
            ):
                tls.recv(4096)
                tls.sendall(b"SSH-2.0-x\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = run_twoway(
            "call", f"https://localhost:{listener.getsockname()[1]}", "--identity", tmp_path / "orders"
        )
        thread.join()
    assert done.returncode == 1
    assert "expected an HTTP answer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--timeout", "nan"], "nan seconds is no time to wait"),
        (["--timeout", "-1"], "-1 seconds is no time to wait"),
        (["--timeout", "0"], "0 seconds is no time to wait"),
        (["-X", "BAD METHOD"], "'BAD METHOD' is no method of HTTP"),
        (["-H", "X: ü"], "no printable ASCII"),
        (["-H", "X Y: z"], "no printable ASCII"),
        (["-H", "X: a\x1bb"], "no printable ASCII"),
        (["-o", "absent/out"], "cannot write absent/out: No such file or directory"),
        (["-o", "."], "cannot write .: Is a directory"),
        (["-o", "/dev/full"], "cannot write /dev/full: No space left on device"),
    ],
)
def test_what_cannot_be_done_is_asked_wrongly(
    run_twoway: Command, url: str, tmp_path: Path, arguments: list[str], words: str
):
    done = run_twoway("call", url, "--identity", tmp_path / "orders", *arguments, cwd=tmp_path)
    error, hint = done.stderr.splitlines()
    assert done.returncode == 2
    assert words in error
    assert hint.startswith("twoway: hint: ")
    assert "internal" not in error


def test_a_result_that_finds_no_room_is_said(url: str, tmp_path: Path):
    script = Path(sys.executable).with_name("twoway")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [script, "call", url, "--identity", tmp_path / "orders"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("twoway: error: cannot write the result: no space left on device\n")


def test_a_file_that_is_written_has_the_mode_of_any_other(run_twoway: Command, url: str, tmp_path: Path):
    identity = ("--identity", tmp_path / "orders")
    run_twoway("call", url, *identity, "-o", tmp_path / "new")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    run_twoway("call", url, *identity, "-o", tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
