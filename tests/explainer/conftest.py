"""Servers to be explained: one that requires certificates, one that asks, one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.explainer.live import watch
from twoway.explainer.transcript import Transcript
from twoway.server import background

__all__ = ["pki"]


class Told(NamedTuple):
    """Real handshakes, each told once."""

    mutual: Transcript
    mutual12: Transcript
    stranger: Transcript
    stranger12: Transcript
    nobody: Transcript
    one_way: Transcript
    asked: Transcript
    distrusted: Transcript


@pytest.fixture(scope="session")
def told(pki: Pki) -> Iterator[Told]:
    with (
        background(tell, identity=pki.server, journal=Ledger()) as required,
        background(tell, identity=pki.server, clients="optional", journal=Ledger()) as optional,
        background(tell, identity=pki.server, clients="none", journal=Ledger()) as none,
    ):
        at = f"localhost:{required.port}"
        yield Told(
            mutual=watch(at, identity=pki.client, trust=pki.trust),
            mutual12=watch(at, identity=pki.client, trust=pki.trust, maximum_version="TLSv1.2"),
            stranger=watch(at, identity=pki.stranger, trust=pki.trust),
            stranger12=watch(at, identity=pki.stranger, trust=pki.trust, maximum_version="TLSv1.2"),
            nobody=watch(at, trust=pki.trust),
            one_way=watch(f"localhost:{none.port}", trust=pki.trust),
            asked=watch(f"localhost:{optional.port}", trust=pki.trust),
            distrusted=watch(at, identity=pki.stranger),
        )
