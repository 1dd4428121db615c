"""`twoway ca issue --p12`: the identity as one file besides, for what wants one."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.conftest import Command
from twoway.authority import Authority
from twoway.credential import Credential


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Authority.create(tmp_path / "pki", name="Acme", passphrase=b"ca").close()
    (tmp_path / "ca.pass").write_text("ca\n")
    (tmp_path / "p12.pass").write_text("bundle\n")
    for name in ("ca.pass", "p12.pass"):
        (tmp_path / name).chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("compat", ["modern", "legacy"])
def test_an_identity_goes_out_as_pkcs12_too(run_twoway: Command, place: Path, compat: str):
    done = run_twoway(
        "ca", "issue", "client", "phone", "--ca-dir", "pki", "--passphrase-file", "ca.pass",
        "--p12", "phone.p12", "--p12-passphrase-file", "p12.pass", "--p12-compat", compat, cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bundle = Credential.load(place / "phone.p12", passphrase=b"bundle")
    assert bundle.fingerprint == Credential.load(place / "phone").fingerprint
    assert stat.S_IMODE((place / "phone.p12").stat().st_mode) == 0o600


def test_without_a_passphrase_nothing_is_issued(run_twoway: Command, place: Path):
    done = run_twoway(
        "ca", "issue", "client", "phone", "--ca-dir", "pki", "--passphrase-file", "ca.pass",
        "--p12", "phone.p12", cwd=place,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--p12-passphrase-file" in done.stderr
    assert not (place / "phone").exists()
    assert run_twoway("ca", "list", "--ca-dir", "pki", cwd=place).stdout.count("phone") == 0


def test_what_pkcs12_cannot_hold_is_not_issued(run_twoway: Command, place: Path):
    done = run_twoway(
        "ca", "issue", "client", "phone", "--ca-dir", "pki", "--passphrase-file", "ca.pass", "--key-type", "mldsa44",
        "--p12", "phone.p12", "--p12-passphrase-file", "p12.pass", cwd=place,
    )  # fmt: skip
    assert done.returncode == 2
    assert "PKCS#12 cannot hold a mldsa44 key" in done.stderr
    assert "phone" not in run_twoway("ca", "list", "--ca-dir", "pki", cwd=place).stdout


def test_an_identity_that_cannot_be_written_is_told_by_its_serial(run_twoway: Command, place: Path):
    """It is in the store, and will be in lists: whoever reads them has to know that nobody has its key."""
    (place / "phone").write_text("no directory")
    done = run_twoway(
        "ca", "issue", "client", "phone", "--ca-dir", "pki", "--passphrase-file", "ca.pass", cwd=place
    )
    serial = json.loads(run_twoway("ca", "list", "--json", "--ca-dir", "pki", cwd=place).stdout)[0]["serial"]
    error, hint = done.stderr.splitlines()
    assert done.returncode == 2
    assert error.endswith(f"the certificate {serial} was issued, and its key is lost")
    assert f"twoway ca revoke {serial}" in hint
