"""gRPC: a channel that cannot be given another identity, and yet shows the newest."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import grpc
import pytest

import twoway
from tests.tls.conftest import Pki
from twoway.credential import Credential
from twoway.integrations import confluent_kafka
from twoway.integrations.grpc_channel import Channel, credentials
from twoway.tls import NotExpressible

from .loading import THREADS, Load

WHO = "/acme.Orders/Who"


def test_a_renewal_under_load_fails_no_call_and_ends_on_the_new_certificate(
    pki: Pki, grpc_port: int, workplace: Path
):
    renewed = pki.issuing.leaf("orders")
    with Channel("orders", f"localhost:{grpc_port}") as channel:
        who = channel.unary_unary(WHO)

        def once() -> tuple[str, object]:
            return who(b"", timeout=10).decode(), None

        with Load(once) as load:
            load.wait_for(100, pki.client.fingerprint)
            renewed.save(workplace / "orders")
            load.wait_for(200, renewed.fingerprint)
    assert load.faults == []
    assert {who for who, _ in load.answers[-100:]} == {renewed.fingerprint}


def test_two_identities_of_one_process_never_take_each_others_place(
    pki: Pki, grpc_port: int, workplace: Path
):
    """gRPC shares connections between channels to one target; these have none in common."""
    wrong: list[bytes] = []
    names = {name: twoway.Credential.load(name).fingerprint.encode() for name in ("orders", "billing")}

    def use(channel: Channel, name: str) -> None:
        for _ in range(20):
            found = channel.unary_unary(WHO)(b"", timeout=10)
            if found != names[name]:
                wrong.append(found)

    target = f"localhost:{grpc_port}"
    with Channel("orders", target) as orders, Channel("billing", target) as billing:
        pairs = [(orders, "orders"), (billing, "billing")] * THREADS
        threads = [threading.Thread(target=use, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_call_under_way_ends_on_the_channel_it_began_on(pki: Pki, grpc_port: int, workplace: Path):
    now = [0.0]
    with Channel("orders", f"localhost:{grpc_port}", clock=lambda: now[0]) as channel:
        who = channel.unary_unary(WHO)
        assert who(b"", timeout=10).decode() == pki.client.fingerprint
        under_way = who.future(b"", timeout=10)
        renewed = pki.issuing.leaf("orders")
        renewed.save(workplace / "orders")
        now[0] += 2
        assert who.with_call(b"", timeout=10)[0].decode() == renewed.fingerprint
        assert under_way.result().decode() == pki.client.fingerprint


def test_what_cannot_be_loaded_leaves_the_old_channel_in_use(
    pki: Pki, grpc_port: int, workplace: Path, caplog: pytest.LogCaptureFixture
):
    now = [0.0]
    with Channel("orders", f"localhost:{grpc_port}", clock=lambda: now[0]) as channel:
        (workplace / "orders" / "key.pem").write_bytes(pki.stranger.key_pem())
        now[0] += 2
        with caplog.at_level(logging.ERROR, "twoway.client"):
            assert channel.unary_unary(WHO)(b"", timeout=10).decode() == pki.client.fingerprint
    assert "the old one stays in use" in caplog.text


def test_a_stranger_is_refused(pki: Pki, grpc_port: int):
    with Channel(pki.stranger, f"localhost:{grpc_port}", trust=pki.trust) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(WHO)(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("take", [credentials, confluent_kafka.settings])
def test_revocation_lists_that_a_library_cannot_check_are_refused(pki: Pki, take):
    """A list that is there and is not looked at would let a revoked server answer."""
    lists = (pki.issuing.crl(), pki.root.crl())
    with pytest.raises(NotExpressible, match="revocation lists"):
        take(Credential(pki.client.private_key, pki.client.chain, pki.client.anchors, lists))
    take(pki.client)
