"""Calls servers, and proves who is calling."""

from twoway.client.calls import AsyncClient, AsyncTransport, Client, Transport, peer, session
from twoway.client.faults import PlainHttpRefused, RedirectElsewhere
from twoway.client.source import IdentitySource

__all__ = [
    "AsyncClient",
    "AsyncTransport",
    "Client",
    "IdentitySource",
    "PlainHttpRefused",
    "RedirectElsewhere",
    "Transport",
    "peer",
    "session",
]
