"""A restart without a gap in HTTP mode: no request on a connection that is kept open is lost."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

import pytest

from tests.gateway.conftest import Pki, context_of, until
from tests.gateway.http.conftest import HttpBackend
from tests.gateway.program import Program


@pytest.mark.slow
def test_no_request_on_a_kept_connection_is_lost(pki: Pki, tmp_path: Path):
    """The answer that says Connection: close is the last one; nothing is closed while a request may be on its way."""
    backend = HttpBackend()
    program = Program(pki, backend, tmp_path, listener="http = true", gateway="workers = 2")  # type: ignore[arg-type]
    stop, failures, answers = threading.Event(), [], [0, 0]

    def keep_asking() -> None:
        while not stop.is_set():
            connection = http.client.HTTPSConnection("localhost", port, context=context_of(pki), timeout=10)
            try:
                while not stop.is_set():
                    connection.request("POST", "/", body=b"once")
                    response = connection.getresponse()
                    assert response.read() == b"ok"
                    answers[0] += 1
                    if response.will_close:
                        answers[1] += 1
                        break
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

    def more(count: int) -> None:
        before = answers[0]
        until(lambda: answers[0] >= before + count or failures, 30)

    try:
        port = program.port
        threads = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            more(20)
            assert program.ask("restart").returncode == 0
        more(20)
        stop.set()
        for thread in threads:
            thread.join(20)
    finally:
        stop.set()
        program.close()
        backend.close()
    assert failures == []
    assert answers[1] >= 3, "those that were kept open were told to leave"
