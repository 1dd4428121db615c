"""What every test may use, and in which order tests run: fast ones, then judges, then browsers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.postgres import Server

IN_CI = os.environ.get("CI") == "true"
_MISSING = "is not installed"
_STAGES = ("judge", "browser")
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# No deadline: machines that run tests are shared. In CI always the same examples, so that a change is
# judged by what it changes.
settings.register_profile("twoway", deadline=None, derandomize=IN_CI)
settings.load_profile("twoway")


def judge(name: str) -> str:
    """Give the path of a third-party program; without it the test is skipped, and in CI it fails."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{name} {_MISSING}")
    return path


def asset(*parts: str) -> Path:
    """Give the path of a third-party file below .judges; missing, it is what a missing program is."""
    path = Path(__file__).parents[1].joinpath(".judges", *parts)
    if not path.is_file():
        pytest.skip(f"{path.name} {_MISSING}")
    return path


def interpreter(version: str) -> str:
    """Give the path of another Python, such as "3.13"; skips where this machine has none, in CI too."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = shutil.which(f"python{version}")
    for candidate in [found, *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]:
        # A version manager's shim is on the path even when it has nothing to run.
        if candidate and subprocess.run([candidate, "-c", "import ssl"], capture_output=True).returncode == 0:
            return str(candidate)
    pytest.skip(f"this machine has no Python {version}")


class Command(Protocol):
    """Run the real `twoway` with these arguments; it has no terminal and none of our own settings."""

    def __call__(
        self,
        *arguments: str | Path,
        typed: str = "",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def run_twoway() -> Command:
    script = Path(sys.executable).with_name("twoway")

    def run(
        *arguments: str | Path, typed: str = "", env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("TWOWAY_", "PYTHON"))
        }
        return subprocess.run(
            [script, *arguments],
            input=typed,
            env=clean | (env or {}),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,  # no controlling terminal: nothing can be asked
        )

    return run


@pytest.fixture
def unused_port() -> int:
    """A port of loopback that nobody listened on a moment ago; prefer port 0 where a server can say it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL, one for all tests; `postgres.fresh()` is the URL of a new database."""
    from tests.postgres import server

    with server() as found:
        yield found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a module says in STORES, its tests run on: an authority's store in SQLite, in PostgreSQL, or in both."""
    if "store_kind" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "STORES", ("sqlite",))
        marks = {"postgresql": pytest.mark.judge}
        values = [pytest.param(kind, marks=marks.get(kind, ())) for kind in kinds]
        metafunc.parametrize("store_kind", values, indirect=True)


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(store_kind: str, request: pytest.FixtureRequest) -> str | None:
    """Where the store of the test's authority is; None is a file in its directory."""
    if store_kind == "sqlite":
        return None
    return str(request.getfixturevalue("postgres").fresh())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def stage(item: pytest.Item) -> int:
        return max((_STAGES.index(name) + 1 for name in _STAGES if item.get_closest_marker(name)), default=0)

    items.sort(key=stage)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _fail_when_missing((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _fail_when_missing((yield))


def _fail_when_missing(report: Report) -> Report:
    """In CI every judge is there: a test skipped for a missing one has failed."""
    if (
        IN_CI
        and report.skipped
        and isinstance(report.longrepr, Sequence)
        and _MISSING in str(report.longrepr[2])
    ):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]}, and in CI every judge must be: .ci/judges lists them"
    return report
