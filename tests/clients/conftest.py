"""A server of ours that says whom it sees, and identity directories for those who call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.server import background

__all__ = ["pki"]


@pytest.fixture
def server(pki: Pki) -> Iterator[str]:
    with background(tell, identity=pki.server, journal=Ledger()) as running:
        yield f"https://localhost:{running.port}/"


@pytest.fixture
def workplace(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the test runs, with the identities "orders", "billing" and "api"."""
    pki.client.save(tmp_path / "orders")
    pki.issuing.leaf("billing").save(tmp_path / "billing")
    pki.server.save(tmp_path / "api")
    monkeypatch.chdir(tmp_path)
    return tmp_path
