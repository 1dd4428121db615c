"""2-way SSL (mutual TLS): an authority, servers and clients that prove who they are."""

from __future__ import annotations

__version__ = "0.1.0"
