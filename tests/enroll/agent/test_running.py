"""The agent as a program, against a real service."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.enroll.conftest import Served
from twoway.credential import Credential
from twoway.enroll.agent import Agent, AgentOptions, IdentityOptions
from twoway.enroll.agent.settings import AgentFileInvalid, load
from twoway.errors import UsageError
from twoway.server import Journal

Run = Callable[..., Any]


@pytest.fixture
def held(service: Served, tmp_path: Path) -> Path:
    """An identity whose life is nearly over, and that knows its authority."""
    directory = tmp_path / "held"
    service.authority.issue_client("held", days=0.01).save(directory)
    (directory / "authority-url").write_text(service.url)
    return directory


def late(directory: Path) -> Any:
    """A clock that stands where the identity is due."""
    credential = Credential.load(directory)
    return lambda: credential.not_before + (credential.not_after - credential.not_before) * 0.8


def test_it_renews_over_mutual_tls_and_its_metrics_say_so(service: Served, held: Path):
    before = Credential.load(held)
    stream = io.StringIO()
    options = AgentOptions(identities=(IdentityOptions(directory=held, url=service.url, crl=True),))
    agent = Agent(options, Journal("json", stream), now=late(held))
    agent.turn()
    after = Credential.load(held)
    assert after.fingerprint != before.fingerprint
    assert service.authority.show(after).renews == f"{before.leaf.serial_number:x}"
    assert len(after.crls) == 2
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["renewed", "crl-changed"]
    value = agent.metrics.registry.get_sample_value(
        "twoway_agent_not_after_seconds", {"directory": str(held)}
    )
    assert value == after.not_after.timestamp()


def test_a_revoked_identity_is_not_renewed_and_the_reason_is_told(service: Served, held: Path):
    service.authority.revoke(Credential.load(held))
    stream = io.StringIO()
    options = AgentOptions(identities=(IdentityOptions(directory=held, url=service.url),))
    agent = Agent(options, Journal("json", stream), now=late(held))
    agent.turn()
    (line,) = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert line["event"] == "not-renewed"
    assert "revoked" in line["error"]
    assert agent.identities[0].state.failures == 1


def test_it_ends_when_it_is_told_to_and_answers_prometheus_meanwhile(
    service: Served, held: Path, unused_port: int
):
    port = unused_port
    options = AgentOptions(
        identities=(IdentityOptions(directory=held, url=service.url),), metrics=f"127.0.0.1:{port}"
    )
    agent = Agent(options, Journal("json", io.StringIO()))
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
                if "twoway_agent_failures{" in text:
                    break
            except OSError:
                pass
            threading.Event().wait(0.05)
    finally:
        agent.stop()
        thread.join()
    assert f'twoway_agent_failures{{directory="{held}"}} 0.0' in text


def test_the_command_line_looks_once_tells_how_it_stands_and_says_who_is_missing(
    service: Served, held: Path, run_twoway: Run, tmp_path: Path
):
    done = run_twoway("agent", "run", "--once", held)
    assert done.returncode == 0, done.stderr
    told = run_twoway("agent", "status", held)
    assert told.returncode == 0, told.stderr
    assert "held, fresh" in told.stdout or "held, due" in told.stdout
    assert service.url in told.stdout
    (held / "authority-url").unlink()
    done = run_twoway("agent", "run", "--once", held)
    assert done.returncode == 2
    assert "nobody knows which authority renews" in done.stderr
    assert "--url" in done.stderr
    assert run_twoway("agent", "run", "--once").returncode == 2


def test_sigterm_ends_the_program(service: Served, held: Path):
    process = subprocess.Popen(
        [Path(sys.executable).with_name("twoway"), "agent", "run", held], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "keeping" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "stopped" in process.stderr.read()
    process.stderr.close()


FILE = """
[agent]
metrics = "127.0.0.1:0"

[[identity]]
dir = "api"
url = "https://ca.example:8443"
crl = true
pkcs12 = { file = "api.p12", passphrase_file = "pass" }
reload = [{ pid_file = "nginx.pid", signal = "HUP" }, { command = ["true"] }, { unit = "api.service" }]
"""


def test_a_file_lists_many_with_all_that_is_said_of_them(tmp_path: Path):
    (tmp_path / "agent.toml").write_text(FILE)
    (one,) = load(tmp_path / "agent.toml").identities
    assert one.directory == tmp_path / "api"
    assert one.pkcs12 is not None
    assert one.pkcs12.file == tmp_path / "api.p12"
    assert [str(hook) for hook in one.hooks] == [
        f"SIGHUP to the process of {tmp_path}/nginx.pid",
        "true",
        "systemctl reload-or-restart --no-block api.service",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[identity]]\nurl = 'https://ca'\n", "identity[0].dir"),
        ("[[identity]]\ndir = 'x'\nurl = 'u'\nreload = [{}]\n", "identity[0].reload[0]"),
        ("[[identity]]\ndir = 'x'\nurl = 'u'\nwhat = 1\n", "identity[0].what"),
        ("identity = 3\n", "identity"),
        ("not toml", ""),
    ],
)
def test_a_file_that_is_wrong_names_the_place(tmp_path: Path, text: str, place: str):
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(AgentFileInvalid) as caught:
        load(tmp_path / "agent.toml")
    assert caught.value.place == place


def test_a_signal_that_does_not_exist_stops_the_start(tmp_path: Path):
    (tmp_path / "agent.toml").write_text(
        "[[identity]]\ndir = 'x'\nurl = 'u'\nreload = [{pid_file = 'p', signal = 'WHAT'}]\n"
    )
    with pytest.raises(UsageError, match="no signal"):
        load(tmp_path / "agent.toml")
