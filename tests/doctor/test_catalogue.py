"""The catalogue of failures on real servers: the right cause first, with the client's files alone and with both sides'."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.catalogue import FAILURES, HEALTHY, Case
from tests.doctor.servers import serving
from twoway.doctor.finding import Report
from twoway.doctor.loading import load
from twoway.doctor.observing import Target
from twoway.doctor.probe import examine_server

pytestmark = pytest.mark.judge


def pairs(cases: list[Case]) -> list[tuple[Case, str]]:
    return [
        (case, server)
        for case in cases
        for server in case.servers
        if not (server == "node" and case.name == "never asked")
    ]


def ids(value: object) -> str | None:
    return value.name if isinstance(value, Case) else None


def examined(case: Case, server: str, place: Path) -> tuple[Report, Report]:
    """What the doctor says with the client's files alone, and with both sides'."""
    setup = case.make().write(place)
    with serving(server, setup) as port:
        target = Target("127.0.0.1", port, "localhost", timeout=5)
        mine = place / "client"
        if setup.client is None:
            client = load("client", ca=mine / "ca.pem", hostname="localhost")
        else:
            client = load("client", mine, hostname="localhost")
        theirs = load("server", place / "server", hostname="localhost")
        return examine_server(target, client), examine_server(target, client, theirs)


@pytest.mark.parametrize(("case", "server"), pairs(FAILURES), ids=ids)
def test_the_right_cause_comes_first(case: Case, server: str, tmp_path: Path):
    alone, both = examined(case, server, tmp_path)
    for report, expected in ((alone, case.alone), (both, case.both)):
        told = [(one.severity, one.code, one.summary) for one in report.findings]
        assert report.verdict == "broken", told
        assert report.findings[0].code in expected, told
        assert report.findings[0].remedy


@pytest.mark.parametrize(("case", "server"), pairs(HEALTHY), ids=ids)
def test_what_is_healthy_raises_no_alarm(case: Case, server: str, tmp_path: Path):
    for report in examined(case, server, tmp_path):
        assert [
            (one.severity, one.code, one.summary) for one in report.findings if one.severity != "info"
        ] == []
        assert report.verdict == "healthy"
