"""redis-py with an identity: `redis.Redis.from_pool(pool("orders", host="redis.acme.example"))`.

redis-py itself takes files, reads them anew for each connection, and believes the system's roots beside `ssl_ca_certs`.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import redis.asyncio.connection
import redis.connection

from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.tls.following import FollowingContext
from twoway.tls.stdlib import client_context
from twoway.trust import Trust


class Connection(redis.connection.SSLConnection):
    """A connection over a context of ours; asked by its pool to connect, it replaces one of an old identity."""

    def __init__(self, *, following: FollowingContext, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._following = following

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
        return self._following.wrap_socket(sock, server_hostname=self.host)

    def connect(self) -> None:
        if not self._following.is_current(self._sock):
            self.disconnect()
        super().connect()


class AsyncConnection(redis.asyncio.connection.SSLConnection):
    """The same for asyncio."""

    def __init__(self, *, following: FollowingContext, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._following = following

    def _connection_arguments(self) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "ssl": self._following}

    async def connect(self) -> None:
        writer = self._writer
        if writer is not None and not self._following.is_current(writer.get_extra_info("ssl_object")):
            await self.disconnect(nowait=True)
        await super().connect()


def pool(
    identity: Credential | str | Path | None = None,
    *,
    trust: Trust | str | Path | None = None,
    **arguments: Any,
) -> redis.ConnectionPool:
    """A pool for redis.Redis whose connections show who they are and believe only `trust`.

    `identity` and `trust` are those of `client_context`; all other arguments are those of redis.ConnectionPool (host,
    port, db …), without `ssl_…`. A renewed identity is shown on the next connection, and a connection of the old one
    is replaced when it is next taken from the pool.
    """
    return redis.ConnectionPool(
        connection_class=Connection, following=_following(identity, trust, arguments), **arguments
    )


def async_pool(
    identity: Credential | str | Path | None = None,
    *,
    trust: Trust | str | Path | None = None,
    **arguments: Any,
) -> redis.asyncio.ConnectionPool:
    """The same for redis.asyncio.Redis."""
    return redis.asyncio.ConnectionPool(
        connection_class=AsyncConnection, following=_following(identity, trust, arguments), **arguments
    )


def _following(
    identity: Credential | str | Path | None, trust: Trust | str | Path | None, arguments: dict[str, Any]
) -> FollowingContext:
    for name in sorted(arguments):
        if name.startswith("ssl") or name == "connection_class":
            raise UsageError(
                f"a twoway pool has no {name}=: it always checks, and always shows its identity",
                "pass identity (who you are) and trust= (the bundle of authorities you believe)",
            )
    return client_context(identity, trust=trust)
