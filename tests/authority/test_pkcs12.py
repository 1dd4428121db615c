"""`twoway ca issue --p12`: the identity as one file besides, for what wants one."""

from __future__ import annotations

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
