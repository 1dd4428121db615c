"""What the authority remembers, and what the server's log has, beside the files."""

from __future__ import annotations

import datetime as dt
import io
import json
import shutil
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command
from twoway.authority import Authority
from twoway.doctor.authority_side import remembered
from twoway.doctor.refusal_lines import refusal_in
from twoway.doctor.refusal_log import refusal_of, summed_up
from twoway.server.journal import Journal
from twoway.steps import Step
from twoway.tls.refusal import Refusal

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


def test_the_authority_tells_what_it_renewed_and_what_it_never_wrote_down(tmp_path: Path):
    """A renewed certificate is superseded; one that another copy of the authority issued is not in the register."""
    with Authority.create(tmp_path / "pki", name="Acme", passphrase=b"x") as authority:
        shutil.copytree(tmp_path / "pki", tmp_path / "copy")
        old = authority.issue_client("orders")
        authority.renew(authority.renew(old))
    (finding,) = remembered(tmp_path / "pki", old.chain[0], "client", NOW)
    assert (finding.code, finding.severity) == ("superseded", "info")
    assert f"serial {old.chain[0].serial_number:x}" in str(finding.evidence["presented"])
    later = old.chain[0].not_valid_after_utc + dt.timedelta(days=1)
    assert remembered(tmp_path / "pki", old.chain[0], "client", later)[0].severity == "warning"
    (unwritten,) = remembered(tmp_path / "copy", old.chain[0], "client", NOW)
    assert (unwritten.code, unwritten.severity) == ("not_in_register", "warning")


def test_one_refusal_is_told_by_its_id_as_the_same_finding():
    line = record("unknown_authority", "2026-11-25T10:02:00.000+00:00").replace("ab12", "cd34")
    found = refusal_of(["noise", record("no_certificate", "1"), f"WARNING {line}"], "cd34")
    assert found is not None
    assert (found.code, found.severity, found.blame) == ("unknown_authority", "error", "client")
    assert found.remedy == "do"
    assert found.evidence["at"] == "2026-11-25T10:02:00.000+00:00"
    assert refusal_of([line], "ef56") is None


def test_a_refusal_of_a_running_server_can_be_asked_about(run_twoway: Command, tmp_path: Path):
    log = tmp_path / "log"
    log.write_text(record("no_certificate", "1") + "\n")
    known = run_twoway("doctor", "--refusals", log, "--refusal", "ab12")
    assert known.returncode == 1
    assert "refusal ab12: broken" in known.stdout
    unknown = run_twoway("doctor", "--refusals", log, "--refusal", "zz")
    assert unknown.returncode == 2
    assert "has no refusal zz" in unknown.stderr
    everything = run_twoway("doctor", "--refusals", log)
    assert everything.returncode == 0
    assert "1 of 1 refusals" in everything.stdout
    nowhere = run_twoway("doctor", "--refusal", "ab12")
    assert nowhere.returncode == 2


def test_the_text_of_a_log_is_read_as_well_as_its_json():
    """What `twoway serve` and `twoway gateway` write unless they are told otherwise."""
    stream = io.StringIO()
    refusal = Refusal(
        id="af402826c5f3",
        at=NOW,
        by="us",
        address="127.0.0.1:60894",
        server_name="localhost",
        step=Step.SERVER_CHECKS,
        code="unknown_authority",
        reason="expected a chain to CN=Acme, got one from CN=Globex",
        remedy="present another",
        alert="unknown_ca",
        presented=({"subject": "CN=evil, O=Globex"}, {"subject": "CN=Globex Issuing"}),
        evidence={},
    )
    Journal("text", stream).refused(refusal)
    found = refusal_of(stream.getvalue().splitlines(), "af402826c5f3")
    assert found is not None
    assert (found.code, found.blame, found.remedy) == ("unknown_authority", "client", "present another")
    assert found.evidence["presented"] == ["CN=evil, O=Globex", "CN=Globex Issuing"]
    assert found.evidence["alert"] == "unknown_ca"
    assert "got one from CN=Globex" in found.summary
    (summed,) = summed_up([stream.getvalue()])
    assert summed.code == "unknown_authority"


def test_a_log_without_refusals_is_no_all_clear(run_twoway: Command, tmp_path: Path):
    (tmp_path / "log").write_text("2026/11/25 10:02:00 [info] client SSL certificate verify error\n")
    done = run_twoway("doctor", "--refusals", tmp_path / "log")
    assert done.returncode == 2
    assert "has no refusal of twoway" in done.stderr


@given(st.text(max_size=200))
def test_any_line_is_a_refusal_or_none(text: str):
    for line in (
        text,
        f"refused {text}",
        f'{{"event": "refused", {text}',
        "[" * 5000 + '{"refused"' + "[" * 5000,
    ):
        found = refusal_in(line)
        assert found is None or found["event"] == "refused"
