"""The rules of the test run itself: its order, and what a missing judge means here and in CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import judge

ROOT = Path(__file__).resolve().parent.parent

EXAMPLES = """
import pytest
from tests.conftest import interpreter, judge

@pytest.mark.browser
def test_browser(): pass

@pytest.mark.judge
def test_judge(): judge("no-such-judge")

def test_fast(): pass

def test_other_python(): interpreter("2.0")
"""


def outcomes(tmp_path: Path, ci: str) -> tuple[int, list[str], str]:
    (tmp_path / "test_examples.py").write_text(EXAMPLES)
    options = [
        "-v",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "-o",
        "markers=judge\nbrowser",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, re.findall(r"::(\w+) ([A-Z]+)", done.stdout), done.stdout


def test_fast_tests_run_first_then_judges_then_browsers(tmp_path):
    code, order, _ = outcomes(tmp_path, ci="")
    assert order[:4] == [
        ("test_fast", "PASSED"),
        ("test_other_python", "SKIPPED"),
        ("test_judge", "SKIPPED"),
        ("test_browser", "PASSED"),
    ]
    assert code == 0


def test_in_ci_a_missing_judge_is_a_failure_and_another_python_is_not(tmp_path):
    code, order, printed = outcomes(tmp_path, ci="true")
    assert ("test_judge", "FAILED") in order
    assert ("test_other_python", "SKIPPED") in order
    assert "no-such-judge is not installed, and in CI every judge must be" in printed
    assert code == 1


def test_a_judge_is_found_where_only_root_looks(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert Path(judge("ldconfig")).name == "ldconfig"


def test_every_judge_that_tests_ask_is_installed_by_ci():
    listed = {
        line.split()[0] for line in (ROOT / ".ci" / "judges").read_text().splitlines() if line[:1].isalnum()
    }
    asked = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__)
        for name in re.findall(r"\bjudge\(\s*\"([^\"]+)\"", path.read_text())
    }
    assert asked <= listed


@pytest.mark.parametrize("line", (ROOT / ".ci" / "judges").read_text().splitlines())
def test_a_judge_is_listed_with_its_package(line):
    assert line.startswith("#") or re.fullmatch(r"[\w.+-]+ +[\w.+-]+", line)
