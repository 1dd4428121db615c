"""Renewals under 500 requests a second: requests that fail, and how soon all are under the new certificate.

A server of ours, one process, and a client of each kind in this one, all through pools of a few connections. The identity
directory is renewed every two seconds. A request that is late because the machine is busy is late, not failed.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

import twoway
from twoway.integrations.requests import Adapter
from twoway.integrations.urllib3 import PoolManager
from twoway.testing import Company, serving

RATE, SECONDS, EVERY, THREADS = 500, 10.0, 2.0, 8
Get = Callable[[str], bytes]


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the fingerprint of the caller's certificate."""
    if scope["type"] != "http":
        return
    body = twoway.peer(scope).fingerprint.encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def by_twoway(identity: Path) -> Iterator[Get]:
    with twoway.Client(identity=identity) as client:
        yield lambda url: client.get(url).raise_for_status().content


@contextlib.contextmanager
def by_requests(identity: Path) -> Iterator[Get]:
    with requests.Session() as session:
        session.mount("https://", Adapter(identity))
        yield lambda url: session.get(url, timeout=10).content


@contextlib.contextmanager
def by_urllib3(identity: Path) -> Iterator[Get]:
    with PoolManager(identity, maxsize=THREADS, retries=False) as pool:
        yield lambda url: pool.request("GET", url).data


@dataclass
class Tally:
    """What became of the requests."""

    answers: list[tuple[float, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    renewals: list[tuple[float, str]] = field(default_factory=list)

    def settled(self) -> list[float]:
        """For each renewal, the seconds until the last answer under the certificate of before."""
        found = []
        shown = [who for _, who in self.renewals]
        for number, (at, _) in enumerate(self.renewals[1:], 1):
            late = [when - at for when, who in self.answers if who in shown[:number] and when >= at]
            found.append(max(late, default=0.0))
        return found


def measure(get: Get, url: str, place: Path, company: Company) -> Tally:
    tally, begun = Tally(), time.monotonic()
    tally.renewals.append((begun, twoway.Credential.load(place).fingerprint))

    def send(first: int) -> None:
        for number in range(first, int(RATE * SECONDS), THREADS):
            time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
            try:
                answer = get(url).decode()
                tally.answers.append((time.monotonic(), answer))
            except Exception as error:
                tally.faults.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=send, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for number in range(1, int(SECONDS / EVERY)):
        time.sleep(max(0.0, begun + number * EVERY - time.monotonic()))
        renewed = company.client("orders")
        renewed.save(place)
        tally.renewals.append((time.monotonic(), renewed.fingerprint))
    for thread in threads:
        thread.join()
    return tally


def main() -> None:
    company = Company()
    print("client       requests   per second   renewals   failed   last old answer after a renewal")
    for kind in (by_twoway, by_requests, by_urllib3):
        with serving(company, who) as served, tempfile.TemporaryDirectory() as directory:
            place = company.client("orders").save(Path(directory) / "orders")
            with kind(place) as get:
                tally = measure(get, served.url, place, company)
        name = kind.__name__.removeprefix("by_")
        seconds = tally.answers[-1][0] - tally.renewals[0][0]
        print(
            f"{name:<12} {len(tally.answers):>8}   {len(tally.answers) / seconds:>10.0f}"
            f"   {len(tally.renewals) - 1:>8}   {len(tally.faults):>6}   {max(tally.settled()):.2f} s"
        )
        for fault in sorted(set(tally.faults)):
            print(f"  {fault}")
        assert {who for _, who in tally.answers[-20:]} == {tally.renewals[-1][1]}
