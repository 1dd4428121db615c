"""`twoway seal|open|sign|verify`: as a person or a script runs them."""

from __future__ import annotations

import json
import stat
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
