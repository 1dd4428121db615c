"""The handshake itself: the one maker of sessions and contexts."""

from twoway.tls.aio import TlsConnection
from twoway.tls.alerts import AlertReceived
from twoway.tls.blocking import ConnectFailed, ConnectionBroke, TlsSocket
from twoway.tls.context import ClientContext, ServerContext
from twoway.tls.faults import ConnectionCut, HandshakeFailed, NotTls, TicketElsewhere, TimedOut, Truncated
from twoway.tls.generation import LiveClient, LiveServer, ServerGeneration, TrialFailed
from twoway.tls.listener import Limits, Listener
from twoway.tls.refusal import Refusal
from twoway.tls.session import Session, Ticket
from twoway.tls.settings import Clients, ClientSettings, ServerSettings, Version, trust_of
from twoway.tls.stdlib import NotExpressible, client_context, server_context

__all__ = [
    "AlertReceived",
    "ClientContext",
    "ClientSettings",
    "Clients",
    "ConnectFailed",
    "ConnectionBroke",
    "ConnectionCut",
    "HandshakeFailed",
    "Limits",
    "Listener",
    "LiveClient",
    "LiveServer",
    "NotExpressible",
    "NotTls",
    "Refusal",
    "ServerContext",
    "ServerGeneration",
    "ServerSettings",
    "Session",
    "Ticket",
    "TicketElsewhere",
    "TimedOut",
    "TlsConnection",
    "TlsSocket",
    "TrialFailed",
    "Truncated",
    "Version",
    "client_context",
    "server_context",
    "trust_of",
]
