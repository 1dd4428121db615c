"""gRPC on its own server: the peer of a call, rules, revocation, and an identity that is renewed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.integrations.conftest import Callers
from tests.server.conftest import context_of, wrap
from tests.tls.conftest import Pki
from twoway.credential import Credential, certificate_pem
from twoway.errors import ConfigError, UsageError
from twoway.integrations.grpc import MutualTls
from twoway.trust import Trust


@contextlib.contextmanager
def serving(mutual: MutualTls, **conditions: Any) -> Iterator[int]:
    """A server with a method of each kind that answers with who called."""

    def told(_: Any, context: Any) -> bytes:
        who = mutual.peer(context)
        return who.describe().encode() if who else b"nobody"

    def told_twice(_: Any, context: Any) -> Iterator[bytes]:
        yield told(_, context)
        yield told(_, context)

    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(told),
        "Many": grpc.unary_stream_rpc_method_handler(told_twice),
    }
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, interceptors=[mutual.allow(**conditions)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", handlers),))
        port = server.add_secure_port("localhost:0", mutual.credentials())
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


def call(
    pki: Pki, port: int, who: Credential | None, method: str = "One", sent: bytes = b"", *, many: bool = False
) -> Any:
    roots = certificate_pem(pki.root.certificate)
    pair = (who.key_pem(), who.certificate_pem()) if who else (None, None)
    credentials = grpc.ssl_channel_credentials(roots, *pair)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        if many:
            return list(channel.unary_stream("/shop.Orders/Many")(b"", timeout=10))
        return channel.unary_unary(f"/shop.Orders/{method}")(sent, timeout=10)


def test_the_peer_of_a_call_is_who_shook_hands(callers: Callers):
    pki = callers.pki
    with serving(MutualTls(identity=pki.server)) as port:
        assert call(pki, port, pki.client) == b"orders"
        assert call(pki, port, pki.client, many=True) == [b"orders", b"orders"]


def test_a_caller_whom_no_rule_allows_learns_why(callers: Callers):
    pki = callers.pki
    with serving(MutualTls(identity=pki.server), cn="orders") as port:
        assert call(pki, port, pki.client) == b"orders"
        for many in (False, True):
            with pytest.raises(grpc.RpcError) as refused:
                call(pki, port, callers.reports, many=many)
            assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
            assert "no allow rule matches, of 1 tried (cn=reports" in refused.value.details()


def test_the_policy_of_the_server_holds_as_well(callers: Callers):
    with serving(MutualTls(identity=callers.pki.server, allow=["cn=orders"])) as port:
        with pytest.raises(grpc.RpcError) as refused:
            call(callers.pki, port, callers.reports)
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_caller_without_a_certificate_is_unauthenticated_where_it_may_connect(callers: Callers):
    pki = callers.pki
    with serving(MutualTls(identity=pki.server, clients="optional")) as port:
        with pytest.raises(grpc.RpcError) as refused:
            call(pki, port, None)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "nobody" not in refused.value.details()


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_strangers_do_not_even_connect(callers: Callers, who: str):
    pki = callers.pki
    with serving(MutualTls(identity=pki.server)) as port:
        with pytest.raises(grpc.RpcError) as refused:
            call(pki, port, pki.stranger if who == "stranger" else None)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_revoked_caller_is_refused_although_grpc_lets_it_connect(callers: Callers):
    pki = callers.pki
    trust = Trust((pki.root.certificate,), (pki.root.crl(), pki.issuing.crl(pki.client.leaf)))
    with serving(MutualTls(identity=pki.server, trust=trust)) as port:
        assert call(pki, port, callers.reports) == b"reports"
        with pytest.raises(grpc.RpcError, match="revoked") as refused:
            call(pki, port, pki.client)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_renewed_identity_is_shown_on_the_next_connection_and_a_broken_one_never(
    callers: Callers, tmp_path: Path
):
    pki = callers.pki
    pki.server.save(tmp_path)
    renewed = pki.issuing.leaf("renewed", dns=("localhost",), purpose="server")

    def shown(port: int) -> bytes | None:
        context = context_of(pki)
        context.set_alpn_protocols(["h2"])
        with wrap(port, context) as sock:
            return sock.getpeercert(True)

    with serving(MutualTls(identity=tmp_path)) as port:
        before = shown(port)
        renewed.save(tmp_path)
        after = shown(port)
        assert after != before
        (tmp_path / "cert.pem").write_bytes(b"broken")
        assert shown(port) == after


def test_the_example_runs_as_it_stands(callers: Callers, tmp_path: Path):
    example = Path(__file__).parents[2] / "examples" / "frameworks" / "grpc_service.py"
    callers.pki.server.save(tmp_path / "api")
    command = [sys.executable, str(example), "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rsplit(" ", 1)[1])
            order = b'{"order_id": 1223}'
            assert json.loads(call(callers.pki, port, callers.pki.client, "Update", order)) == {
                "order_id": 1223,
                "by": "orders",
            }
            with pytest.raises(grpc.RpcError, match="no allow rule matches"):
                call(callers.pki, port, callers.reports, "Update", order)
        finally:
            process.terminate()


def test_what_cannot_be_loaded_stops_the_start(pki: Pki, tmp_path: Path):
    with pytest.raises(ConfigError):
        MutualTls(identity=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="leaves nobody to prove"):
        MutualTls(identity=pki.server, clients="none")
