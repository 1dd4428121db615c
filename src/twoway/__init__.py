"""2-way SSL (mutual TLS): an authority, servers and clients that prove who they are.

    authority = twoway.Authority.create("pki", name="Acme")
    authority.issue_server("api.acme.example").save("api")
    twoway.serve(app, identity="api", port=8443)
    with twoway.Client(identity="orders") as client: ...
    context = twoway.client_context("orders")

Names are loaded when they are first used, so that importing twoway costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from twoway.authority import Authority as Authority
    from twoway.client import AsyncClient as AsyncClient
    from twoway.client import AsyncTransport as AsyncTransport
    from twoway.client import Client as Client
    from twoway.client import Transport as Transport
    from twoway.credential import Credential as Credential
    from twoway.errors import ConfigError as ConfigError
    from twoway.errors import NetworkError as NetworkError
    from twoway.errors import PeerDenied as PeerDenied
    from twoway.errors import PeerError as PeerError
    from twoway.errors import PeerRefused as PeerRefused
    from twoway.errors import PeerUntrusted as PeerUntrusted
    from twoway.errors import TwowayError as TwowayError
    from twoway.explainer.explanation import explain as explain
    from twoway.server import peer as peer
    from twoway.server import serve as serve
    from twoway.server.messages import SignedMessages as SignedMessages
    from twoway.server.messages import signer as signer
    from twoway.steps import Step as Step
    from twoway.tls.stdlib import client_context as client_context
    from twoway.tls.stdlib import server_context as server_context
    from twoway.trust import Peer as Peer
    from twoway.trust import Policy as Policy
    from twoway.trust import Trust as Trust

_HOMES = {
    "Authority": "twoway.authority",
    "AsyncClient": "twoway.client",
    "AsyncTransport": "twoway.client",
    "Client": "twoway.client",
    "Transport": "twoway.client",
    "Credential": "twoway.credential",
    "ConfigError": "twoway.errors",
    "NetworkError": "twoway.errors",
    "PeerDenied": "twoway.errors",
    "PeerError": "twoway.errors",
    "PeerRefused": "twoway.errors",
    "PeerUntrusted": "twoway.errors",
    "TwowayError": "twoway.errors",
    "explain": "twoway.explainer.explanation",
    "SignedMessages": "twoway.server.messages",
    "peer": "twoway.server",
    "signer": "twoway.server.messages",
    "serve": "twoway.server",
    "Step": "twoway.steps",
    "client_context": "twoway.tls.stdlib",
    "server_context": "twoway.tls.stdlib",
    "Peer": "twoway.trust",
    "Policy": "twoway.trust",
    "Trust": "twoway.trust",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'twoway' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
