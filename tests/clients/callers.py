"""Each HTTP client as a call that many may make at once: it gives what the server saw."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx2
import requests

import twoway
from twoway.integrations.aiohttp_client import Connector
from twoway.integrations.requests import Adapter
from twoway.integrations.urllib3 import PoolManager

from .loading import THREADS

Call = Callable[[str], dict[str, Any]]


@contextlib.contextmanager
def by_twoway(identity: str) -> Iterator[Call]:
    with twoway.Client(identity=identity) as client:
        yield lambda url: client.get(url).json()


@contextlib.contextmanager
def by_httpx2(identity: str) -> Iterator[Call]:
    with httpx2.Client(transport=twoway.Transport(identity)) as client:
        yield lambda url: client.get(url).json()


@contextlib.contextmanager
def by_requests(identity: str) -> Iterator[Call]:
    with requests.Session() as session:
        session.mount("https://", Adapter(identity))
        yield lambda url: session.get(url, timeout=10).json()


@contextlib.contextmanager
def by_urllib3(identity: str) -> Iterator[Call]:
    with PoolManager(identity, maxsize=THREADS, retries=False) as pool:
        yield lambda url: pool.request("GET", url).json()


@contextlib.contextmanager
def _on_a_loop() -> Iterator[Callable[[Any], Any]]:
    """An event loop in a thread of its own, and a way to run a coroutine on it from any other."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def by_httpx2_async(identity: str) -> Iterator[Call]:
    with _on_a_loop() as run:
        client = httpx2.AsyncClient(transport=twoway.AsyncTransport(identity))

        async def call(url: str) -> Any:
            return (await client.get(url)).json()

        try:
            yield lambda url: run(call(url))
        finally:
            run(client.aclose())


@contextlib.contextmanager
def by_aiohttp(identity: str) -> Iterator[Call]:
    with _on_a_loop() as run:

        async def begin() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(connector=Connector(identity))

        session = run(begin())

        async def call(url: str) -> Any:
            async with session.get(url) as response:
                return await response.json()

        try:
            yield lambda url: run(call(url))
        finally:
            run(session.close())


CALLERS = [by_twoway, by_httpx2, by_httpx2_async, by_requests, by_urllib3, by_aiohttp]
