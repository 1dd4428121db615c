"""What must hold for every HTTP client that pools connections: renewal under load, and no identity in another's place."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.tls.conftest import Pki

from .callers import CALLERS
from .loading import THREADS, Load


@pytest.mark.parametrize("caller", CALLERS)
def test_a_renewal_under_load_fails_no_request_and_ends_on_the_new_certificate(
    caller, pki: Pki, server: str, workplace: Path
):
    """Connections of the old identity are retired: at the end none of them answers any more."""
    renewed = pki.issuing.leaf("orders")

    with caller("orders") as call:

        def once() -> tuple[str, object]:
            answer = call(server)
            return answer["peer"]["fingerprint"], answer["client"][1]

        with Load(once) as load:
            load.wait_for(100, pki.client.fingerprint)
            renewed.save(workplace / "orders")
            load.wait_for(200, renewed.fingerprint)
    assert load.faults == []
    assert {who for who, _ in load.answers[-100:]} == {renewed.fingerprint}
    old, new = load.connections(pki.client.fingerprint), load.connections(renewed.fingerprint)
    assert not old & new
    assert len(old | new) <= 4 * THREADS  # pooled, before and after


@pytest.mark.parametrize("caller", CALLERS)
def test_two_identities_of_one_process_never_take_each_others_place(
    caller, pki: Pki, server: str, workplace: Path
):
    """Interleaved and from many threads, to one host, through pools that stay open (requests 6726)."""
    wrong: list[str] = []
    counted: list[str] = []

    def use(call, name: str) -> None:
        for _ in range(15):
            found = call(server)["peer"]["common_name"]
            counted.append(found)
            if found != name:
                wrong.append(f"{name} called as {found}")

    with caller("orders") as orders, caller("billing") as billing:
        for _ in range(5):
            use(orders, "orders")
            use(billing, "billing")
        threads = [
            threading.Thread(target=use, args=pair)
            for pair in [(orders, "orders"), (billing, "billing")] * THREADS
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(counted) == 2 * 15 * (5 + THREADS)
