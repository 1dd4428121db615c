"""A server that records: bounded, for its owner only, and never in the way of the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.client import Client
from twoway.errors import TwowayError
from twoway.explainer.captured import handshakes_in
from twoway.server import background
from twoway.tls.recorder import REFUSALS, CannotRecord, Recorder

__all__ = ["pki"]


def test_every_connection_becomes_a_capture_with_its_secrets(pki: Pki, tmp_path: Path):
    with background(tell, identity=pki.server, journal=Ledger(), record=tmp_path / "rec") as server:
        url = f"https://localhost:{server.port}/"
        with Client(identity=pki.client, resume=True) as client:
            client.get(url)
        with Client(identity=pki.stranger, trust=pki.trust) as client, pytest.raises(TwowayError):
            client.get(url)
    files = sorted((tmp_path / "rec").glob("*.pcapng"))
    assert len(files) == 2
    assert (tmp_path / "rec").stat().st_mode & 0o777 == 0o700
    outcomes = []
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        with path.open("rb") as file:
            (told,) = handshakes_in(file)
        outcomes.append(told.outcome)
        # What a refused client had already sent under its application keys nobody has ever opened.
        sealed = {m.wire.sender for m in told.messages if m.wire.kind == "encrypted"}
        assert sealed <= ({"client"} if told.outcome == "refused" else set())
    assert sorted(outcomes) == ["mutual", "refused"]
    (refusal,) = [json.loads(line) for line in (tmp_path / "rec" / REFUSALS).read_text().splitlines()]
    assert [path for path in files if path.name.endswith(f"-{refusal['id']}.pcapng")]


def test_a_server_records_nothing_unless_it_is_told_to(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with (
        background(tell, identity=pki.server, journal=Ledger()) as server,
        Client(identity=pki.client) as client,
    ):
        client.get(f"https://localhost:{server.port}/")
    assert list(tmp_path.iterdir()) == []


def test_only_the_newest_recordings_are_kept(pki: Pki, tmp_path: Path):
    recorder = Recorder(tmp_path / "rec", files=3)
    from twoway.tls.recording import Recording

    for number in range(6):
        recording = Recording("server")
        recording.received(b"x")
        recorder.keep(recording, ("127.0.0.1", 1000 + number), ("127.0.0.1", 443), broke=False)
    names = sorted(path.name for path in (tmp_path / "rec").glob("*.pcapng"))
    assert [name.split("-")[1] for name in names] == ["1003", "1004", "1005"]


def test_a_long_conversation_is_recorded_up_to_a_bound(pki: Pki, tmp_path: Path):
    with (
        background(tell, identity=pki.server, journal=Ledger(), record=tmp_path / "rec") as server,
        Client(identity=pki.client) as client,
    ):
        client.post(f"https://localhost:{server.port}/", content=b"z" * 500_000)
    (path,) = (tmp_path / "rec").glob("*.pcapng")
    assert path.stat().st_size < 80_000
    with path.open("rb") as file:
        (told,) = handshakes_in(file)
    assert told.outcome == "mutual"


def test_a_directory_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotRecord) as caught:
        Recorder(tmp_path / "file")
    assert "cannot record into" in str(caught.value)
    assert caught.value.remedy


def test_a_disk_that_is_gone_does_not_take_the_service_with_it(
    pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with background(tell, identity=pki.server, journal=Ledger(), record=tmp_path / "rec") as server:
        (tmp_path / "rec").rmdir()
        with Client(identity=pki.client) as client:
            assert client.get(f"https://localhost:{server.port}/").status_code == 200
    assert "a recording was not written" in caplog.text
