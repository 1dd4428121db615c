"""Who called, for applications: out of an ASGI scope or a WSGI environ, never out of a header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twoway.errors import UsageError
from twoway.trust import Peer

# Where the server leaves it. Only the server writes scopes; headers stand in scope["headers"].
EXTENSION = "twoway"
ENVIRON_KEY = "twoway.peer"


def peer(scope: Mapping[str, Any]) -> Peer | None:
    """Who the caller of this request proved to be; None for a caller without a certificate.

    `scope` is an ASGI scope (http or websocket) or a WSGI environ. Raises UsageError where no server of
    twoway is below the application: then nobody has been proven.
    """
    if ENVIRON_KEY in scope:
        return scope[ENVIRON_KEY]  # type: ignore[no-any-return]
    try:
        return scope["extensions"][EXTENSION]["peer"]  # type: ignore[no-any-return]
    except (KeyError, TypeError):
        raise UsageError(
            "this request did not come through a server of twoway, so its caller is unknown",
            "run the application with twoway.serve or `twoway serve`",
        ) from None
