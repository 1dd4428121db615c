"""urllib3 with an identity: `PoolManager("orders")` stands where `urllib3.PoolManager()` stood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from twoway.client.faults import PlainHttpRefused
from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.tls.following import FollowingContext
from twoway.tls.stdlib import client_context
from twoway.trust import Trust

# What urllib3 would take instead of the identity, or to weaken the check of the server.
_SETTLED = frozenset(
    {"cert_reqs", "ca_certs", "ca_cert_dir", "ca_cert_data", "cert_file", "key_file", "key_password"}
    | {"ssl_context", "assert_hostname", "assert_fingerprint", "ssl_minimum_version", "ssl_version"}
)


class Connection(HTTPSConnection):
    """One connection; a pool takes it for dropped once the identity that it showed is not the newest."""

    @property
    def is_connected(self) -> bool:
        context = self.ssl_context
        current = not isinstance(context, FollowingContext) or context.is_current(self.sock)
        return super().is_connected and current


class ConnectionPool(HTTPSConnectionPool):
    """A pool of such connections."""

    ConnectionCls = Connection


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": HTTPConnectionPool, "https": ConnectionPool}


class PoolManager(urllib3.PoolManager):
    """A urllib3.PoolManager that shows who it is and lets itself be answered only by a proven server.

    `identity` and `trust` are those of `client_context`; all other arguments are urllib3's. An identity directory
    that is renewed is shown on the next connection, and pooled connections of the old one are not used again. What
    would replace the identity or the trust raises UsageError, an http:// address PlainHttpRefused. A redirect is
    followed wherever a server of `trust` answers: say `redirect=False` where that is too far.
    """

    def __init__(
        self,
        identity: Credential | str | Path | None = None,
        *,
        trust: Trust | str | Path | None = None,
        **arguments: Any,
    ) -> None:
        refuse_settled(arguments)
        super().__init__(**arguments, ssl_context=client_context(identity, trust=trust))
        self.pool_classes_by_scheme = POOLS

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, Any] | None = None,
    ) -> HTTPConnectionPool:
        if scheme != "https":
            raise PlainHttpRefused(f"{scheme}://{host}:{port or 80}")
        refuse_settled(pool_kwargs or {})
        return super().connection_from_host(host, port, scheme, pool_kwargs)


def refuse_settled(arguments: dict[str, Any]) -> None:
    """Raises UsageError for what would replace the identity or weaken the check of the server."""
    for name in sorted(_SETTLED & arguments.keys()):
        raise UsageError(
            f"a twoway pool has no {name}=: it always checks, and always shows its identity",
            "pass identity (who you are) and trust= (the bundle of authorities you believe)",
        )
