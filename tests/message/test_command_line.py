"""`twoway seal|open|sign|verify`: as a person or a script runs them."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.message.conftest import Pki

SEAL_FORMATS = ("jwe", "cms", "hpke")
SIGN_FORMATS = ("jws", "cms")


@pytest.mark.parametrize("format", SEAL_FORMATS)
def test_a_file_is_sealed_for_two_and_opened_by_either(
    run_twoway: Command, place: Path, pki: Pki, format: str
):
    pki.identity("p384", "archive").save(place / "archive")
    (place / "order.json").write_text('{"order_id": 1223}')
    sealed = run_twoway(
        "seal", "order.json", "--to", "orders/cert.pem", "--to", "archive", "--ca", "ca.pem",
        "--format", format, "-o", "order.sealed", cwd=place,
    )  # fmt: skip
    assert (sealed.returncode, sealed.stdout, sealed.stderr) == (0, "", "")
    for name in ("orders", "archive"):
        opened = run_twoway("open", "order.sealed", "--identity", name, "-o", "opened.json", cwd=place)
        assert (opened.returncode, opened.stderr) == (0, "")
        assert (place / "opened.json").read_text() == '{"order_id": 1223}'
        assert stat.S_IMODE((place / "opened.json").stat().st_mode) == 0o600
    refused = run_twoway("open", "order.sealed", "--identity", "partner", "-o", "no.json", cwd=place)
    assert refused.returncode == 1
    assert "twoway: error: expected a message for partner" in refused.stderr
    assert not [one.name for one in place.iterdir() if "no.json" in one.name]


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("format", SIGN_FORMATS)
def test_a_signed_file_says_who_signed_it(
    run_twoway: Command, place: Path, pki: Pki, format: str, detached: bool
):
    (place / "order.json").write_text('{"order_id": 1223}')
    more = ["--detached"] if detached else []
    signed = run_twoway(
        "sign",
        "order.json",
        "--identity",
        "orders",
        "--format",
        format,
        *more,
        "-o",
        "order.signed",
        cwd=place,
    )
    assert (signed.returncode, signed.stdout, signed.stderr) == (0, "", "")
    about = ["--content", "order.json"] if detached else ["-o", "verified.json"]
    verified = run_twoway("verify", "order.signed", "--ca", "ca.pem", *about, cwd=place)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("signed by CN=orders, issued by CN=Acme Issuing CA, fingerprint ")
    if not detached:
        assert (place / "verified.json").read_text() == '{"order_id": 1223}'
    as_json = run_twoway("verify", "order.signed", "--ca", "ca.pem", *about, "--json", cwd=place)
    assert json.loads(as_json.stdout)["signers"][0]["fingerprint"] == pki.identity().fingerprint


def test_a_signature_of_a_stranger_leaves_with_one_and_writes_nothing(run_twoway: Command, place: Path):
    Pki().identity("p256", "stranger").save(place / "stranger")
    (place / "order.json").write_text("x")
    run_twoway("sign", "order.json", "--identity", "stranger", "-o", "order.signed", cwd=place)
    refused = run_twoway("verify", "order.signed", "--ca", "ca.pem", "-o", "out.json", cwd=place)
    assert refused.returncode == 1
    assert "twoway: error: " in refused.stderr
    assert not (place / "out.json").exists()


def test_pipes_are_read_and_written(run_twoway: Command, place: Path):
    sealed = run_twoway("seal", "-", "--to", "orders", "--ca", "ca.pem", typed="order 1223", cwd=place)
    opened = run_twoway("open", "-", "--identity", "orders", typed=sealed.stdout, cwd=place)
    assert opened.stdout == "order 1223"
    signed = run_twoway("sign", "-", "--identity", "orders", typed="order 1223", cwd=place)
    verified = run_twoway("verify", "-", "--ca", "ca.pem", "-o", "-", typed=signed.stdout, cwd=place)
    assert verified.stdout == "order 1223"
    assert verified.stderr.startswith("twoway: signed: by CN=orders")


def test_without_an_authority_to_believe_nothing_is_sealed(run_twoway: Command, place: Path):
    (place / "order.json").write_text("x")
    done = run_twoway("seal", "order.json", "--to", "orders", "-o", "out", cwd=place)
    assert done.returncode == 2
    assert "no authority to trust was given" in done.stderr
    assert "--ca FILE" in done.stderr
    assert not (place / "out").exists()


def test_a_file_that_is_not_there_is_asked_wrongly(run_twoway: Command, place: Path):
    done = run_twoway("open", "nothing", "--identity", "orders", cwd=place)
    assert done.returncode == 2
    assert "nothing does not exist" in done.stderr


def test_what_is_sealed_is_for_sharing_and_what_is_opened_is_not(run_twoway: Command, place: Path):
    (place / "order").write_text("x")
    run_twoway("seal", "order", "--to", "orders", "--ca", "ca.pem", "-o", "sealed", cwd=place)
    run_twoway("open", "sealed", "--identity", "orders", "-o", "opened", cwd=place)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((place / "sealed").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((place / "opened").stat().st_mode) == 0o600


def test_a_result_goes_to_a_device_too(run_twoway: Command, place: Path):
    (place / "order").write_text("x")
    done = run_twoway("seal", "order", "--to", "orders", "--ca", "ca.pem", "-o", "/dev/null", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("/dev/null").is_char_device()


@pytest.mark.slow
def test_a_bar_is_shown_on_a_terminal_and_bytes_are_not(place: Path):
    """Only on stderr, only for large files; and nothing binary is printed where a person looks."""
    with (place / "large").open("wb") as file:
        file.truncate(80 << 20)
    script = Path(sys.executable).with_name("twoway")
    command = [script, "seal", "large", "--to", "orders", "--ca", "ca.pem", "--format", "cms"]
    terminal, inside = pty.openpty()
    done = subprocess.run(
        [*command, "-o", "sealed"], cwd=place, stdout=subprocess.PIPE, stderr=inside, timeout=60,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    told = os.read(terminal, 65536)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"sealing" in told
    done = subprocess.run(command, cwd=place, stdout=inside, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(inside)
    os.close(terminal)
    assert done.returncode == 2
    assert "would go to a terminal" in done.stderr


def test_a_key_in_an_encrypted_identity_is_encrypted_too(run_twoway: Command, place: Path, pki: Pki):
    pki.identity("ed25519").save(place / "locked", passphrase="tell nobody")
    (place / "word").write_text("tell nobody")
    (place / "word").chmod(0o600)
    word = ("--passphrase-file", "word")
    made = run_twoway("sealing-key", "--identity", "locked", "-o", "card", *word, cwd=place)
    assert made.returncode == 0, made.stderr
    assert (place / "locked" / "sealing-key.pem").read_text().count("ENCRYPTED") == 4
    (place / "order").write_text("order 1223")
    run_twoway("seal", "order", "--to", "card", "--ca", "ca.pem", "--format", "hpke", "-o", "s", cwd=place)
    assert run_twoway("open", "s", "--identity", "locked", *word, cwd=place).stdout == "order 1223"
    refused = run_twoway("open", "s", "--identity", "locked", cwd=place)
    assert refused.returncode == 2
    assert "passphrase" in refused.stderr


def test_a_detached_signature_has_no_content_to_write(run_twoway: Command, place: Path):
    done = run_twoway("verify", "sig", "--content", "order", "--ca", "ca.pem", "-o", "out", cwd=place)
    assert done.returncode == 2
    assert "no content to write" in done.stderr
    assert not (place / "out").exists()
