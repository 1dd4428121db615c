"""`twoway demo`: every act really happens, and the exit status says so only then."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from twoway.demo import Teller, play
from twoway.demo import acts as demo_acts
from twoway.demo import stage as demo_stage

PLAIN = Teller(80, lambda text, _: text)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    place = tmp_path_factory.mktemp("demo") / "out"
    lines: list[str] = []
    played = play(place, PLAIN, lines.append)
    return played.as_dict(), "\n".join(lines), place


def act(story: tuple[dict[str, Any], str, Path], words: str) -> dict[str, Any]:
    return next(one for one in story[0]["acts"] if words in one["title"])


def test_all_of_it_happens(story: tuple[dict[str, Any], str, Path]):
    assert story[0]["fine"] is True
    assert len(story[0]["acts"]) == 7
    assert all(one["as_expected"] for one in story[0]["acts"])


@pytest.mark.parametrize(
    ("words", "alert", "code"),
    [
        ("without a certificate", "certificate_required", "no_certificate"),
        ("a stranger", "unknown_ca", "unknown_authority"),
        ("after its certificate was revoked", "certificate_revoked", "certificate_revoked"),
        ("resuming a session", "certificate_revoked", "certificate_revoked"),
    ],
)
def test_a_refusal_is_told_on_both_sides(
    story: tuple[dict[str, Any], str, Path], words: str, alert: str, code: str
):
    one = act(story, words)
    assert one["client_told"]["alert"] == alert
    assert one["client_told"]["remedy"]
    assert one["server_logged"]["code"] == code
    assert one["server_logged"]["alert"] == alert
    assert one["server_logged"]["remedy"]
    assert one["server_logged"]["id"] in story[1]
    assert [step["verdict"] for step in one["steps"]][-1] == "no"


def test_the_five_steps_have_the_values_of_the_handshake(story: tuple[dict[str, Any], str, Path]):
    steps = {step["number"]: " ".join(step["lines"]) for step in act(story, "authority knows")["steps"]}
    assert sorted(steps) == [1, 2, 3, 4, 5]
    assert "TLSv1.3 and TLSv1.2" in steps[1]
    assert "X25519MLKEM768" in steps[2]
    assert "CN=Acme Root CA" in steps[2]
    assert "orders.localhost" in steps[3]
    assert "shop <- Acme Issuing CA <- Acme Root CA" in steps[4]
    assert "allowed by" in steps[4]
    assert steps[5].count("yes") == 2


def test_the_order_is_updated(story: tuple[dict[str, Any], str, Path]):
    one = act(story, "POST /order/update")
    assert one["answer"] == {"status": 200, "body": {"order_id": 1223, "status": "updated", "by": "shop"}}


def test_two_ways_add_three_messages(story: tuple[dict[str, Any], str, Path]):
    assert act(story, "side by side")["outcome"] == (
        "2-way adds the server's certificate_request, the client's certificate, the client's certificate_verify"
    )
    added = [line for line in story[1].splitlines() if line.endswith("+ added")]
    assert len(added) == 3


def test_no_secret_is_told_or_kept_in_the_clear(story: tuple[dict[str, Any], str, Path]):
    told = json.dumps(story[0]) + story[1]
    assert "PRIVATE KEY" not in told
    assert re.search(r"xyz-Client-Secret: \(sent", told)
    for key in (story[2] / "pki").glob("*key*.pem"):
        assert b"ENCRYPTED" in key.read_bytes()
    assert oct((story[2] / "shop" / "key.pem").stat().st_mode)[-3:] == "600"


def test_no_line_is_wider_than_asked(story: tuple[dict[str, Any], str, Path]):
    wide = [line for line in story[1].splitlines() if len(line) > 80 and " " in line.strip()]
    assert wide == []


@pytest.fixture
def lax(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that lets everybody in: the demo must notice."""
    real = demo_stage.order_service

    def open_door(cast: Any, ledger: Any, **options: Any) -> Any:
        return real(cast, ledger, **{**options, "clients": "none", "allow": ()})

    monkeypatch.setattr(demo_acts, "order_service", open_door)


@pytest.mark.usefixtures("lax")
def test_it_fails_when_a_refusal_does_not_happen(tmp_path: Path):
    lines: list[str] = []
    played = play(tmp_path / "out", PLAIN, lines.append)
    assert not played.fine
    assert "it was let in" in "\n".join(lines)
    assert lines[-1].startswith("✗ something did not happen")


def test_the_command_says_all_of_it_and_exits_with_0(run_twoway: Command, tmp_path: Path):
    done = run_twoway("demo", "--out", tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓ refused: ") == 4
    assert "\x1b" not in done.stdout
    assert "Traceback" not in done.stderr
    assert (tmp_path / "kept" / "shop" / "cert.pem").exists()
    again = run_twoway("demo", "--out", tmp_path / "kept")
    assert again.returncode == 2
    assert "not empty" in again.stderr


def test_the_command_tells_json(run_twoway: Command):
    done = run_twoway("demo", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["fine"] is True


def test_the_demo_can_be_recorded_and_told_later(run_twoway: Command, tmp_path: Path):
    done = run_twoway("demo", "--record", tmp_path / "rec")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "rec").glob("*.pcapng"))) >= 6
    told = run_twoway("explain", max((tmp_path / "rec").glob("*-ok.pcapng")))
    assert told.returncode == 0
    assert "2-way TLS: shop and orders.localhost" in told.stdout


def test_the_demo_writes_its_own_page(story: tuple[dict[str, Any], str, Path]):
    page = (story[2] / "handshake.html").read_text("utf-8")
    assert "2-way TLS: shop and orders.localhost proved to each other" in page
    assert (story[2] / "handshake.svg").read_text("utf-8").startswith("<svg")
    assert "only right" in (story[2] / "one-way-and-two-way.html").read_text("utf-8")
