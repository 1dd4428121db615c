"""What every call goes through: bounds, problem documents, nothing of the inside to the outside."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
from starlette.responses import Response

from tests.enroll.conftest import Serve, Served
from twoway.authority.faults import DiskFull
from twoway.enroll import access, routes
from twoway.enroll.call import Call, Endpoint
from twoway.enroll.faults import Overloaded
from twoway.enroll.problem import Problem


@pytest.fixture
def echoing(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> Any:
    """A service with one more endpoint, which does what the test says."""

    def start(answer: Any, **bounds: Any) -> Any:
        endpoint = Endpoint("echo", ("POST",), "/echo", answer, **bounds)
        monkeypatch.setattr(routes, "ENDPOINTS", (*routes.ENDPOINTS, endpoint))
        monkeypatch.setattr(access, "ACCESS", {**access.ACCESS, "echo": access.EVERYBODY})
        monkeypatch.setattr(routes, "ACCESS", access.ACCESS)
        return serve()

    return start


async def echo(call: Call) -> Response:
    return Response(call.body)


def test_a_body_is_read_up_to_its_bound_and_no_further(echoing: Any) -> None:
    with echoing(echo, body_bytes=10) as service:
        assert service.call("POST", "/echo", content=b"0123456789").content == b"0123456789"
        for more in ({"content": b"0123456789X"}, {"content": iter([b"01234", b"56789", b"X"])}):
            refused = service.call("POST", "/echo", **more)
            assert refused.status_code == 413
            assert refused.json()["code"] == "call_body_too_large"
            assert refused.headers["content-type"] == "application/problem+json"


def test_a_body_that_does_not_come_is_waited_for_so_long_and_no_longer(echoing: Any) -> None:
    with echoing(echo, body_bytes=10, body_seconds=0.2) as service:
        context = ssl._create_unverified_context()
        with (
            socket.create_connection(("127.0.0.1", service.running.port), 10) as plain,
            context.wrap_socket(plain) as line,
        ):
            line.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n012")
            answer = line.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"call_body_too_slow" in answer


def test_an_endpoint_without_a_body_never_reads_one(service: Served) -> None:
    assert service.call("GET", "/health", content=b"x" * 100_000).status_code == 200


def test_a_fault_of_ours_says_nothing_of_the_inside(echoing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The caller gets a number; the log under that number has everything."""

    async def fall(_: Call) -> Response:
        raise RuntimeError("the secret is in /var/lib/pki")

    with echoing(fall) as service:
        answer = service.call("POST", "/echo")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        (line,) = service.lines("failed-call")
        assert "the secret is in" in line["sentence"]
        assert answer.json()["instance"] == f"urn:twoway:call:{line['id']}"
        assert answer.headers["x-request-id"] == line["id"]
        assert service.call("GET", "/health").status_code == 200


def test_the_paths_of_the_store_are_not_told_to_callers() -> None:
    problem = Problem.of(DiskFull("/var/lib/pki/authority.db"), "1")
    assert (problem.status, problem.code, problem.retry_after) == (503, "authority_disk_full", 5)
    assert "/var/lib" not in str(problem.as_dict())


def test_too_many_who_wait_are_told_to_come_again() -> None:
    problem = Problem.of(Overloaded(528), "1")
    assert (problem.status, problem.retry_after) == (503, 1)


def test_a_path_that_is_not_there_and_a_method_that_is_not_taken_are_problems_too(service: Served) -> None:
    missing, wrong = service.call("GET", "/nothing"), service.call("DELETE", "/health")
    assert (missing.status_code, missing.json()["status"]) == (404, 404)
    assert (wrong.status_code, wrong.json()["status"]) == (405, 405)
    assert "GET" in wrong.headers["allow"]


def test_a_problem_has_the_members_of_the_standard(service: Served) -> None:
    """RFC 9457 §3.1; 401 names a scheme (RFC 9110 §11.6.1)."""
    answer = service.call("GET", "/nothing").json()
    assert {"type", "title", "status", "detail", "instance"} <= answer.keys()
    assert answer["remedy"]


def test_a_path_with_a_slash_too_many_is_not_found_and_nobody_is_sent_elsewhere(service: Served) -> None:
    """A redirect would name whatever host the caller gave, and take a token there."""
    for answer in (
        service.call("GET", "/health/"),
        service.plain("/health/", headers={"host": "evil.example"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "call_not_found")
        assert "location" not in answer.headers
