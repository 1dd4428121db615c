"""The pages in a real browser: axe finds nothing, bytes and fields point at each other, and no script is needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.browser import Browser, browser
from tests.conftest import asset, judge
from tests.explainer.conftest import Told
from twoway.explainer.page import as_html, as_html_compared

pytestmark = [pytest.mark.browser, pytest.mark.judge]
PAGES = ["mutual", "mutual12", "stranger", "nobody", "one_way", "compared"]


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    judge("chromium")
    with browser(judge("chromedriver")) as one:
        yield one


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core, from npm (`npm install --prefix .judges axe-core`)."""
    return asset("node_modules", "axe-core", "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def pages(told: Told, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place, now = tmp_path_factory.mktemp("pages"), datetime.now(UTC)
    sources = {name: as_html(getattr(told, name), now=now) for name in PAGES if name != "compared"}
    sources["compared"] = as_html_compared(told.one_way, told.mutual, now=now)
    for name, source in sources.items():
        (place / f"{name}.html").write_text(source, "utf-8")
    return {name: place / f"{name}.html" for name in sources}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(
    page: Browser, axe: str, pages: dict[str, Path], name: str, width: int, scheme: str
):
    page.emulate(scheme=scheme, width=width)
    page.open(pages[name])
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    # The page's own policy forbids added scripts; WebDriver's are not of the page.
    found = page.run(f"{axe}; return axe.run(document).then((r) => r.violations)")
    told = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]
    assert told == []
    assert page.complaints() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_at_the_side(page: Browser, pages: dict[str, Path], width: int):
    for path in pages.values():
        page.emulate(scheme="light", width=width)
        page.open(path)
        page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.run("return document.documentElement.scrollWidth") <= width


def test_a_field_lights_its_bytes_and_the_bytes_their_field(page: Browser, pages: dict[str, Path]):
    page.emulate(scheme="light", width=1280)
    page.open(pages["mutual"])
    lit = page.run(
        """
        document.getElementById('m0').open = true;
        const field = document.querySelector('#m0 .fields [data-f]:not(:has(*[data-f]))');
        field.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
        return [...document.querySelectorAll('.lit')].map((one) => one.closest('.hex') ? 'bytes' : 'field');
        """
    )
    assert sorted(set(lit)) == ["bytes", "field"]


def test_the_colours_can_be_changed_by_hand(page: Browser, pages: dict[str, Path]):
    page.emulate(scheme="light", width=1280)
    page.open(pages["mutual"])
    ground = "return getComputedStyle(document.body).backgroundColor"
    before = page.run(ground)
    page.run("document.getElementById('theme').click()")
    assert page.run(ground) != before
    page.run("document.getElementById('theme').click()")
    assert page.run(ground) == before


def test_without_javascript_all_of_it_can_be_read(page: Browser, pages: dict[str, Path]):
    page.scripting(on=False)
    try:
        page.emulate(scheme="light", width=1280)
        page.open(pages["stranger"])
        picture = page.picture()
    finally:
        page.scripting(on=True)
    assert picture.startswith(b"\x89PNG")
    assert page.run(
        "return document.getElementById('theme').hidden"
    )  # a button that would do nothing is not shown
    page.run("document.getElementById('m0').querySelector('summary').click()")
    assert page.run("return document.querySelector('#m0 .fields').getBoundingClientRect().height") > 100


def test_a_page_opens_quickly_enough_to_be_measured(page: Browser, pages: dict[str, Path]):
    """The figure is told by `make bench`; here only that the load event comes and says how long it took."""
    page.open(pages["mutual"])
    timing = page.run(
        "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd - t.startTime"
    )
    assert timing > 0
