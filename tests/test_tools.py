"""The checks of sources and documentation find what they are there to find, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_docs, check_sources


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(check_sources, "ROOT", tmp_path)
    return tmp_path / "a.py"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("open('/" + "work/main/x')", "a path of one machine"),
        ("/" + "home/jo/x", "a path of one machine"),
        ("https://files.python" + "hosted.org/x", "the host of a package registry"),
        ("--index-" + "url=https://x.example/simple", "the address of a package index"),
        ("# TO" + "DO later", "a note to oneself"),
    ],
)
def test_what_no_file_may_hold_is_found_with_its_line(source: Path, line, what):
    source.write_text(f"fine\n{line}\n")
    assert check_sources.problems_of(source) == [f"a.py:2: {what}: {line}"]


@pytest.mark.parametrize(
    "line", ["https://acme.example/work/order", "~/rooted/x", "TODOS", "--no-emit-index-" + "url", "\xff\xfe"]
)
def test_what_only_looks_like_it_is_not(source: Path, line):
    source.write_text(line, encoding="utf-8")
    assert check_sources.problems_of(source) == []


def test_a_file_that_is_no_text_is_not_read(source: Path):
    source.write_bytes(b"\xff\xfe/" + b"work/x")
    assert check_sources.problems_of(source) == []


def test_a_long_file_needs_a_reason(source: Path, monkeypatch):
    source.write_text("pass\n" * 401)
    assert check_sources.problems_of(source) == ["a.py: 401 lines; more than 400 ask to be two files"]
    monkeypatch.setitem(check_sources.LONG, "a.py", "one table")
    assert check_sources.problems_of(source) == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("b.md", True),
        ("b.md#two-words-more", True),
        ("#here", True),
        ("b.md#anchor", True),
        ("https://nowhere.example/x", True),
        ("c.md", False),
        ("b.md#three", False),
        ("#there", False),
    ],
)
def test_a_link_leads_to_a_file_and_a_heading(tmp_path: Path, link, leads):
    here, there = tmp_path / "a.md", tmp_path / "b.md"
    here.write_text("# Here\n```\n# there\n```\n")
    there.write_text('## Two words, *more*\n<a id="anchor"></a>\n')
    assert check_docs.leads(here, link) is leads


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("`errors.py::ConfigError`, `errors.py::TwowayError.remedy`, `steps.py`", []),
        ("`errors.py::Missing`", ["there is no Missing in errors.py"]),
        ("`errors.py::ConfigError.missing`", ["there is no ConfigError.missing in errors.py"]),
        ("`missing.py::x`", ["there is no missing.py"]),
    ],
)
def test_a_cited_place_is_in_the_source(text, problems):
    assert check_docs.wrong_places(text) == problems
