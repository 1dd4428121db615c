"""What would turn verification off, show another identity, or send in clear raises, and says so."""

from __future__ import annotations

import asyncio
import pickle
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

import twoway
from tests.pki import Issuer
from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki
from twoway.client import PlainHttpRefused
from twoway.errors import UsageError
from twoway.integrations.aiohttp_client import Connector
from twoway.integrations.requests import Adapter
from twoway.integrations.urllib3 import PoolManager
from twoway.server import background

from .callers import CALLERS


@pytest.fixture
def session(pki: Pki):
    with requests.Session() as session:
        session.mount("https://", Adapter(pki.client))
        yield session


@pytest.mark.parametrize("switch", [{"verify": False}, {"cert": "other.pem"}])
def test_requests_cannot_switch_the_check_off_nor_the_identity(session, server: str, switch):
    with pytest.raises(UsageError, match=r"always checks|its own identity"):
        session.get(server, **switch)


def test_requests_believes_no_bundle_but_ours(session, server: str, pki: Pki, tmp_path: Path, monkeypatch):
    """REQUESTS_CA_BUNDLE and verify=PATH name whom requests believes; an adapter of ours goes by trust= alone."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())
    assert session.get(server).json()["peer"]["common_name"] == "orders"
    pki.client.save(tmp_path / "orders")
    session.mount("https://", Adapter(pki.client, trust=twoway.Trust(pki.stranger.anchors)))
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        session.get(server, verify=str(tmp_path / "orders" / "ca.pem"))


def test_requests_shows_the_identity_only_where_the_adapter_is_mounted(pki: Pki, server: str):
    with requests.Session() as session:
        session.mount(server, Adapter(pki.client))
        assert session.get(server).json()["peer"]["common_name"] == "orders"
        with pytest.raises(
            requests.exceptions.SSLError
        ):  # the same server by another address: nobody's adapter
            session.get(server.replace("localhost", "127.0.0.1"))


def test_an_adapter_does_not_pickle(pki: Pki):
    with pytest.raises(UsageError, match="private key"):
        pickle.dumps(Adapter(pki.client))


@pytest.mark.parametrize(
    "switch",
    [{"cert_reqs": "CERT_NONE"}, {"ca_certs": "x"}, {"assert_hostname": False}, {"ssl_context": None}],
)
def test_urllib3_cannot_switch_anything(pki: Pki, server: str, switch: dict[str, Any]):
    with pytest.raises(UsageError, match="always checks"):
        PoolManager(pki.client, **switch)
    with pytest.raises(UsageError, match="always checks"), PoolManager(pki.client) as pool:
        pool.connection_from_url(server, pool_kwargs=switch)


def test_aiohttp_cannot_switch_anything(pki: Pki, server: str):
    async def call(**switch: Any) -> None:
        async with aiohttp.ClientSession(connector=Connector(pki.client)) as session:
            await session.get(server, **switch)

    for value in (False, ssl.create_default_context(), aiohttp.Fingerprint(b"x" * 32)):
        with pytest.raises(UsageError, match="ssl="):
            asyncio.run(call(ssl=value))

    async def make(**switch: Any) -> None:
        Connector(pki.client, **switch)

    with pytest.raises(UsageError, match="ssl="):
        asyncio.run(make(ssl=False))


@pytest.mark.parametrize("kind", [twoway.Transport, twoway.AsyncTransport])
@pytest.mark.parametrize("switch", [{"verify": False}, {"cert": "x"}, {"http2": True}])
def test_a_transport_cannot_switch_anything(pki: Pki, kind, switch: dict[str, Any]):
    with pytest.raises(UsageError):
        kind(pki.client, **switch)


@pytest.mark.parametrize("caller", [one for one in CALLERS if one.__name__ != "by_requests"])
def test_nothing_goes_out_in_clear(caller, workplace: Path):
    """requests has no part in this: its adapter is asked only for the addresses it is mounted at."""
    with caller("orders") as call, pytest.raises(PlainHttpRefused, match="https://"):
        call("http://localhost:1/")


@pytest.mark.parametrize("caller", CALLERS)
def test_a_server_of_another_authority_is_refused(caller, pki: Pki, workplace: Path):
    impostor = Issuer.root("Other").leaf("localhost", dns=("localhost",), purpose="server")
    with (
        background(tell, identity=impostor, trust=pki.trust, journal=Ledger()) as running,
        caller("orders") as call,
        pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED|got one from CN=Other"),
    ):
        call(f"https://localhost:{running.port}/")
