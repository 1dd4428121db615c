"""`twoway explain` as a person types it: live, from a capture, and for a refusal that a server has logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Command
from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.credential import certificate_pem
from twoway.server import background

__all__ = ["pki"]


class Place(NamedTuple):
    url: str
    orders: Path
    stranger: Path
    record: Path


@pytest.fixture(scope="module")
def place(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    here = tmp_path_factory.mktemp("explain")
    pki.client.save(here / "orders")
    pki.stranger.save(here / "stranger")
    (here / "stranger" / "ca.pem").write_bytes(certificate_pem(pki.root.certificate))
    with background(tell, identity=pki.server, journal=Ledger(), record=here / "record") as server:
        yield Place(f"localhost:{server.port}", here / "orders", here / "stranger", here / "record")


def test_a_handshake_that_succeeds_is_exit_status_0(run_twoway: Command, place: Place):
    done = run_twoway("explain", place.url, "--identity", place.orders)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("✓ 2-way TLS: orders and api.acme.example proved to each other")
    assert next(line for line in rest if "━ " in line).startswith("━ 1 hello")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert done.stderr == ""


def test_a_refusal_is_exit_status_1_with_cause_blame_and_remedy(run_twoway: Command, place: Place):
    done = run_twoway("explain", place.url, "--identity", place.stranger)
    assert done.returncode == 1
    assert "refused in step 4" in done.stdout
    assert "to blame: client (unknown_authority)" in done.stdout
    assert "what to change:" in done.stdout
    assert "the client thinks it is done here" in done.stdout


def test_json_has_all_of_it(run_twoway: Command, place: Place):
    done = run_twoway("explain", place.url, "--identity", place.stranger, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["outcome"] == "refused"
    assert [step["number"] for step in told["steps"]] == [1, 2, 3, 4, 5]
    assert set(told["steps"][0]["messages"][0]) >= {"from", "type", "bytes", "at_us", "fields"}
    assert told["failure"]["code"] == "unknown_authority"


def test_details_and_ascii_are_there_when_asked_for(run_twoway: Command, place: Place):
    done = run_twoway("explain", place.url, "--identity", place.orders, "-vv", "--ascii", "--tls", "1.2")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "TLSv1.2" in done.stdout.splitlines()[0] + done.stdout.splitlines()[1]
    assert "supported_groups" in done.stdout
    assert "000000  " in done.stdout


def test_page_and_drawing_are_written(run_twoway: Command, place: Place, tmp_path: Path):
    page, drawing = tmp_path / "a.html", tmp_path / "a.svg"
    done = run_twoway("explain", place.url, "--identity", place.orders, "--html", page, "--svg", drawing)
    assert done.returncode == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert drawing.read_text("utf-8").startswith("<svg")
    assert str(page) in done.stderr


def test_two_are_told_side_by_side(run_twoway: Command, place: Place, tmp_path: Path):
    done = run_twoway(
        "explain", place.url, "--identity", place.orders, "--compare-anonymous", "--html", tmp_path / "b.html"
    )
    assert done.returncode == 1  # the anonymous one is refused here
    assert "2-way TLS" in done.stdout
    assert "requires a client certificate and got none" in done.stdout
    assert "Two handshakes" in (tmp_path / "b.html").read_text("utf-8")


def test_a_recording_is_a_capture_that_can_be_told(run_twoway: Command, place: Place):
    assert run_twoway("explain", place.url, "--identity", place.orders).returncode == 0
    capture = max(place.record.glob("*-ok.pcapng"))
    assert capture.stat().st_mode & 0o777 == 0o600
    done = run_twoway("explain", capture, "--ca", place.orders / "ca.pem")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("✓ 2-way TLS: orders and api.acme.example")
    assert "anchor: CN=Acme Root" in done.stdout


def test_a_logged_refusal_can_be_asked_about_later(run_twoway: Command, place: Place):
    run_twoway("explain", place.url, "--identity", place.stranger)
    last = json.loads((place.record / "refusals.jsonl").read_text().splitlines()[-1])
    done = run_twoway("explain", "--refusal", last["id"], "--record", place.record)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("✗ refused in step 4 (the server checks): expected a chain to CN=Acme Root")
    assert "CN=stranger" in done.stdout
    assert "asked for localhost" in done.stdout
    capture = done.stdout.rpartition("twoway explain ")[2].strip()
    again = run_twoway("explain", capture)
    assert again.returncode == 1
    assert "unknown_ca" in again.stdout
    from_log = run_twoway(
        "explain", "--refusal", last["id"], "--log", "-", typed=f"noise\n{json.dumps(last)}\n"
    )
    assert from_log.stdout.splitlines()[0] == done.stdout.splitlines()[0]


def test_a_capture_with_several_handshakes_lists_them(run_twoway: Command, place: Place, tmp_path: Path):
    for _ in range(2):
        run_twoway("explain", place.url, "--identity", place.orders)
    both = tmp_path / "both.pcapng"
    both.write_bytes(b"".join(path.read_bytes() for path in sorted(place.record.glob("*-ok.pcapng"))[-2:]))
    done = run_twoway("explain", both)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["1", "2"]
    assert run_twoway("explain", both, "--number", "2").stdout.startswith("✓ 2-way TLS")
    assert len(json.loads(run_twoway("explain", both, "--json").stdout)) == 2
    assert "no number 7" in run_twoway("explain", both, "--number", "7").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to explain"),
        (["nowhere.pcap"], "no such file"),
        (["host:port"], "expected HOST:PORT"),
        (["--refusal", "abc"], "where the refusal is"),
    ],
)
def test_what_is_asked_wrongly_says_how_to_ask(
    run_twoway: Command, arguments: list[str], said: str, tmp_path: Path
):
    done = run_twoway("explain", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "hint:" in done.stderr


def test_a_file_that_is_no_capture_says_what_it_looks_like(run_twoway: Command, tmp_path: Path):
    (tmp_path / "text").write_text("not a capture at all\n")
    done = run_twoway("explain", tmp_path / "text")
    assert done.returncode == 2
    assert "expected a capture" in done.stderr


def test_public_authorities_are_believed_when_nobody_else_was_named(run_twoway: Command, place: Place):
    """So a public server can be looked at; one of a private authority is then refused by us, and told as that."""
    done = run_twoway("explain", place.url)
    assert done.returncode in (1, 2)
    assert "internal error" not in done.stderr
