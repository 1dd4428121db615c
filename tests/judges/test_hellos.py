"""Each program says hello to a socket that only listens; its hello decodes wholly, by name, and encodes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.judges.callers import CALLERS, hello_of
from tests.wire.hellos import check, extensions_of
from tests.wire.test_hellos import SENDS

pytestmark = pytest.mark.judge


@pytest.mark.parametrize("program", CALLERS)
def test_the_hello_of_a_program_as_it_is_installed(program: str, tmp_path: Path):
    message = hello_of(program, tmp_path)
    hello = check(message.data)
    assert "TLSv1.3" in hello.versions
    assert hello.server_name in ("localhost", None)
    lasting = SENDS.get(program, set()) - {"padding", "trust_anchors"}  # these depend on sizes and on updates
    assert lasting <= set(extensions_of(message.data))
