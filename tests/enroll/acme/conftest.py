"""A service that speaks ACME, and a world outside in which names can be proven."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.authority.conftest import make_csr
from tests.enroll.acme.client import Acme, b64
from tests.enroll.acme.responder import World, outside
from tests.enroll.conftest import Serve, Served
from twoway.enroll.acme.options import AcmeOptions

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@pytest.fixture
def world() -> Iterator[World]:
    with outside() as found:
        yield found


@pytest.fixture
def options(world: World) -> AcmeOptions:
    return AcmeOptions(
        resolver=f"127.0.0.1:{world.dns_port}",
        http_port=world.http_port,
        tls_port=world.tls_port,
        allow_networks=(LOOPBACK,),
        seconds=5,
    )


StartAcme = Callable[..., contextlib.AbstractContextManager[Served]]


@pytest.fixture
def start(serve: Serve, options: AcmeOptions) -> StartAcme:
    """A service with other ACME options than the usual ones; `now` is its clock."""

    def started(*, now: Any = None, **changes: Any) -> contextlib.AbstractContextManager[Served]:
        return serve(acme=replace(options, **changes), now=now)

    return started


@pytest.fixture
def service(start: StartAcme) -> Iterator[Served]:
    with start() as found:
        yield found


@pytest.fixture
def http(service: Served) -> Iterator[httpx2.Client]:
    with service.client() as found:
        yield found


@pytest.fixture
def acme(service: Served, http: httpx2.Client) -> Acme:
    """A client with an account."""
    found = Acme(service, http)
    found.register()
    return found


@pytest.fixture
def another(service: Served, http: httpx2.Client) -> Acme:
    """Another one."""
    found = Acme(service, http)
    found.register()
    return found


def settled(acme: Acme, authorization: str) -> dict[str, Any]:
    """The authorization, once its proof has been looked for."""
    deadline = time.monotonic() + 20
    while True:
        found = acme.post(authorization).json()
        if found["status"] != "pending" or not any(
            each["status"] == "processing" for each in found["challenges"]
        ):
            return {"url": authorization, **found}
        assert time.monotonic() < deadline, found
        time.sleep(0.01)  # a client of a service on the network polls


def prove(acme: Acme, world: World, order: httpx2.Response) -> dict[str, Any]:
    """Prove every name of an order by http-01, or dns-01 for wildcards; the order afterwards."""
    for url in order.json()["authorizations"]:
        found = acme.post(url).json()
        kind = "dns-01" if found.get("wildcard") else "http-01"
        challenge = acme.challenge(found, kind)
        put(acme, world, challenge, found["identifier"]["value"])
        acme.post(challenge["url"], {})
        settled(acme, url)
    return acme.post(order.headers["location"]).json()


def put(acme: Acme, world: World, challenge: dict[str, Any], name: str) -> None:
    """The proof where it belongs."""
    import hashlib

    if challenge["type"] == "http-01":
        world.pages[f"/.well-known/acme-challenge/{challenge['token']}"] = acme.proof(challenge).encode()
    else:
        digest = b64(hashlib.sha256(acme.proof(challenge).encode()).digest())
        world.texts.setdefault(f"_acme-challenge.{name}", []).append(digest)


def csr_for(*names: str, common_name: str | None = None, **more: Any) -> dict[str, str]:
    """The payload of a finalization."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    ip = tuple(name for name in names if name[-1].isdigit() or ":" in name)
    dns = tuple(name for name in names if name not in ip)
    pem = make_csr(common_name, dns=dns, ip=ip, **more)
    return {"csr": b64(x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER))}


def certified(acme: Acme, world: World, *names: str, **more: Any) -> dict[str, Any]:
    """A whole order up to its certificate; the order afterwards."""
    order = acme.order(*names, **more)
    assert order.status_code == 201, order.text
    ready = prove(acme, world, order)
    assert ready["status"] == "ready", ready
    done = acme.post(ready["finalize"], csr_for(*names))
    assert done.status_code == 200, done.text
    found: dict[str, Any] = done.json()
    return found
