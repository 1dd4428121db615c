"""redis-py: connections of an old identity are replaced when they are next taken from the pool."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.server.conftest import until
from tests.tls.conftest import Pki
from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.integrations.redis import async_pool, pool

from .fronts import redis_server
from .loading import THREADS, Load

pytestmark = pytest.mark.judge


@pytest.fixture
def port(workplace: Path, unused_port: int) -> Iterator[int]:
    with redis_server(workplace / "api", unused_port):
        yield unused_port


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def standing_still(found: Any) -> Clock:
    """Give the context of a pool a clock that the test moves."""
    clock = Clock()
    following = found.connection_kwargs["following"]
    following._clock, following._next_check = clock, 1.0
    return clock


def test_a_renewal_under_load_fails_no_command_and_replaces_every_connection(
    pki: Pki, port: int, workplace: Path
):
    with redis.Redis.from_pool(pool("orders", host="localhost", port=port)) as client:
        clock = standing_still(client.connection_pool)
        following = client.connection_pool.connection_kwargs["following"]
        before = following.current()
        time_of = ["old"]

        def once() -> tuple[str, object]:
            begun, connection = time_of[0], client.client_id()
            return begun if begun == time_of[0] else "between", connection

        with Load(once) as load:
            load.wait_for(150, "old")
            time_of[0] = "between"
            pki.issuing.leaf("orders").save(workplace / "orders")
            clock.now += 2
            until(lambda: following.current() is not before)  # whoever does not load it does not wait for it
            time_of[0] = "new"
            load.wait_for(150, "new")
    assert load.faults == []
    assert not load.connections("old") & load.connections("new")
    assert len(load.connections("new")) <= THREADS


def test_the_new_certificate_is_what_is_shown(pki: Pki, port: int, workplace: Path):
    """Redis does not tell whom it sees, but turns strangers away: who became one is turned away."""
    with redis.Redis.from_pool(pool("orders", host="localhost", port=port)) as client:
        clock = standing_still(client.connection_pool)
        assert client.ping()
        Credential(pki.stranger.private_key, pki.stranger.chain, pki.client.anchors).save(
            workplace / "orders"
        )
        clock.now += 2
        with pytest.raises((redis.ConnectionError, ssl.SSLError)):
            client.ping()


def test_the_asynchronous_pool_does_the_same(pki: Pki, port: int, workplace: Path):
    async def story() -> None:
        async with redis.asyncio.Redis.from_pool(async_pool("orders", host="localhost", port=port)) as client:
            clock = standing_still(client.connection_pool)
            before = {await client.client_id() for _ in range(3)}
            pki.issuing.leaf("orders").save(workplace / "orders")
            clock.now += 2
            after = {await client.client_id() for _ in range(3)}
            assert len(before) == len(after) == 1
            assert before != after

    asyncio.run(story())


def test_a_client_that_nobody_vouches_for_is_turned_away(pki: Pki, port: int):
    with (
        redis.Redis.from_pool(pool(pki.stranger, trust=pki.trust, host="localhost", port=port)) as client,
        pytest.raises((redis.ConnectionError, ssl.SSLError)),
    ):
        client.ping()


@pytest.mark.parametrize(
    "switch", [{"ssl_cert_reqs": "none"}, {"ssl_certfile": "x"}, {"connection_class": int}]
)
@pytest.mark.parametrize("make", [pool, async_pool])
def test_nothing_can_be_switched(pki: Pki, make, switch: dict[str, Any]):
    with pytest.raises(UsageError, match="always checks"):
        make(pki.client, **switch)
