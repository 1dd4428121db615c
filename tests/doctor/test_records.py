"""What the authority remembers, and what the server's log has, beside the files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command
from twoway.authority import Authority
from twoway.doctor.authority_side import remembered
from twoway.doctor.refusal_log import summed_up

NOW = dt.datetime.now(dt.UTC)


def test_the_authority_says_that_it_revoked_or_does_not_remember(tmp_path: Path):
    with (
        Authority.create(tmp_path / "pki", name="Acme", passphrase=b"x") as authority,
        Authority.create(tmp_path / "other", name="Other", passphrase=b"x") as other,
    ):
        known, stranger = authority.issue_client("orders"), other.issue_client("orders")
        leaf = known.chain[0]
        assert remembered(tmp_path / "pki", leaf, "client", NOW) == []
        (unknown,) = remembered(tmp_path / "pki", stranger.chain[0], "client", NOW)
        assert (unknown.code, unknown.severity) == ("unknown_authority", "warning")
        authority.revoke(known, "keyCompromise")
        (revoked,) = remembered(tmp_path / "pki", leaf, "client", dt.datetime.now(dt.UTC))
        assert (revoked.code, revoked.severity, revoked.blame) == ("certificate_revoked", "error", "client")
        assert "keyCompromise" in revoked.summary


def record(code: str, at: str) -> str:
    return json.dumps(
        {
            "event": "refused",
            "id": "ab12",
            "code": code,
            "at": at,
            "reason": "because",
            "remedy": "do",
            "presented": [{"subject": "CN=x"}],
        }
    )


def test_refusals_are_summed_up_the_most_frequent_first():
    lines = [
        record("unknown_authority", "1"),
        "noise",
        record("no_certificate", "2"),
        record("unknown_authority", "3"),
        '{"event": "request"}',
    ]
    first, second = summed_up(lines)
    assert (first.code, first.severity, first.evidence["count"], first.evidence["last_at"]) == (
        "unknown_authority",
        "warning",
        2,
        "3",
    )
    assert second.code == "no_certificate"
    assert "2 of 3 refusals" in first.summary


@given(st.lists(st.text(max_size=80)))
def test_any_log_is_answered(lines: list[str]):
    assert summed_up(lines) == []


def test_the_servers_side_reads_files_and_log(run_twoway: Command, tmp_path: Path):
    with Authority.create(tmp_path / "pki", name="Acme", passphrase=b"x") as authority:
        authority.issue_server("localhost").save(tmp_path / "api")
        gone = authority.issue_client("orders")
        gone.save(tmp_path / "orders")
        authority.revoke(gone, "keyCompromise")
    (tmp_path / "log").write_text(record("unknown_authority", "1") + "\n")
    done = run_twoway("doctor", "--server", "--identity", tmp_path / "api", "--refusals", tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 refusals" in done.stdout
    asked = run_twoway("doctor", "--files", "--identity", tmp_path / "orders", "--ca-dir", tmp_path / "pki")
    assert asked.returncode == 1
    assert "certificate_revoked" in asked.stdout
