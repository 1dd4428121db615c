"""Addresses of connections, as errors and logs write them."""

from __future__ import annotations

import asyncio


def address_of(raw: asyncio.Transport) -> str | None:
    """The other side's address and port; None where it has none, as on a UNIX socket."""
    name = raw.get_extra_info("peername")
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"{host}:{name[1]}"
    return None
