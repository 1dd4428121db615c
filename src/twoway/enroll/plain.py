"""The second port: plain HTTP, for what has to be read before anybody can be believed (CRLs, OCSP, roots)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from twoway.enroll.options import Address
from twoway.server.journal import Journal, with_access_log
from twoway.server.peer import EXTENSION
from twoway.server.running import bind


class _Quiet(uvicorn.Server):
    """uvicorn's server without signal handlers: whoever runs the TLS port has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def plain_listener(application: Any, address: Address, journal: Journal) -> AsyncIterator[int]:
    """Answer plain HTTP there; gives the port. Raises CannotListen."""
    sock = bind(address.host, address.port)
    served = with_access_log(application, journal) if journal.access else application
    config = uvicorn.Config(
        _nobody(served),
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=16384,
        ws="none",
    )
    server = _Quiet(config)
    task = asyncio.create_task(server.serve([sock]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.001)
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        sock.close()


def _nobody(application: Any) -> Any:
    """Without TLS nobody has proven anything: every scope says so."""

    async def anonymous(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), EXTENSION: {"peer": None}}
        await application(scope, receive, send)

    return anonymous
