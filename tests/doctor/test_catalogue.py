"""The catalogue of failures on real servers: the right cause first, with the client's files alone and with both sides'.

Each case runs on all its servers, in TLS 1.2 and in TLS 1.3; all cases run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.doctor.catalogue import FAILURES, HEALTHY, Case
from tests.doctor.servers import go_server, serving
from tests.doctor.wider import MORE_FAILURES, MORE_HEALTHY
from tests.doctor.wider_services import SERVICES
from twoway.doctor.finding import Report
from twoway.doctor.loading import load
from twoway.doctor.observing import Target
from twoway.doctor.probe import examine_server

pytestmark = pytest.mark.judge
VERSIONS = ("TLSv1.2", "TLSv1.3")
Examined = tuple[str, str, Report, Report]
Examinations = Callable[[Case], list[Examined]]


def name(value: object) -> str | None:
    return value.name if isinstance(value, Case) else None


def examined(case: Case, server: str, version: str, place: Path) -> Examined:
    """What the doctor says with the client's files alone, and with both sides'."""
    setup = case.make().write(place / f"{server}-{version}")
    with serving(server, setup, version) as port:
        target = Target("127.0.0.1", port, case.called, timeout=5)
        mine = setup.place / "client"
        if setup.client is None:
            client = load("client", ca=mine / "ca.pem", hostname=case.called)
        else:
            client = load("client", mine, hostname=case.called)
        theirs = load("server", setup.place / "server", hostname=case.called)
        return server, version, examine_server(target, client), examine_server(target, client, theirs)


@pytest.fixture(scope="module")
def examinations(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Examinations]:
    """What came of a case, everywhere. All that were selected run side by side from the start."""
    mine = [item for item in request.session.items if item.path == request.path]
    cases = [item.callspec.params["case"] for item in mine if hasattr(item, "callspec")]
    if any("go" in case.servers for case in cases):
        go_server()  # built before the threads ask for it
    with ThreadPoolExecutor(12) as pool:
        jobs: dict[str, list[Future[Examined]]] = {
            case.name: [
                pool.submit(examined, case, server, version, tmp_path_factory.mktemp("case"))
                for server in case.servers
                for version in VERSIONS
            ]
            for case in cases
        }
        yield lambda case: [job.result() for job in jobs[case.name]]
        for job in (job for several in jobs.values() for job in several):
            job.cancel()


def told(report: Report) -> list[tuple[str, str, str]]:
    return [(one.severity, one.code, one.summary) for one in report.findings]


@pytest.mark.parametrize("case", [*FAILURES, *MORE_FAILURES, *SERVICES], ids=name)
def test_the_right_cause_comes_first(case: Case, examinations: Examinations):
    wrong = [
        (server, version, report.verdict, told(report))
        for server, version, alone, both in examinations(case)
        for report, expected in ((alone, case.alone), (both, case.both))
        if report.verdict != "broken"
        or report.findings[0].code not in expected
        or not report.findings[0].remedy
    ]
    assert wrong == []


@pytest.mark.parametrize("case", [*HEALTHY, *MORE_HEALTHY], ids=name)
def test_what_is_healthy_raises_no_alarm(case: Case, examinations: Examinations):
    alarms = [
        (server, version, report.verdict, told(report))
        for server, version, *reports in examinations(case)
        for report in reports
        if report.verdict != "healthy" or any(one.severity != "info" for one in report.findings)
    ]
    assert alarms == []
