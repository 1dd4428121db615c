"""requests with an identity: `session.mount("https://api.acme.example/", Adapter("orders"))`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.integrations.urllib3 import POOLS
from twoway.tls.stdlib import client_context
from twoway.trust import Trust


class Adapter(HTTPAdapter):
    """A requests adapter that shows who it is and lets itself be answered only by a proven server.

    `identity` and `trust` are those of `client_context`; all other arguments are HTTPAdapter's. Mounted at the
    address of a service, the identity is shown there and nowhere else, also after a redirect. Each adapter has
    connections and a context of its own. An identity directory that is renewed is shown on the next connection, and
    pooled connections of the old one are not used again. `verify=False` and `cert=` raise UsageError; a bundle in
    `verify=` or REQUESTS_CA_BUNDLE is not believed, `trust` alone is. Adapters do not pickle.
    """

    def __init__(
        self,
        identity: Credential | str | Path | None = None,
        *,
        trust: Trust | str | Path | None = None,
        **arguments: Any,
    ) -> None:
        self._context = client_context(identity, trust=trust)
        super().__init__(**arguments)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **{**more, "ssl_context": self._context})
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(
            proxy, **{**more, "ssl_context": self._context}
        )
        manager.pool_classes_by_scheme = POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        _refuse(verify, cert)
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, {}  # nothing but the context says what is checked and shown

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        _refuse(verify, cert)

    def __reduce__(self) -> Any:
        raise UsageError("an adapter holds a private key and does not pickle", "make one in each process")


def _refuse(verify: Any, cert: Any) -> None:
    if verify is False:
        raise UsageError(
            "a twoway adapter always checks the server, verify=False or not",
            "pass trust= (the bundle of authorities you believe)",
        )
    if cert:
        raise UsageError(
            "a twoway adapter shows its own identity, and no cert=", 'mount another: Adapter("other")'
        )
