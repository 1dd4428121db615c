"""What must hold for every HTTP client that pools connections: renewal under load, and no identity in another's place."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.tls.conftest import Pki

from .callers import CALLERS, THREADS

SECONDS = 20.0


@pytest.mark.parametrize("caller", CALLERS)
def test_a_renewal_under_load_fails_no_request_and_ends_on_the_new_certificate(
    caller, pki: Pki, server: str, workplace: Path
):
    """Connections of the old identity are retired: at the end none of them answers any more."""
    renewed = pki.issuing.leaf("orders")
    seen: list[tuple[str, int]] = []  # whom the server saw, and on which connection
    faults: list[BaseException] = []
    until = time.monotonic() + SECONDS
    done = threading.Event()

    def load() -> None:
        try:
            while not done.is_set() and time.monotonic() < until:
                answer = call(server)
                seen.append((answer["peer"]["fingerprint"], answer["client"][1]))
        except BaseException as error:
            faults.append(error)

    def wait_for(fingerprint: str, times: int) -> None:
        while sum(1 for who, _ in list(seen) if who == fingerprint) < times and not faults:
            assert time.monotonic() < until, f"{len(seen)} answers, and too few for {fingerprint}"
            done.wait(0.01)

    with caller("orders") as call:
        threads = [threading.Thread(target=load) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            wait_for(pki.client.fingerprint, 100)
            renewed.save(workplace / "orders")
            wait_for(renewed.fingerprint, 200)
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert faults == []
    last = [who for who, _ in seen[-100:]]
    assert set(last) == {renewed.fingerprint}
    old = {port for who, port in seen if who == pki.client.fingerprint}
    assert not old & {port for who, port in seen if who == renewed.fingerprint}
    assert len({port for _, port in seen}) <= 4 * THREADS  # pooled, before and after


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
