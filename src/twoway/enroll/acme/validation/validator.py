"""Proofs that are being looked for: a bounded number at a time, each for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from twoway.enroll.acme.identifiers import Identifier
from twoway.enroll.acme.options import AcmeOptions
from twoway.enroll.acme.validation import dns01, tls_alpn01
from twoway.enroll.acme.validation.connecting import Outside
from twoway.enroll.acme.validation.http01 import Http01
from twoway.enroll.acme.validation.lookup import Lookup
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled
from twoway.enroll.faults import Overloaded


class Validator:
    """Looks for proofs in the background of one event loop."""

    def __init__(self, options: AcmeOptions) -> None:
        self._options = options
        self._lookup = Lookup(options.resolver, options.seconds / 2)
        self._outside = Outside(self._lookup, options.allow_networks)
        self._http01 = Http01(self._outside, options.http_port, options.tls_port)
        self._places = asyncio.Semaphore(options.validations)
        self._tasks: set[asyncio.Task[None]] = set()

    def check_room(self) -> None:
        """Raises Overloaded when as many wait as may wait."""
        if len(self._tasks) >= self._options.validations + self._options.waiting:
            raise Overloaded(len(self._tasks))

    def begin(self, story: Callable[[], Awaitable[None]]) -> None:
        """Run `story` when it is its turn."""

        async def in_turn() -> None:
            async with self._places:
                await story()

        task = asyncio.create_task(in_turn())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def prove(self, kind: str, identifier: Identifier, token: str, thumbprint: str) -> str:
        """Where the proof was found. Raises Unfulfilled."""
        key_authorization = f"{token}.{thumbprint}"  # RFC 8555 §8.1
        try:
            async with asyncio.timeout(self._options.seconds):
                if kind == "http-01":
                    return await self._http01.prove(identifier.value, token, key_authorization)
                if kind == "dns-01":
                    return await dns01.prove(self._lookup, identifier.value, key_authorization)
                port = self._options.tls_port
                return await tls_alpn01.prove(self._outside, identifier, port, key_authorization)
        except TimeoutError:
            told = f"the proof for {identifier.value} was not there within {self._options.seconds:g} s"
            raise Unfulfilled("connection", told) from None

    async def close(self) -> None:
        """Give up what is under way: it is looked for again when its client asks again."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
