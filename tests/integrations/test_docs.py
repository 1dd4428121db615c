"""Every example of docs/frameworks.md does what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readme import Block, Workplace, blocks

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path_factory.mktemp("frameworks"))
    yield workplace
    workplace.stop()


@pytest.mark.parametrize("block", blocks(DOCUMENT), ids=lambda block: f"line {block.line}")
def test_an_example_about_frameworks_does_what_it_shows(workplace: Workplace, block: Block):
    workplace.run(block)
