"""A store that is away for a while: callers are told to come again, nothing is lost, and nobody restarts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.authority.conftest import make_csr
from tests.enroll.conftest import Served
from tests.enroll.test_enrolling import enroll, token
from tests.postgres import Server
from twoway.authority import Authority
from twoway.authority.directory import STORE_URL
from twoway.authority.faults import StoreBusy, StoreLocked, StoreUnreachable
from twoway.enroll.problem import Problem
from twoway.errors import TwowayError

STORES = ("postgresql",)


@pytest.mark.parametrize("error", [StoreLocked("db", 10), StoreBusy("db"), StoreUnreachable("db", "gone")])
def test_what_passes_is_told_as_that(error: TwowayError) -> None:
    problem = Problem.of(error, "1")
    assert (problem.status, problem.code, problem.retry_after) == (503, error.code, 5)


def test_connections_that_are_cut_under_a_running_service(
    service: Served, postgres: Server, authority: Authority
) -> None:
    """A token that was not redeemed for sure stays good, or names the certificate that it was redeemed for."""
    database = Path(authority.directory / STORE_URL).read_text().split("@/")[1].split("?")[0]
    operator = authority.issue_client("operator")
    statuses, issued = [], 1
    with service.client(operator) as client:
        for _ in range(6):
            with postgres.connect() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
                )
            answer = client.post("/sign?profile=client", content=make_csr("orders"))
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
                assert answer.json()["code"] == "authority_store_unreachable"
            assert client.post("/sign?profile=client", content=make_csr("orders")).status_code == 201
            issued += 1 + (answer.status_code == 201)
    assert set(statuses) <= {201, 503}
    assert len(authority.list("orders")) >= issued - 1
    assert enroll(service, token(service, "billing").text).status_code == 201
    authority.verify_audit()
