"""What an application does wrong is in the server's log, with the place."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

import pytest

from tests.server.conftest import Ledger, context_of, fetch, until, wrap
from tests.server.programs import program
from tests.tls.conftest import Pki
from twoway.server import Journal
from twoway.server.library_log import told_in


def test_where_an_application_failed_is_in_the_log(pki: Pki, tmp_path: Path):
    """Whoever wrote it has nothing else to go by."""
    pki.server.save(tmp_path / "api")
    with program(tmp_path, app="shop:failing") as running:
        assert fetch(running.port, context_of(pki))[0] == 500
        failed = until(lambda: running.events("application-failed"))[0]
    assert failed["sentence"] == "LookupError: no such \x1b[31morder"
    assert "shop.py" in failed["traceback"]
    assert "in failing" in failed["traceback"]


def test_in_text_a_failure_is_one_piece_that_moves_no_cursor():
    text = Ledger("text")
    text.failed("LookupError: \x1b[31m", 'Traceback:\n  File "shop.py"\nLookupError: \x1b[31m\n')
    head, *lines = text.text.getvalue().splitlines()
    assert head.endswith(" application-failed: LookupError: \\x1b[31m")
    assert lines == ["    Traceback:", '      File "shop.py"', "    LookupError: \\x1b[31m"]


def test_why_an_application_did_not_start_is_in_the_log(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path / "api")
    with pytest.raises(AssertionError) as ended, program(tmp_path, app="shop:never_starts"):
        pass
    log = str(ended.value)
    assert "LookupError: no database" in log
    assert "in never_starts" in log
    assert "twoway: error: the application failed in its start-up (lifespan)" in log


def test_who_has_configured_logging_is_left_alone(caplog: pytest.LogCaptureFixture):
    with told_in(Journal()):
        assert not any("library_log" in type(one).__module__ for one in _handlers())


def _handlers() -> list[logging.Handler]:
    return logging.getLogger("uvicorn.error").handlers


def test_a_server_that_is_told_to_end_at_once_leaves_no_traceback(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path / "api")
    with (
        program(tmp_path, app="shop:waits") as running,
        wrap(running.port, context_of(pki)) as busy,
    ):
        busy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: (tmp_path / "begun").exists())
        for _ in range(2):
            running.process.send_signal(signal.SIGTERM)
            until(lambda: running.events("draining"))
        running.process.wait(15)
        assert running.log.read_text().count("Traceback") == 0
        assert running.log.read_text().count("CancelledError") == 0
