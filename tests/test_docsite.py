"""The documentation as a site: complete, without a warning, and readable as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import twoway
from tests.browser import Browser, browser
from tests.conftest import asset, judge
from tools.docsite import commands, library
from tools.tracked import ROOT, tracked

COMMANDS = list(commands.commands())
PAGES = ["index.html", "docs/serving.html", "reference/twoway.html"]


def test_every_public_name_is_in_the_reference_with_its_promise():
    """`twoway.__all__` and the page of `twoway` have the same names, and each says what it promises."""
    text = library.page(twoway)
    missing = [name for name in twoway.__all__ if name != "__version__" and f"\n## {name}\n" not in text]
    assert missing == []
    assert re.findall(r"^## (\w+)\n\n```python\n[^`]*```\n\n(?=#|\Z)", text, re.M) == []


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda value: "-".join(value) if type(value) is tuple else ""
)
def test_a_command_and_each_flag_say_what_they_do_within_80_columns(
    path: tuple[str, ...], command: click.Command
):
    assert command.help
    shown = commands.help_of(path, command)
    assert [line for line in shown.splitlines() if len(line) > commands.COLUMNS] == []
    for option in command.params:
        if isinstance(option, click.Option):
            # A sentence: it begins large (or with a name as it is typed), and ends.
            said = re.sub(r"\s*\[[^]]*\]$", "", option.help or "")
            assert re.match(r"[A-Z`(]|[a-z0-9]+\b", said), f"{option.opts}: {option.help!r}"
            assert said.endswith((".", "?", "…")), f"{option.opts}: {option.help!r}"


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS if len(path) > 1], ids="-".join)
def test_a_command_is_met_in_a_page_that_people_wrote(path: tuple[str, ...]):
    """Whoever reads only the how-tos learns that the command exists."""
    pages = [ROOT / "README.md", *(page for page in tracked("docs/*.md") if page.name != "failures.md")]
    told = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    words = [re.escape(word) for word in path[1:]]
    # `twoway ca init`, or among its like: `twoway gateway status|top|connections`.
    among = r"(?:[\w-]+\|)*"
    assert re.search(r"twoway " + r" ".join(among + word for word in words) + r"\b", told), " ".join(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a warning is a failure."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "tools.docsite", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_has_every_page(site: Path):
    written = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in tracked("docs/*.md")}
    # Not library.pages(): it gives Django its settings, which a process has once.
    made = {f"reference/{name}.html" for name in (*library.PLACES, *commands.pages(), "twoway")}
    made.remove("reference/twoway.integrations.html")  # it re-exports nothing; its modules have a page each
    made.add("reference/twoway.integrations.fastapi.html")
    assert [page for page in sorted({"index.html", *written, *made}) if not (site / page).is_file()] == []


@pytest.mark.slow
def test_a_page_is_reached_from_the_start_page_without_a_script(site: Path):
    """The navigation is in the page itself, so that it works where scripts do not."""
    start = (site / "index.html").read_text(encoding="utf-8")
    sidebar = start[start.index('class="sidebar-tree"') :]
    assert 'href="docs/serving.html"' in sidebar
    assert 'href="reference/twoway.html"' in sidebar
    assert 'href="reference/command-gateway.html"' in sidebar


@pytest.mark.slow
def test_nothing_on_a_page_is_fetched_from_elsewhere(site: Path):
    """The site reads the same without a network."""
    for page in PAGES:
        text = (site / page).read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]*"', text) == []
        assert (
            re.findall(r'<link[^>]+rel="(?:stylesheet|preload|icon)"[^>]+href="(?:https?:)?//[^"]*"', text)
            == []
        )


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    judge("chromium")
    with browser(judge("chromedriver")) as one:
        yield one


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.judge
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page: Browser, site: Path, name: str, width: int, scheme: str):
    axe = asset("node_modules", "axe-core", "axe.min.js").read_text("utf-8")
    page.emulate(scheme=scheme, width=width)
    page.open(site / name)
    found = page.run(f"{axe}; return axe.run(document).then((r) => r.violations)")
    assert [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found] == []
    assert page.run("return document.documentElement.scrollWidth") <= width
