"""Serves applications to clients that prove who they are."""

from twoway.server.journal import Journal
from twoway.server.options import ServeOptions
from twoway.server.peer import peer
from twoway.server.running import Server
from twoway.server.serving import background, running, serve

__all__ = [
    "Journal",
    "ServeOptions",
    "Server",
    "background",
    "peer",
    "running",
    "serve",
]
