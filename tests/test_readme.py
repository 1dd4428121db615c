"""Every example of the README does what it shows, and the runner of examples notices when one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readme import Block, Workplace, blocks

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def readme_workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path_factory.mktemp("readme"))
    yield workplace
    workplace.stop()


@pytest.mark.parametrize("block", blocks(README), ids=lambda block: f"line {block.line}")
def test_an_example_of_the_readme_does_what_it_shows(readme_workplace: Workplace, block: Block):
    readme_workplace.run(block)


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.stop()


def only(text: str) -> Block:
    (block,) = blocks(text)
    return block


def test_blocks_are_found_with_their_line_and_mark():
    found = blocks(
        "# A\n\n<!-- run: serve 8443 -->\n```python\na\n```\n\n```text\nb\n```\n```console\n$ c\n```\n"
    )
    assert found == [
        Block("python", "a\n", 4, "serve", "8443"),
        Block("console", "$ c\n", 11),
    ]


def test_a_mark_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match="line 2: there is no mark 'severe'; there are client, serve"):
        blocks("<!-- run: severe -->\n```python\na\n```\n")


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo one two\none …\n$ true\n```",
        "```console\n$ printf 'a\\nb\\nc\\n'\na\n…\nc\n```",
        "```console\n$ echo a \\\n    b\na b\n```",
        "<!-- run: fails 3 -->\n```console\n$ true\n$ exit 3\n```",
        "<!-- run: skip -->\n```console\n$ false\n```",
        "```python\nprint('fine')\n```",
        "<!-- run: file app.py -->\n```python\nnot python at all\n```",
    ],
)
def test_an_example_that_does_what_it_shows_passes(workplace: Workplace, text: str):
    workplace.run(only(text))


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo one two\ntwo …\n```",
        "```console\n$ echo one; echo more\none\n```",
        "```console\n$ false\n```",
        "<!-- run: fails 3 -->\n```console\n$ exit 4\n```",
        "```python\nraise SystemExit(1)\n```",
    ],
)
def test_an_example_that_does_something_else_fails(workplace: Workplace, text: str):
    with pytest.raises(AssertionError):
        workplace.run(only(text))


def test_a_server_runs_until_the_end_and_its_names_lead_here(workplace: Workplace, unused_port: int):
    serve = "import http.server as h\nh.HTTPServer(('127.0.0.1', PORT), h.SimpleHTTPRequestHandler).serve_forever()"
    call = "import urllib.request as u\nassert u.urlopen('http://api.acme.example:PORT/').status == 200"
    for text in (f"<!-- run: serve PORT -->\n```python\n{serve}\n```", f"```python\n{call}\n```"):
        workplace.run(only(text.replace("PORT", str(unused_port))))
    (server,) = workplace.servers
    assert server.poll() is None


def test_a_server_that_ends_at_once_is_told_with_its_words(workplace: Workplace, unused_port: int):
    with pytest.raises(AssertionError, match="no such port"):
        workplace.run(
            only(f"<!-- run: serve {unused_port} -->\n```python\nraise SystemExit('no such port')\n```")
        )
