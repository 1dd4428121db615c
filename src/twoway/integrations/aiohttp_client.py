"""aiohttp's client with an identity: `aiohttp.ClientSession(connector=Connector("orders"))`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from twoway.client.faults import PlainHttpRefused
from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.tls.stdlib import client_context
from twoway.trust import Trust


class Connector(aiohttp.TCPConnector):
    """An aiohttp connector that shows who it is and lets itself be answered only by a proven server.

    `identity` and `trust` are those of `client_context`; all other arguments are TCPConnector's, without `ssl`. An
    identity directory that is renewed is shown on the next connection, and pooled connections of the old one are not
    used again. `ssl=` of a request raises UsageError, an http:// address PlainHttpRefused. A redirect is followed
    wherever a server of `trust` answers: say `allow_redirects=False` where that is too far.
    """

    def __init__(
        self,
        identity: Credential | str | Path | None = None,
        *,
        trust: Trust | str | Path | None = None,
        **arguments: Any,
    ) -> None:
        if arguments.keys() & {"ssl", "verify_ssl", "ssl_context", "fingerprint"}:
            raise _own_context()
        self._following = client_context(identity, trust=trust)
        super().__init__(ssl=self._following, **arguments)

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Any:
        if not req.is_ssl():
            raise PlainHttpRefused(str(req.url.with_user(None)))
        if req.ssl is not True:
            raise _own_context()
        return await super().connect(req, traces, timeout)

    async def _get(self, key: Any, traces: list[Any]) -> Any:
        """A pooled connection that showed what is shown now; the others are closed on the way."""
        while (connection := await super()._get(key, traces)) is not None:
            transport = connection.transport
            if transport is None or self._following.is_current(transport.get_extra_info("ssl_object")):
                break
            connection.close()
        return connection


def _own_context() -> UsageError:
    return UsageError(
        "a twoway connector has no ssl=: it always checks, and always shows its identity",
        "pass identity (who you are) and trust= (the bundle of authorities you believe)",
    )
