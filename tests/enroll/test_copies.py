"""Several copies of the service over one store: whatever reaches one of them, the others know."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.authority.conftest import make_csr
from tests.enroll.conftest import Serve, Served
from tests.enroll.test_enrolling import token
from twoway.authority import Authority
from twoway.authority.directory import STORE_URL

STORES = ("sqlite", "postgresql")


@pytest.fixture
def copies(serve: Serve, authority: Authority, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    """Two services; on PostgreSQL each with a directory of its own, as on two machines."""
    place = authority.directory
    if (place / STORE_URL).exists():
        place = Path(shutil.copytree(place, tmp_path / "copy"))
    with Authority.open(place) as second, serve() as one, serve(second) as two:
        yield one, two


def test_a_token_redeemed_200_times_at_once_at_two_copies_yields_one_certificate(
    copies: tuple[Served, Served],
) -> None:
    """SPIRE 1.14.6 gave one to each of two."""
    one, two = copies
    made = token(one)
    with one.client() as first, two.client() as second, ThreadPoolExecutor(16) as pool:

        def attempt(number: int) -> int:
            client, headers = (first, second)[number % 2], {"authorization": f"Bearer {made.text}"}
            return client.post("/enroll", content=make_csr(None), headers=headers).status_code

        statuses = Counter(pool.map(attempt, range(200)))
    assert statuses == {201: 1, 403: 199}
    assert [record.common_name for record in two.authority.list("orders")] == ["orders"]
    two.authority.verify_audit()


def test_a_certificate_that_one_copy_revokes_is_refused_by_the_other_at_once(
    copies: tuple[Served, Served],
) -> None:
    one, two = copies
    orders = one.authority.issue_client("orders")
    with two.client(orders) as client:
        assert client.post("/renew", content=make_csr(None)).status_code == 201
        one.authority.revoke(orders.leaf, "keyCompromise")
        assert client.post("/renew", content=make_csr(None)).status_code == 401


def test_two_copies_issue_at_once_into_one_chain(copies: tuple[Served, Served]) -> None:
    """Serial numbers are unique, and the audit log holds together."""
    who = [copy.authority.issue_client("operator") for copy in copies]
    with copies[0].client(who[0]) as first, copies[1].client(who[1]) as second, ThreadPoolExecutor(8) as pool:

        def attempt(number: int) -> int:
            csr = make_csr(f"client-{number}")
            return (first, second)[number % 2].post("/sign?profile=client", content=csr).status_code

        statuses = Counter(pool.map(attempt, range(60)))
    assert statuses == {201: 60}
    assert len({record.serial for record in copies[0].authority.list("client-*")}) == 60
    copies[0].authority.verify_audit()
