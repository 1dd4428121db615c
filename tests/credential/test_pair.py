"""A key and its certificate are replaced together, wherever the process is killed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.pki import Issuer
from twoway.credential import Credential, FileUnwritable
from twoway.credential.pair import replace_pair
from twoway.tls.reload import FileWatch

ISSUER = Issuer.root("Acme Root")
OLD, NEW, NEXT = (ISSUER.leaf(name) for name in ("old", "new", "next"))


def put(directory: Path, credential: Credential) -> None:
    replace_pair(directory, credential.key_pem(), credential.certificate_pem())


def test_the_new_pair_is_there_and_the_key_is_its_owners_only(tmp_path: Path):
    OLD.save(tmp_path)
    put(tmp_path, NEW)
    assert Credential.load(tmp_path).fingerprint == NEW.fingerprint
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    put(tmp_path, NEXT)
    assert Credential.load(tmp_path).fingerprint == NEXT.fingerprint


def test_an_empty_directory_gets_a_pair_too(tmp_path: Path):
    put(tmp_path, NEW)
    assert Credential.load(tmp_path).fingerprint == NEW.fingerprint


def test_only_the_pair_of_before_is_kept(tmp_path: Path):
    OLD.save(tmp_path)
    for each in (NEW, NEXT, NEW, NEXT):
        put(tmp_path, each)
    assert len(list((tmp_path / ".pairs").iterdir())) == 2


def test_whoever_watches_the_files_sees_the_change(tmp_path: Path):
    OLD.save(tmp_path)
    watch = FileWatch([tmp_path / "cert.pem", tmp_path / "key.pem"])
    put(tmp_path, NEW)
    assert watch.changed()
    put(tmp_path, NEXT)
    assert watch.changed()
    assert not watch.changed()


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("first", [True, False], ids=["from plain files", "from links"])
@pytest.mark.parametrize("renames", range(12))
def test_killed_at_any_rename_the_files_are_a_pair(
    tmp_path: Path, renames: int, first: bool, monkeypatch: pytest.MonkeyPatch
):
    OLD.save(tmp_path)
    if not first:
        put(tmp_path, NEXT)
    before = Credential.load(tmp_path).fingerprint
    real, left = os.replace, [renames]

    def replace(*arguments: Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        killed = False
        try:
            put(tmp_path, NEW)
        except Killed:
            killed = True
    found = Credential.load(tmp_path).fingerprint
    assert found in ((before, NEW.fingerprint) if killed else (NEW.fingerprint,))
    put(tmp_path, NEW)  # and the next attempt goes through
    assert Credential.load(tmp_path).fingerprint == NEW.fingerprint


def test_a_directory_that_cannot_be_written_keeps_what_it_has(tmp_path: Path):
    OLD.save(tmp_path)
    (tmp_path / ".pairs").write_text("in the way")
    with pytest.raises(FileUnwritable):
        put(tmp_path, NEW)
    assert Credential.load(tmp_path).fingerprint == OLD.fingerprint
