"""Our TLS below uvicorn, gunicorn and aiohttp: what each tells the application, and what keeps it from starting."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.integrations.conftest import Callers
from tests.integrations.test_starlette import WEBSOCKET
from tests.server.conftest import Ledger, tell, until
from tests.tls.conftest import Pki
from twoway.errors import ConfigError, UsageError
from twoway.integrations.aiohttp import PEER, PeerSite, allow, peer, peers
from twoway.integrations.environment import options_from
from twoway.integrations.uvicorn import MutualTls
from twoway.trust import BadRule


@contextlib.contextmanager
def stock_uvicorn(app: Any, **options: Any) -> Iterator[int]:
    """uvicorn.Server as it is, in a thread."""
    config = uvicorn.Config(app, http=MutualTls(**options), port=0, log_level="error", lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


async def talk(scope: dict[str, Any], receive: Any, send: Any) -> None:
    import twoway

    assert scope["type"] == "websocket"
    assert twoway.peer(scope) is not None
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1000})


def test_uvicorn_fills_the_tls_extension_and_the_peer(callers: Callers):
    """The ASGI TLS extension 0.2, as under our own server."""
    with stock_uvicorn(tell, identity=callers.pki.server) as port:
        told = callers.ask(port).json
        assert told["peer"]["common_name"] == "orders"
        assert told["tls"]["client_cert_name"] == "CN=orders"
        assert told["tls"]["client_cert_chain"][0].startswith("-----BEGIN CERTIFICATE-----")
        assert told["tls"]["tls_version"] == 0x0304
        assert told["scheme"] == "https"


def test_uvicorn_tells_websockets_who_calls(callers: Callers):
    with stock_uvicorn(talk, identity=callers.pki.server) as port:
        assert callers.ask(port, headers=WEBSOCKET).status == 101


def test_the_policy_below_uvicorn_is_judged_in_the_handshake(callers: Callers):
    with stock_uvicorn(tell, identity=callers.pki.server, allow=["cn=orders"]) as port:
        assert callers.ask(port).status == 200
        with pytest.raises(OSError, match=r"alert|EOF|reset"):
            callers.ask(port, who="reports")


def test_below_uvicorn_a_renewed_identity_is_shown_without_a_restart(callers: Callers, tmp_path: Path):
    callers.pki.server.save(tmp_path)
    renewed = callers.pki.issuing.leaf("renewed", dns=("localhost",), purpose="server")
    with stock_uvicorn(tell, identity=tmp_path) as port:
        before = callers.ask(port).json["tls"]["server_cert"]
        renewed.save(tmp_path)
        until(lambda: callers.ask(port).json["tls"]["server_cert"] != before)


def test_the_protocol_for_uvicorn_pickles_for_its_workers(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path)
    again = pickle.loads(pickle.dumps(MutualTls(identity=tmp_path, allow=["cn=orders"])))
    assert again._options.allow == ["cn=orders"]


def test_uvicorns_own_tls_and_ours_together_are_refused(pki: Pki):
    config = uvicorn.Config(tell, ssl_certfile="cert.pem")
    with pytest.raises(UsageError, match="one connection has TLS once"):
        MutualTls(identity=pki.server)(config=config)


def test_a_server_without_an_identity_does_not_start(tmp_path: Path):
    (tmp_path / "shop.py").write_text("async def app(scope, receive, send): ...\n")
    binary = Path(sys.executable)
    for command in (
        ["uvicorn", "shop:app", "--http", "twoway.integrations.uvicorn:http", "--port", "0"],
        ["gunicorn", "shop:app", "-k", "twoway.integrations.gunicorn.PeerWorker", "--bind", "127.0.0.1:0"],
    ):
        done = subprocess.run(
            [str(binary.with_name(command[0])), *command[1:]],
            cwd=tmp_path, env={"PYTHONPATH": "."}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode != 0, command
        assert "TWOWAY_IDENTITY is not set" in done.stderr + done.stdout


def test_options_come_from_the_environment_with_several_paths_and_rules():
    options = options_from({
        "TWOWAY_IDENTITY": "api", "TWOWAY_TRUST": "a.pem:b.pem", "TWOWAY_ALLOW": "cn=orders;cn=reports",
        "TWOWAY_CLIENTS": "optional",
    })  # fmt: skip
    assert (options.identity, options.trust) == ("api", ["a.pem", "b.pem"])
    assert (options.allow, options.clients) == (["cn=orders", "cn=reports"], "optional")


def test_an_empty_rule_in_the_environment_is_refused_and_lets_in_nobody(pki: Pki, tmp_path: Path):
    pki.server.save(tmp_path)
    with pytest.raises(BadRule):
        options_from({"TWOWAY_IDENTITY": str(tmp_path), "TWOWAY_ALLOW": ""}).settings()


def test_a_broken_identity_stops_the_start(tmp_path: Path):
    with pytest.raises(ConfigError):
        MutualTls(identity=tmp_path / "nowhere")


@contextlib.contextmanager
def aiohttp_site(pki: Pki, app: web.Application, **options: Any) -> Iterator[int]:
    """An aiohttp runner in a thread, with our site."""
    started, box = threading.Event(), {}

    async def story() -> None:
        box["loop"], box["stop"] = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(app)
        await runner.setup()
        site = PeerSite(runner, journal=Ledger(), identity=pki.server, port=0, **options)
        await site.start()
        box["port"] = site.port
        started.set()
        await box["stop"].wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(story(),))
    thread.start()
    assert started.wait(10)
    try:
        yield box["port"]
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join()


def shop() -> web.Application:
    async def who(request: web.Request) -> web.Response:
        found = request[PEER]
        return web.json_response({"by": found.describe() if found else None, "secure": request.secure})

    @allow(cn="orders")
    async def orders(request: web.Request) -> web.Response:
        return web.Response()

    class Orders(web.View):
        @allow(cn="orders")
        async def get(self) -> web.Response:
            return web.Response()

    app = web.Application(middlewares=[peers])
    app.add_routes([web.get("/who", who), web.get("/orders", orders), web.view("/view", Orders)])
    return app


def test_aiohttp_has_the_peer_on_the_request_or_none(callers: Callers):
    with aiohttp_site(callers.pki, shop(), clients="optional", trust=callers.pki.trust) as port:
        assert callers.ask(port).json == {"by": "orders", "secure": True}
        assert callers.ask(port, who=None).json == {"by": None, "secure": True}


@pytest.mark.parametrize("path", ["/orders", "/view"])
def test_aiohttp_refuses_with_a_problem_document_that_says_why(callers: Callers, path: str):
    with aiohttp_site(callers.pki, shop(), clients="optional", trust=callers.pki.trust) as port:
        assert callers.ask(port, path).status == 200
        refused = callers.ask(port, path, "reports")
        assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
        assert "no allow rule matches, of 1 tried (cn=reports" in refused.json["detail"]
        assert callers.ask(port, path, None).status == 401


def test_on_a_site_of_aiohttps_own_nobody_is_proven():
    class Elsewhere(asyncio.Transport):
        pass

    request = make_mocked_request("GET", "/", transport=Elsewhere())
    with pytest.raises(UsageError, match="did not come through a server of twoway"):
        peer(request)
